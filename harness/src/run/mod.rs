//! Where load, scraping and faults meet: it turns a plan into a recording, and does nothing else, but for [`endless()`],
//! which keeps a service busy and records nothing.
//!
//! What the recording says is the business of `analysis` and `verdict`; nothing here judges.

mod alone;
pub mod arm;
pub mod bench;
mod clocks;
mod cutting;
mod data;
mod drain;
mod edges;
pub mod endless;
pub mod error;
pub mod experiment;
mod hopeless;
pub mod incident;
pub mod live;
mod logged;
mod plans;
mod probe;
pub mod scenario;
mod watching;
mod ways;

pub use bench::{Bench, Moment, Observer, overview};
pub use endless::endless;
pub use error::RunError;
pub use experiment::experiment;
pub use incident::incident;
pub use scenario::scenario;
