//! What can be broken, and guards that heal.
//!
//! [`contract`] says what every fault does: inject, heal, and verify the heal by using what was broken. A heal is tried
//! on success, failure and Ctrl-C; where the end of this process would not be cure enough, the watchdog has it too.
//! When to break what is the run's matter.

pub mod contract;

pub mod broker;
pub mod container;
pub mod edge;
pub mod edges;
pub mod mysql;
pub mod process;
pub mod proxy;
pub mod sqlite;

pub mod drill;

pub use contract::{Fault, FaultError, Injected};
pub use edges::Edges;
