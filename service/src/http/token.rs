//! Who asks, and for which effect: the headers `Queue-Token` and `Idempotency-Key`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::error::Problem;
use super::router::HttpState;
use crate::domain::{IdempotencyKey, QueueToken};
use crate::usecase::Failure;

/// The header that carries the queue token.
pub const QUEUE_TOKEN: &str = "queue-token";
/// The header that carries the idempotency key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A token that this service sealed; whether it is admitted is another question.
#[derive(Clone, Copy, Debug)]
pub struct Token(pub QueueToken);

impl FromRequestParts<Arc<HttpState>> for Token {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<HttpState>) -> Result<Self, Problem> {
        let header = parts.headers.get(QUEUE_TOKEN).ok_or(Failure::TokenMissing)?;
        let sealed = header.to_str().map_err(|_| Failure::TokenInvalid)?;
        let secret = state.booking.config.token_secret.expose().as_bytes();
        let token = QueueToken::open(sealed, secret).ok_or(Failure::TokenInvalid)?;
        Ok(Self(token))
    }
}

/// The client's key, not yet bound to a request.
#[derive(Clone, Debug)]
pub struct RawKey(String);

impl RawKey {
    /// Binds the key to what the request asks for, in a form that does not depend on white space.
    ///
    /// # Errors
    /// When the key is empty, too long, or not visible ASCII.
    pub fn bind(&self, request: &str) -> Result<IdempotencyKey, Problem> {
        IdempotencyKey::new(&self.0, request).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "idempotency-key-invalid",
                "the header Idempotency-Key must have 1 to 128 visible ASCII characters",
            )
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RawKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let header = parts.headers.get(IDEMPOTENCY_KEY).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "idempotency-key-missing",
                "this needs the header Idempotency-Key: choose a new one for each effect",
            )
        })?;
        // What is not ASCII cannot be bound, and is refused there.
        Ok(Self(String::from_utf8_lossy(header.as_bytes()).into_owned()))
    }
}
