//! `/v1/queue`: entering, asking, leaving.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Json, PublicId};
use super::error::{Problem, ProblemBody};
use super::router::HttpState;
use super::token::Token;
use crate::domain::{Timestamp, UserId};
use crate::ports::Standing;
use crate::usecase::admit::Place;

/// Who wants to enter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnterBody {
    /// The user.
    #[schema(value_type = String, format = "uuid")]
    user_id: PublicId,
}

/// Where a token stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaceBody {
    /// To be sent as `Queue-Token`; given when entering.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// `waiting` or `active`.
    state: &'static str,
    /// 1 for the next to be admitted; 0 when active.
    position: u64,
    /// An estimate from the present pace; null while nothing is known.
    estimated_wait_ms: Option<u64>,
    /// When the place, or the admission, ends.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

fn render(place: &Place, token: Option<String>) -> Result<PlaceBody, Problem> {
    let (state, position, expires_at) = match place.standing {
        Standing::Waiting { ahead, expires_at } => ("waiting", ahead + 1, expires_at),
        Standing::Active { expires_at } => ("active", 0, expires_at),
        Standing::Gone => return Err(crate::usecase::Failure::TokenGone.into()),
    };
    let estimated_wait_ms = place
        .estimated_wait
        .and_then(|wait| u64::try_from(wait.as_millis()).ok());
    Ok(PlaceBody {
        token,
        state,
        position,
        estimated_wait_ms,
        expires_at,
    })
}

/// Takes a place in line, or finds the one that the user has.
#[utoipa::path(post, path = "/v1/queue/tokens", tag = "queue", request_body = EnterBody, responses(
    (status = 201, body = PlaceBody),
    (status = 404, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn enter(
    State(state): State<Arc<HttpState>>,
    Json(body): Json<EnterBody>,
) -> Result<(StatusCode, axum::Json<PlaceBody>), Problem> {
    let user = UserId::from_public(body.user_id.0).ok_or_else(|| Problem::not_found("user"))?;
    let place = state.booking.enter_queue(user).await?;
    let sealed = place.token.seal(state.booking.config.token_secret.expose().as_bytes());
    Ok((StatusCode::CREATED, axum::Json(render(&place, Some(sealed))?)))
}

/// Where the token stands; asking keeps a waiting place.
#[utoipa::path(get, path = "/v1/queue/token", tag = "queue",
    params(("Queue-Token" = String, Header)), responses(
    (status = 200, body = PlaceBody),
    (status = 401, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn look(State(state): State<Arc<HttpState>>, token: Token) -> Result<axum::Json<PlaceBody>, Problem> {
    let place = state.booking.queue_place(token.0).await?;
    Ok(axum::Json(render(&place, None)?))
}

/// Gives the place up; doing so twice is no failure.
#[utoipa::path(delete, path = "/v1/queue/token", tag = "queue",
    params(("Queue-Token" = String, Header)), responses(
    (status = 204),
    (status = 401, body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn leave(State(state): State<Arc<HttpState>>, token: Token) -> Result<StatusCode, Problem> {
    state.booking.leave_queue(token.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
