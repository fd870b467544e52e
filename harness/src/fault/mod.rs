//! What can be broken, and guards that heal.

pub mod drill;
pub mod proxy;

pub use drill::{Fault, FaultError, Injected};
