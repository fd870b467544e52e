//! The database, MySQL or SQLite. Each method is one transaction, so that a caller cannot hold half of one.
//!
//! - [`connect`] opens the pools, migrates, and checks that the schema is there.
//! - [`outbox`] and [`inbox`] serve the relay and the consumer of events.
//! - [`seats`] reads dates and seats; [`hold`] holds one; [`payments`] sells it; [`reservations`] gives it back;
//!   [`accounts`] has users and balances. `dialect` has the statements that differ between the engines,
//!   `bulk` those of `service seed`.
//! - [`error`] sorts the drivers' errors into the few kinds that callers treat differently.
//!
//! Both engines take the same SQL text where they can; the macros in `engine` compile a body once for each, and `call`
//! measures it. There is no trait here and no mock: every method is tested on the real engines.

#[macro_use]
mod engine;
pub mod accounts;
mod bulk;
mod call;
pub mod connect;
mod dialect;
pub mod error;
pub mod hold;
pub mod inbox;
pub mod outbox;
pub mod payments;
pub mod reservations;
pub mod seats;

pub use connect::Store;
pub use engine::Engine;
pub use error::StoreError;
