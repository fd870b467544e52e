//! The one place that maps failures to status, code and problem details (RFC 9457).
//!
//! A 5xx tells the client nothing about its cause; the cause goes to the log line, by way of the response's extensions.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::trace::served;
use crate::usecase::Failure;

/// After how many seconds a client that was shed may try again.
const RETRY_AFTER_SECONDS: &str = "1";
/// The code of what was shed.
pub(super) const OVERLOADED: &str = "overloaded";

/// The body of every refusal and failure.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Identifies the kind of problem; its last part is `code`.
    #[serde(rename = "type")]
    #[schema(example = "urn:booking:problem:seat-taken")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// Stable, for programs.
    #[schema(example = "seat-taken")]
    pub code: String,
    /// For people.
    pub detail: String,
    /// Names the request in the service's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A refusal or failure on its way to the client.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    cause: Option<String>,
}

/// What the log line needs to know of a problem; rides in the response's extensions.
#[derive(Clone, Debug)]
pub struct ProblemNote {
    /// As in the body.
    pub code: &'static str,
    /// The chain of causes, for the log alone.
    pub cause: Option<String>,
}

impl Problem {
    /// A problem with a stable code and words for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            cause: None,
        }
    }

    /// 503 before any work.
    pub fn overloaded() -> Self {
        Failure::Overloaded.into()
    }

    /// The deadline passed while the work was under way: it may have taken effect.
    pub fn deadline() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "deadline",
            "the deadline passed; the request may have taken effect, ask again with the same idempotency key",
        )
    }

    /// A handler panicked.
    pub fn panicked() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            detail: "an internal error".to_owned(),
            cause: Some("a handler panicked".to_owned()),
        }
    }

    /// The path names nothing.
    pub fn not_found(what: &'static str) -> Self {
        Failure::NotFound(what).into()
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let (status, code) = match &failure {
            Failure::TokenMissing => (StatusCode::UNAUTHORIZED, "token-missing"),
            Failure::TokenInvalid => (StatusCode::UNAUTHORIZED, "token-invalid"),
            Failure::TokenGone => (StatusCode::UNAUTHORIZED, "token-gone"),
            Failure::NotAdmitted => (StatusCode::FORBIDDEN, "not-admitted"),
            Failure::NotFound(_) => (StatusCode::NOT_FOUND, "not-found"),
            Failure::SeatTaken => (StatusCode::CONFLICT, "seat-taken"),
            Failure::Conflict => (StatusCode::CONFLICT, "conflict"),
            Failure::InsufficientBalance => (StatusCode::PAYMENT_REQUIRED, "insufficient-balance"),
            Failure::Expired => (StatusCode::CONFLICT, "expired"),
            Failure::Cancelled => (StatusCode::CONFLICT, "cancelled"),
            Failure::AlreadyPaid => (StatusCode::CONFLICT, "already-paid"),
            Failure::IdempotencyMismatch => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch"),
            Failure::BalanceLimit => (StatusCode::UNPROCESSABLE_ENTITY, "balance-limit"),
            Failure::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, OVERLOADED),
            // A database that broke off may have committed: the client must not take this for "nothing happened".
            Failure::Unavailable {
                dependency: "database", ..
            } => (StatusCode::GATEWAY_TIMEOUT, "unavailable"),
            // Others are asked before any change is begun.
            Failure::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Failure::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let cause = status.is_server_error().then(|| chain(&failure));
        let detail = match &failure {
            Failure::Unavailable { .. } => "a part of the service is away, try again later".to_owned(),
            other => other.to_string(),
        };
        Self {
            status,
            code,
            detail,
            cause,
        }
    }
}

/// Every cause once, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let body = ProblemBody {
            kind: format!("urn:booking:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail,
            request_id: served::current().map(|request| request.request_id.clone()),
        };
        // Text and numbers always serialise.
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response.extensions_mut().insert(ProblemNote {
            code: self.code,
            cause: self.cause,
        });
        response
    }
}
