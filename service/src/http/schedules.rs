//! `/v1/concerts/{id}/schedules` and `/v1/schedules/{id}/seats`: what is on sale. Both need an admitted token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::path_id;
use super::error::{Problem, ProblemBody};
use super::router::HttpState;
use super::token::Token;
use crate::domain::{ConcertId, ScheduleId, Timestamp};
use crate::usecase::browse::Cursor;

/// Lines of a page when none is asked for.
const DEFAULT_LIMIT: u32 = 20;
/// The most lines of a page.
const MAX_LIMIT: u32 = 100;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Lines of a page, 1 to 100; 20 by default.
    limit: Option<u32>,
}

/// A page of dates.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchedulesBody {
    /// The concert.
    #[schema(value_type = String, format = "uuid")]
    concert_id: ConcertId,
    /// Its dates, by time.
    schedules: Vec<ScheduleBody>,
    /// Asks for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A date.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleBody {
    /// The date.
    #[schema(value_type = String, format = "uuid")]
    schedule_id: ScheduleId,
    /// When it starts.
    #[schema(value_type = String, format = "date-time")]
    starts_at: Timestamp,
    /// Seats on sale now.
    seats_left: i64,
}

/// The seats of a date that are on sale.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeatMapBody {
    /// The date.
    #[schema(value_type = String, format = "uuid")]
    schedule_id: ScheduleId,
    /// By number.
    seats: Vec<SeatBody>,
}

/// A seat on sale.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeatBody {
    /// The seat.
    #[schema(value_type = String, format = "uuid")]
    seat_id: crate::domain::SeatId,
    /// From 1.
    number: i64,
    /// In minor units.
    price: i64,
}

fn invalid(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-query", detail)
}

fn cursor_text((starts_at, id): Cursor) -> String {
    format!("{}_{id}", starts_at.unix_ms())
}

fn parse_cursor(text: &str) -> Option<Cursor> {
    let (ms, id) = text.split_once('_')?;
    let id = ScheduleId::from_public(id.parse().ok()?)?;
    Some((Timestamp::from_unix_ms(ms.parse().ok()?), id))
}

/// Dates of a concert, with the seats left.
#[utoipa::path(get, path = "/v1/concerts/{id}/schedules", tag = "catalogue",
    params(("id" = String, Path), PageQuery, ("Queue-Token" = String, Header)), responses(
    (status = 200, body = SchedulesBody),
    (status = 400, body = ProblemBody, content_type = "application/problem+json"),
    (status = 401, body = ProblemBody, content_type = "application/problem+json"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list(
    State(state): State<Arc<HttpState>>,
    token: Token,
    Path(id): Path<String>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<axum::Json<SchedulesBody>, Problem> {
    let concert = path_id(&id, "concert", ConcertId::from_public)?;
    let Query(query) = query.map_err(|error| invalid(&error.body_text()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid("`limit` must be from 1 to 100"));
    }
    let cursor = match &query.cursor {
        Some(text) => Some(parse_cursor(text).ok_or_else(|| invalid("`cursor` is not one that this service gave"))?),
        None => None,
    };
    state.booking.require_admission_to_read(token.0).await?;
    let page = state.booking.schedules(concert, cursor, limit).await?;
    let schedules = page.schedules.iter().map(|line| ScheduleBody {
        schedule_id: line.id,
        starts_at: line.starts_at,
        seats_left: line.seats_left,
    });
    Ok(axum::Json(SchedulesBody {
        concert_id: concert,
        schedules: schedules.collect(),
        next_cursor: page.next.map(cursor_text),
    }))
}

/// The seats of a date that are on sale.
#[utoipa::path(get, path = "/v1/schedules/{id}/seats", tag = "catalogue",
    params(("id" = String, Path), ("Queue-Token" = String, Header)), responses(
    (status = 200, body = SeatMapBody),
    (status = 401, body = ProblemBody, content_type = "application/problem+json"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn seats(
    State(state): State<Arc<HttpState>>,
    token: Token,
    Path(id): Path<String>,
) -> Result<Response<Body>, Problem> {
    let schedule = path_id(&id, "schedule", ScheduleId::from_public)?;
    let body = state.booking.seat_map(token.0, schedule).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
