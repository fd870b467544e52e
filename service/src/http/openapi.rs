//! The description of the interface, OpenAPI 3.1. Each handler describes itself; here they are listed.

use std::sync::OnceLock;

use bytes::Bytes;
use utoipa::OpenApi;

use super::{ops, payments, queue, reservations, schedules, users};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Booking service",
        description = "Concert reservations: a waiting room, holds that expire, payments that happen once. \
            Errors are problem details (RFC 9457) with a stable `code`. A change that was not answered may be asked \
            again with the same Idempotency-Key.",
        license(name = "Apache-2.0 OR MIT")
    ),
    paths(
        queue::enter,
        queue::look,
        queue::leave,
        schedules::list,
        schedules::seats,
        reservations::hold,
        reservations::read,
        reservations::cancel,
        payments::pay,
        users::balance,
        users::charge,
        ops::live,
        ops::ready,
        ops::metrics,
    )
)]
struct Description;

static DOCUMENT: OnceLock<Bytes> = OnceLock::new();

/// The description as JSON, made when it is first asked for.
///
/// # Errors
/// When it cannot be serialised.
pub fn document() -> Result<Bytes, serde_json::Error> {
    if let Some(document) = DOCUMENT.get() {
        return Ok(document.clone());
    }
    let document = Description::openapi().to_json()?;
    Ok(DOCUMENT.get_or_init(|| document.into()).clone())
}
