//! What can be broken, and guards that heal.

pub mod drill;

pub use drill::{Fault, FaultError, Injected};
