//! The routes, and the order of the layers around them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};

use super::error::Problem;
use super::layers::{RequestIds, begin_series, guard, observe};
use super::{ops, payments, queue, reservations, schedules, users};
use crate::adapters::clock::ShiftedClock;
use crate::metrics::RuntimeWatch;
use crate::usecase::Booking;

/// What handlers share.
#[derive(Debug)]
pub struct HttpState {
    /// The use cases.
    pub booking: Arc<Booking>,
    /// The clock that drills shift; `None` in a build without them.
    pub shifted_clock: Option<Arc<ShiftedClock>>,
    /// What was told of the runtime.
    pub runtime: RuntimeWatch,
    /// Names requests in the log.
    pub request_ids: RequestIds,
}

/// All routes.
pub fn router(state: Arc<HttpState>) -> Router {
    begin_series(&state.booking.metrics);
    let booking = Router::new()
        .route("/v1/queue/tokens", post(queue::enter))
        .route("/v1/queue/token", get(queue::look).delete(queue::leave))
        .route("/v1/concerts/{id}/schedules", get(schedules::list))
        .route("/v1/schedules/{id}/seats", get(schedules::seats))
        .route("/v1/reservations", post(reservations::hold))
        .route("/v1/reservations/{id}", get(reservations::read))
        .route("/v1/reservations/{id}", delete(reservations::cancel))
        .route("/v1/payments", post(payments::pay))
        .route("/v1/users/{id}/balance", get(users::balance))
        .route("/v1/users/{id}/balance/charges", post(users::charge))
        // Health and metrics must answer under overload, so the guard is around these routes alone.
        .route_layer(from_fn_with_state(state.clone(), guard));
    let ops = Router::new()
        .route("/health/live", get(ops::live))
        .route("/health/ready", get(ops::ready))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(ops::openapi));
    #[cfg(feature = "failpoints")]
    let ops = ops.route("/test/clock", post(ops::shift_clock));
    booking
        .merge(ops)
        .fallback(|| async { Problem::not_found("path") })
        .method_not_allowed_fallback(ops::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), observe))
        .with_state(state)
}
