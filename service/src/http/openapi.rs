//! The description of the interface, OpenAPI 3.1. Each handler describes itself; here they are listed.

use std::sync::OnceLock;

use bytes::Bytes;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

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
        ops::openapi,
    ),
    modifiers(&Completed)
)]
struct Description;

/// Completes what handlers say of themselves: what happens around them, and a description of every answer, which
/// OpenAPI demands.
struct Completed;

impl Modify for Completed {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut description.paths.paths {
            for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
                let mut around = Vec::new();
                if operation.request_body.is_some() {
                    around.extend(["400", "413", "422"]);
                }
                if path.starts_with("/v1/") {
                    around.extend(["503", "504"]);
                }
                let responses = &mut operation.responses.responses;
                for status in around {
                    responses.entry(status.to_owned()).or_insert_with(|| problem().into());
                }
                for (status, response) in responses {
                    if let RefOr::T(response) = response
                        && response.description.is_empty()
                    {
                        meaning(status).clone_into(&mut response.description);
                    }
                }
            }
        }
    }
}

fn problem() -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody")));
    ResponseBuilder::new()
        .content("application/problem+json", content.build())
        .build()
}

/// What a status means, whichever route answers it.
fn meaning(status: &str) -> &'static str {
    match status {
        "200" | "204" => "Done as asked.",
        "201" => "Created.",
        "400" => "The request cannot be read, or its idempotency key or query is missing or malformed.",
        "401" => "The queue token is missing, forged or gone.",
        "402" => "The balance does not suffice.",
        "403" => "The queue token is not admitted yet.",
        "404" => "There is no such thing.",
        "409" => {
            "Somebody else was first, or the state allows it no more; `code` says which. With `conflict` nothing is \
             decided: others were in the way, or the first request with this key is still under way; ask again with it."
        }
        "413" => "The body is too large.",
        "422" => "The body is not what is expected, or the key was used with another one.",
        "503" => "Overloaded, or a part is away; nothing was done.",
        "504" => "The deadline passed, or the database broke off; the request may have taken effect.",
        _ => "See `code`.",
    }
}

/// What may be asked for: each method, as metrics name it, and its path.
pub(super) fn operations() -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (path, item) in Description::openapi().paths.paths {
        let methods = [("GET", &item.get), ("POST", &item.post), ("DELETE", &item.delete)];
        let described = methods.into_iter().filter(|(_, operation)| operation.is_some());
        found.extend(described.map(|(method, _)| (method, path.clone())));
    }
    found
}

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
