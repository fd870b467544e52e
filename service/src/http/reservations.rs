//! `/v1/reservations`: holding a seat, reading and cancelling. Reading and cancelling need a token of the same user,
//! admitted or not: giving a seat back must stay possible after the visit.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Json, PublicId, path_id};
use super::error::{Problem, ProblemBody};
use super::router::HttpState;
use super::token::{RawKey, Token};
use crate::domain::{PaymentId, Reservation, ReservationId, SeatId, Timestamp};

/// What is to be held.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldBody {
    /// The seat.
    #[schema(value_type = String, format = "uuid")]
    seat_id: PublicId,
}

/// A hold, as it was answered first.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldBody {
    /// The reservation.
    #[schema(value_type = String, format = "uuid")]
    reservation_id: ReservationId,
    /// Its payment, pending.
    #[schema(value_type = String, format = "uuid")]
    payment_id: PaymentId,
    /// The seat.
    #[schema(value_type = String, format = "uuid")]
    seat_id: SeatId,
    /// The price, in minor units.
    amount: i64,
    /// When the hold ends by itself.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

/// A reservation now.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReservationBody {
    /// The reservation.
    #[schema(value_type = String, format = "uuid")]
    reservation_id: ReservationId,
    /// Its payment.
    #[schema(value_type = String, format = "uuid")]
    payment_id: PaymentId,
    /// The seat.
    #[schema(value_type = String, format = "uuid")]
    seat_id: SeatId,
    /// `pending`, `paid`, `cancelled` or `expired`.
    status: &'static str,
    /// The price, in minor units.
    amount: i64,
    /// When the hold ends, or ended, by itself.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

fn held(reservation: &Reservation) -> HeldBody {
    HeldBody {
        reservation_id: reservation.id,
        payment_id: reservation.payment,
        seat_id: reservation.seat,
        amount: reservation.amount.minor(),
        expires_at: reservation.expires_at,
    }
}

/// Holds a seat for a while.
#[utoipa::path(post, path = "/v1/reservations", tag = "booking", request_body = HoldBody,
    params(("Queue-Token" = String, Header), ("Idempotency-Key" = String, Header)), responses(
    (status = 201, body = HeldBody),
    (status = 401, body = ProblemBody, content_type = "application/problem+json"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn hold(
    State(state): State<Arc<HttpState>>,
    token: Token,
    key: RawKey,
    Json(body): Json<HoldBody>,
) -> Result<(StatusCode, axum::Json<HeldBody>), Problem> {
    let key = key.bind(&format!("hold {}", body.seat_id.0))?;
    let seat = SeatId::from_public(body.seat_id.0).ok_or_else(|| Problem::not_found("seat"))?;
    let reservation = state.booking.hold(token.0, seat, key).await?;
    Ok((StatusCode::CREATED, axum::Json(held(&reservation))))
}

/// A reservation of the token's user.
#[utoipa::path(get, path = "/v1/reservations/{id}", tag = "booking",
    params(("id" = String, Path), ("Queue-Token" = String, Header)), responses(
    (status = 200, body = ReservationBody),
    (status = 401, body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn read(
    State(state): State<Arc<HttpState>>,
    token: Token,
    Path(id): Path<String>,
) -> Result<axum::Json<ReservationBody>, Problem> {
    let id = path_id(&id, "reservation", ReservationId::from_public)?;
    let reservation = state.booking.reservation(token.0.user, id).await?;
    Ok(axum::Json(ReservationBody {
        reservation_id: reservation.id,
        payment_id: reservation.payment,
        seat_id: reservation.seat,
        status: reservation.status.name(),
        amount: reservation.amount.minor(),
        expires_at: reservation.expires_at,
    }))
}

/// Gives a pending reservation back.
#[utoipa::path(delete, path = "/v1/reservations/{id}", tag = "booking",
    params(("id" = String, Path), ("Queue-Token" = String, Header)), responses(
    (status = 204),
    (status = 401, body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn cancel(
    State(state): State<Arc<HttpState>>,
    token: Token,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = path_id(&id, "reservation", ReservationId::from_public)?;
    state.booking.cancel(token.0.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
