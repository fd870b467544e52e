//! `/v1/payments`: paying for a reservation.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Json, PublicId};
use super::error::{Problem, ProblemBody};
use super::layers::RequestContext;
use super::router::HttpState;
use super::token::{RawKey, Token};
use crate::domain::{PaymentId, ReservationId, Timestamp};

/// What is to be paid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayBody {
    /// The reservation.
    #[schema(value_type = String, format = "uuid")]
    reservation_id: PublicId,
}

/// A completed payment, as it was answered first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptBody {
    /// The payment.
    #[schema(value_type = String, format = "uuid")]
    payment_id: PaymentId,
    /// What was paid for.
    #[schema(value_type = String, format = "uuid")]
    reservation_id: ReservationId,
    /// The price paid, in minor units.
    amount: i64,
    /// The balance right after, in minor units.
    balance: i64,
    /// When.
    #[schema(value_type = String, format = "date-time")]
    paid_at: Timestamp,
}

/// Pays for a reservation and ends the token.
#[utoipa::path(post, path = "/v1/payments", tag = "booking", request_body = PayBody,
    params(("Queue-Token" = String, Header), ("Idempotency-Key" = String, Header)), responses(
    (status = 200, body = ReceiptBody),
    (status = 401, body = ProblemBody, content_type = "application/problem+json"),
    (status = 402, body = ProblemBody, content_type = "application/problem+json"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn pay(
    State(state): State<Arc<HttpState>>,
    token: Token,
    key: RawKey,
    Extension(context): Extension<RequestContext>,
    Json(body): Json<PayBody>,
) -> Result<axum::Json<ReceiptBody>, Problem> {
    let key = key.bind(&format!("pay {}", body.reservation_id.0))?;
    let reservation =
        ReservationId::from_public(body.reservation_id.0).ok_or_else(|| Problem::not_found("reservation"))?;
    let trace_parent = Some(context.trace_parent());
    let receipt = state.booking.pay(token.0, reservation, key, trace_parent).await?;
    Ok(axum::Json(ReceiptBody {
        payment_id: receipt.payment,
        reservation_id: receipt.reservation,
        amount: receipt.amount.minor(),
        balance: receipt.balance.minor(),
        paid_at: receipt.paid_at,
    }))
}
