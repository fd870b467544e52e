//! The database, MySQL or SQLite. Each method is one transaction, so that a caller cannot hold half of one.
//!
//! - [`connect`] opens the pools, migrates, and checks that the schema is there.
//! - [`outbox`] and [`inbox`] serve the relay and the consumer of events.
//! - [`error`] sorts the drivers' errors into the few kinds that callers treat differently.
//!
//! Both engines take the same SQL text where they can; the macro `on_engine!` compiles a body once for each. There is
//! no trait here and no mock: every method is tested on the real engines.

#[macro_use]
mod engine;
pub mod connect;
pub mod error;
pub mod inbox;
pub mod outbox;

pub use connect::Store;
pub use engine::Engine;
pub use error::StoreError;
