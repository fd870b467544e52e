//! What must hold of any running service, as functions of its URL and of ids in its data: the tests of this crate run
//! them on SQLite, those of the harness on the real servers. Nothing here knows the service's crate.

pub mod audit;
pub mod booking;
pub mod client;
pub mod collector;
pub mod contention;
pub mod expiry;
pub mod idempotency;
pub mod lcg;
pub mod money;
pub mod queue;
pub mod traces;

pub use client::{Answer, Client};
pub use collector::Collector;
