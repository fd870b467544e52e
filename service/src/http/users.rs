//! `/v1/users/{id}/balance`: reading and charging a balance.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Json, path_id};
use super::error::{Problem, ProblemBody};
use super::router::HttpState;
use super::token::RawKey;
use crate::domain::{ChargeId, Money, UserId, money};

/// What is to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargeBody {
    /// In minor units, at least 1.
    amount: i64,
}

/// A balance.
#[derive(Debug, Serialize, ToSchema)]
pub struct BalanceBody {
    /// The user.
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    /// In minor units.
    balance: i64,
}

/// A charge, as it was answered first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChargedBody {
    /// The user.
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    /// The charge.
    #[schema(value_type = String, format = "uuid")]
    charge_id: ChargeId,
    /// What was added, in minor units.
    amount: i64,
    /// The balance right after, in minor units.
    balance: i64,
}

/// A user's balance.
#[utoipa::path(get, path = "/v1/users/{id}/balance", tag = "users", params(("id" = String, Path)), responses(
    (status = 200, body = BalanceBody),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn balance(
    State(state): State<Arc<HttpState>>,
    Path(id): Path<String>,
) -> Result<axum::Json<BalanceBody>, Problem> {
    let user = path_id(&id, "user", UserId::from_public)?;
    let balance = state.booking.balance(user).await?;
    Ok(axum::Json(BalanceBody {
        user_id: user,
        balance: balance.minor(),
    }))
}

/// Adds to a balance.
#[utoipa::path(post, path = "/v1/users/{id}/balance/charges", tag = "users", request_body = ChargeBody,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)), responses(
    (status = 200, body = ChargedBody),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn charge(
    State(state): State<Arc<HttpState>>,
    Path(id): Path<String>,
    key: RawKey,
    Json(body): Json<ChargeBody>,
) -> Result<axum::Json<ChargedBody>, Problem> {
    let key = key.bind(&format!("charge {}", body.amount))?;
    let user = path_id(&id, "user", UserId::from_public)?;
    let amount = Money::new(body.amount)
        .filter(|amount| *amount > Money::ZERO)
        .ok_or_else(|| {
            let detail = format!("`amount` must be from 1 to {} minor units", money::MAX);
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-body", detail)
        })?;
    let charge = state.booking.charge(user, amount, key).await?;
    Ok(axum::Json(ChargedBody {
        user_id: user,
        charge_id: charge.id,
        amount: charge.amount.minor(),
        balance: charge.balance.minor(),
    }))
}
