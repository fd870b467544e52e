//! Health, metrics, the description of the interface, and the clock of drills.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::router::HttpState;
use crate::usecase::Failure;

/// A dependency that takes longer than this to say that it is there, is not.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the service can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadyBody {
    /// True when nothing needed is away.
    ready: bool,
    /// What is away: `database`, `queue`, `locks`.
    away: Vec<&'static str>,
}

/// The process answers.
#[utoipa::path(get, path = "/health/live", tag = "operation", responses((status = 200)))]
pub async fn live() -> StatusCode {
    StatusCode::OK
}

/// The database, the queue and, where holds need them, the locks answer. Neither the cache nor the broker is needed: reads
/// then ask the database, and events wait in the outbox.
#[utoipa::path(get, path = "/health/ready", tag = "operation", responses(
    (status = 200, body = ReadyBody),
    (status = 503, body = ReadyBody),
))]
pub async fn ready(State(state): State<Arc<HttpState>>) -> (StatusCode, axum::Json<ReadyBody>) {
    let booking = &state.booking;
    let database = answers(booking.store.ping());
    let queue = answers(booking.queue.totals());
    let locks = async {
        match &booking.locks {
            Some(locks) => answers(locks.ping()).await,
            None => true,
        }
    };
    let (database, queue, locks) = futures::join!(database, queue, locks);
    let away: Vec<_> = [("database", database), ("queue", queue), ("locks", locks)]
        .into_iter()
        .filter_map(|(what, answers)| (!answers).then_some(what))
        .collect();
    let status = if away.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        axum::Json(ReadyBody {
            ready: away.is_empty(),
            away,
        }),
    )
}

async fn answers<T, E>(asked: impl Future<Output = Result<T, E>>) -> bool {
    matches!(tokio::time::timeout(READY_TIMEOUT, asked).await, Ok(Ok(_)))
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, content_type = "text/plain")))]
pub async fn metrics(State(state): State<Arc<HttpState>>) -> Result<Response, Problem> {
    state.booking.store.observe_pools();
    state.runtime.observe(&state.booking.metrics);
    state.booking.metrics.clock.set(state.booking.now().unix_seconds());
    let text = state
        .booking
        .metrics
        .render()
        .map_err(|error| Failure::Internal(Box::new(error)))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", responses(
    (status = 200, content_type = "application/json"),
))]
pub async fn openapi() -> Result<Response, Problem> {
    let document = super::openapi::document().map_err(|error| Failure::Internal(Box::new(error)))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

/// A known path with another method.
pub async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this path has other methods",
    )
}

/// How far the clock is shifted.
#[cfg(feature = "failpoints")]
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftBody {
    offset_ms: i64,
}

/// Shifts this instance's clock against the machine's.
#[cfg(feature = "failpoints")]
pub async fn shift_clock(
    State(state): State<Arc<HttpState>>,
    super::body::Json(body): super::body::Json<ShiftBody>,
) -> Result<StatusCode, Problem> {
    let clock = state.shifted_clock.as_ref().ok_or_else(|| Problem::not_found("path"))?;
    clock.set_offset_ms(body.offset_ms);
    Ok(StatusCode::NO_CONTENT)
}
