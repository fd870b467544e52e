//! Bodies: bounded, JSON, with every malformation told apart from a refusal.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use futures::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::Problem;
use super::layers::BodyNote;

/// The largest body that is read.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// How much of a body that is too large is taken off the wire before the answer. A client that is still sending when
/// the connection closes would see a reset and not the answer.
const MAX_DRAIN_BYTES: usize = 8 * 1024 * 1024;
/// And for how long: a client that stops in the middle gets its answer before the request's deadline.
const MAX_DRAIN: Duration = Duration::from_millis(500);

/// A JSON body of type `T`.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let note = request.extensions().get::<BodyNote>().cloned();
        let bytes = read(request.into_body()).await?;
        if let Some(note) = note {
            note.set(&bytes);
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let status = match error.classify() {
                serde_json::error::Category::Data => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::BAD_REQUEST,
            };
            Problem::new(
                status,
                "invalid-body",
                format!("the body is not what is expected: {error}"),
            )
        })
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut kept = Vec::new();
    let mut n_seen = 0;
    let mut too_large_since: Option<Instant> = None;
    loop {
        let chunk = match too_large_since {
            None => stream.next().await,
            Some(since) => {
                let left = MAX_DRAIN.saturating_sub(since.elapsed());
                tokio::time::timeout(left, stream.next()).await.unwrap_or_default()
            }
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid-body",
                format!("the body broke off: {error}"),
            )
        })?;
        n_seen += chunk.len();
        if n_seen > MAX_DRAIN_BYTES {
            break;
        }
        if n_seen <= MAX_BODY_BYTES {
            kept.extend_from_slice(&chunk);
        } else {
            too_large_since.get_or_insert_with(Instant::now);
        }
    }
    if n_seen > MAX_BODY_BYTES {
        let detail = format!("the body exceeds {MAX_BODY_BYTES} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail));
    }
    Ok(kept)
}

/// An id as it stands in a body: a UUID, whether or not it names anything.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct PublicId(pub Uuid);

/// An id as it stands in a path; what is no UUID names nothing.
pub fn path_id<T>(text: &str, what: &'static str, parse: impl FnOnce(Uuid) -> Option<T>) -> Result<T, Problem> {
    text.parse()
        .ok()
        .and_then(parse)
        .ok_or_else(|| Problem::not_found(what))
}
