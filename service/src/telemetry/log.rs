//! The subscriber, and the line of each request.

use std::time::Duration;

use rand::Rng as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::line::MaskedJson;
use crate::config::Logging;

/// The target of the lines of requests.
pub(super) const REQUEST: &str = "booking_service::request";

/// A subscriber that writes JSON lines to `sink`, without the secrets in them. `None` when the level cannot be read, which the
/// configuration has checked.
pub fn subscriber<W>(logging: &Logging, sink: W) -> Option<impl tracing::Subscriber + Send + Sync + use<W>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter: Targets = logging.level.parse().ok()?;
    let lines = tracing_subscriber::fmt::layer()
        .event_format(MaskedJson)
        // They would be plain text on standard error, and a panic where that is gone too.
        .log_internal_errors(false)
        .with_writer(sink);
    Some(tracing_subscriber::registry().with(lines.with_filter(filter)))
}

/// What is logged of a request.
#[derive(Debug)]
pub struct RequestLine<'a> {
    /// GET, POST, …
    pub method: &'static str,
    /// The matched route, so that lines can be counted by it.
    pub route: &'a str,
    /// The status of the answer; `None` when the client hung up before there was one.
    pub status: Option<u16>,
    /// From the request's head to the answer's head, or to the moment that the client was gone.
    pub duration: Duration,
    /// Also in the answer.
    pub request_id: &'a str,
    /// Also in the answer, in the spans, and in what the request causes.
    pub trace_id: &'a str,
    /// The problem's code.
    pub code: Option<&'static str>,
    /// The chain of causes of a 5xx, as drivers tell it.
    pub cause: Option<&'a str>,
    /// Masked, when headers are logged.
    pub headers: Option<&'a str>,
    /// Masked and bounded, when bodies are logged.
    pub body: Option<String>,
}

impl RequestLine<'_> {
    /// Writes the line; an answer that is no failure of the service's only as often as `sample_ratio` says.
    pub fn log(&self, sample_ratio: f64) {
        let duration_ms = self.duration.as_secs_f64() * 1e3;
        let Self {
            method,
            route,
            status,
            request_id,
            trace_id,
            code,
            headers,
            ..
        } = *self;
        let body = self.body.as_deref();
        if status.is_none() {
            // No failure of ours, and perhaps because of one: who waits too long hangs up.
            tracing::info!(
                target: REQUEST,
                method, route, duration_ms, request_id, trace_id, headers, body,
                "client gone before the answer"
            );
        } else if status.is_some_and(|status| status >= 500) {
            let cause = self.cause;
            tracing::warn!(
                target: REQUEST,
                method, route, status, duration_ms, request_id, trace_id, code, cause, headers, body,
                "request failed"
            );
        } else if sample_ratio >= 1.0 || rand::rng().random::<f64>() < sample_ratio {
            tracing::info!(
                target: REQUEST,
                method, route, status, duration_ms, request_id, trace_id, code, headers, body,
                "request"
            );
        }
    }
}
