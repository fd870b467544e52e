//! A TCP proxy on the loopback interface that makes an edge of the network bad, without root.
//!
//! - [`conditions`]: what one direction of every link suffers, and how new connections are met.
//! - `pump`: moves one direction of one link under conditions that may change at any moment.
//! - `link`: both directions of one connection, half-closes and resets.
//! - `listener`: accepts, refuses, or lets callers hang.
//! - [`handle`]: what a fault holds.
//!
//! It changes when and whether bytes arrive, never which: it knows no protocol.

pub mod conditions;
pub mod handle;

mod link;
mod listener;
mod pump;

#[cfg(test)]
mod tests;

pub use conditions::{Conditions, Direction, Flow, Reception};
pub use handle::{Proxy, ProxyError, Traffic};
