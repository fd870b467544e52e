//! The load engine: arrivals by schedule, users that Goose drives, journeys, and our own clock on every request.
//!
//! Goose starts, holds and stops the users and does nothing else: its own numbers are time to first byte, rounded, and
//! its throttle under-delivers, so none of them is used. See [`arrivals`] for the open model and [`recorder`] for what
//! is measured.
//!
//! What does *not* belong here: judging the figures (analysis and verdict read the recording), and starting the target.

pub mod arrivals;
pub mod catalogue;
mod client;
mod closed;
pub mod engine;
pub mod feed;
pub mod ground;
pub mod handle;
mod journeys;
mod limits;
mod outcome;
pub mod recorder;
#[cfg(test)]
mod recorder_tests;
#[cfg(test)]
mod replay_tests;
mod replies;
pub mod schedule;
pub mod selector;
mod session;
pub mod settled;
pub mod slowest;
pub mod tally;
mod timer;

pub use arrivals::{Arrival, Blame, ByBlame, Offered};
pub use catalogue::{Catalogue, CatalogueError, CataloguePart};
pub use engine::{LoadError, LoadOutcome, LoadPlan, drive};
pub use feed::{RanDry, Shortage, shortages};
pub use ground::Target;
pub use handle::{LoadHandle, Progress};
pub use limits::{LimitError, make_room};
pub use outcome::NO_SOCKET;
pub use recorder::{Cause, Cut, Gathered, Keep, LeftOut, Recorder};
pub use schedule::Schedule;
pub use selector::{Selector, Slice};
pub use settled::{SettledError, read_settled};
pub use slowest::Slow;
pub use tally::Account;
