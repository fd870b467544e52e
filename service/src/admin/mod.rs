//! Work on the service's own tables outside requests. The harness calls these commands of the build under test, so
//! that a baseline with another schema still works.
//!
//! - [`migrate`] creates the schema; [`seed`] fills it, with [`dataset`] saying with what; [`index`] changes the index
//!   under study; [`audit`] writes the final state for the ledger check.
//! - [`health`] asks a running instance whether it is ready.
//! - [`Misuse`] is what a person asked for and cannot have.
//! - [`dlt`] lists and replays dead letters.

pub mod audit;
pub mod dataset;
pub mod dlt;
pub mod health;
pub mod index;
pub mod migrate;
mod misuse;
pub mod seed;

pub use misuse::Misuse;
