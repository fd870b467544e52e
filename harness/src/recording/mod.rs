//! The folder of a run: what is in it, how it is written while the run goes, how it is read back.

pub mod sample;

pub use sample::{Clock, Endpoint, Outcome, Sample, Tag};
