//! HTTP: one file a resource. No rule lives here; a handler parses, calls one use case and renders.
//!
//! - [`mod@router`] has the routes and the order of the layers; [`layers`] what happens around every request: identity,
//!   log line, metrics, shedding, deadline.
//! - [`error`] is the one place that maps failures to problem details (RFC 9457).
//! - [`body`] and [`token`] extract; [`queue`], [`schedules`], [`reservations`], [`payments`], [`users`] are the
//!   resources; [`ops`] health, metrics and the description; [`openapi`] the description itself.

pub mod body;
pub mod error;
pub mod layers;
pub mod openapi;
pub mod ops;
pub mod payments;
pub mod queue;
pub mod reservations;
pub mod router;
pub mod schedules;
pub mod token;
pub mod users;

pub use router::{HttpState, router};
