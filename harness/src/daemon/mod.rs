//! The container daemon: reaching it, building stand-in images, and telling our containers from everybody else's.
//!
//! What runs in containers, and why, is [`crate::stack`]'s matter.

pub mod builder;
pub mod connect;
pub mod owner;
pub mod sweep;

pub use connect::{Daemon, DaemonError};
pub use owner::{Owner, ProcessId};
