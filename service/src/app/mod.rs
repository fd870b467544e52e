//! The only place where adapters are built; start and graceful shutdown.
//!
//! - [`start`] puts the service together, serves, and stops it in order.
//! - `build` makes the adapters that the switches ask for.
//! - `background` keeps the sweeper and the queue's rounds going.

mod background;
mod build;
pub mod start;

pub use crate::adapters::redis_connection::InvalidUrl as InvalidRedisUrl;
pub use start::{App, StartError};
