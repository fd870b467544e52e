//! What a user can do, and what the service does by itself. Nothing here knows HTTP.
//!
//! - [`context`] has the parts that all use cases share; [`error`] their failures; [`work`] how a change is carried
//!   through although its client has gone, and tried again after a deadlock.
//! - [`admit`] is the waiting room; [`browse`] dates; [`seat_map`] seats on sale, through the cache; [`reserve`] holds
//!   and cancels; [`pay`] pays; [`account`] balances; [`expire`] sweeps.

pub mod account;
pub mod admit;
pub mod browse;
pub mod context;
pub mod error;
pub mod expire;
pub mod pay;
pub mod reserve;
pub mod seat_map;
pub mod work;

pub use context::{Booking, OnPaid, Parts};
pub use error::Failure;
