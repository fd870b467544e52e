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
    /// What is away: `database`, `queue`.
    away: Vec<&'static str>,
}

/// The process answers.
#[utoipa::path(get, path = "/health/live", tag = "operation", responses((status = 200)))]
pub async fn live() -> StatusCode {
    StatusCode::OK
}

/// The database and the queue answer.
#[utoipa::path(get, path = "/health/ready", tag = "operation", responses(
    (status = 200, body = ReadyBody),
    (status = 503, body = ReadyBody),
))]
pub async fn ready(State(state): State<Arc<HttpState>>) -> (StatusCode, axum::Json<ReadyBody>) {
    let database = tokio::time::timeout(READY_TIMEOUT, state.booking.store.ping());
    let queue = tokio::time::timeout(READY_TIMEOUT, state.booking.queue.totals());
    let (database, queue) = futures::join!(database, queue);
    let mut away = Vec::new();
    if !matches!(database, Ok(Ok(()))) {
        away.push("database");
    }
    if !matches!(queue, Ok(Ok(_))) {
        away.push("queue");
    }
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

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, content_type = "text/plain")))]
pub async fn metrics(State(state): State<Arc<HttpState>>) -> Result<Response, Problem> {
    state.booking.store.observe_pools();
    let text = state
        .booking
        .metrics
        .render()
        .map_err(|error| Failure::Internal(Box::new(error)))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// OpenAPI 3.1.
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
