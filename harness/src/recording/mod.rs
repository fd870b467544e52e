//! The folder of a run: what is in it, how it is written while the run goes, how it is read back.
//!
//! What the numbers mean is the business of `analysis`, and whether they are right that of `verdict`.

pub mod sample;

pub mod model;

pub mod event;

pub mod clock;

pub mod environment;

pub mod error;

mod appender;
mod checksums;

pub mod hlog;

pub mod series;

pub mod history;

pub mod audit;

pub mod store;

pub mod reader;

#[cfg(test)]
mod tests;

pub use clock::RunClock;
pub use error::RecordError;
pub use event::{Accounting, Event, What};
pub use history::{HistorySink, Operation};
pub use hlog::{LONGEST, empty_histogram};
pub use model::{Manifest, Variant};
pub use reader::Recording;
pub use sample::{Clock, Endpoint, Lateness, Outcome, Sample, Tag};
pub use series::{SeriesId, SeriesKind, SeriesSet, SeriesWriter};
pub use store::{RecordingWriter, note_derived, put_derived};
