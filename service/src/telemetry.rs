//! The subscriber and the request log: one JSON line a request, on standard error.
//!
//! Standard output belongs to the ready line and to `audit`. Secrets are masked here and nowhere else.

use std::fmt;
use std::time::Duration;

use axum::http::HeaderMap;
use rand::Rng as _;
use serde_json::Value;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::config::Logging;

const MASK: &str = "***";
/// Headers whose values must not be logged.
const MASKED_HEADERS: &[&str] = &["authorization", "cookie", "queue-token", "idempotency-key"];
/// Fields of bodies whose values must not be logged.
const MASKED_FIELDS: &[&str] = &["token", "balance", "amount", "secret", "password", "idempotency_key"];

/// A subscriber that writes JSON lines to `sink`. `None` when the level cannot be read, which the configuration has
/// checked.
pub fn subscriber<W>(logging: &Logging, sink: W) -> Option<impl tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter: Targets = logging.level.parse().ok()?;
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(sink);
    Some(tracing_subscriber::registry().with(lines.with_filter(filter)))
}

/// The W3C trace context of a request: the client's trace, or a new one, and a span of ours.
#[derive(Clone, Debug)]
pub struct TraceContext {
    trace_id: String,
    span_id: u64,
    flags: u8,
}

impl TraceContext {
    /// Continues the trace of the header `traceparent`; a missing or malformed one begins a new trace.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let given = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let continued = given.and_then(parse_trace_parent);
        let (trace_id, flags) =
            continued.unwrap_or_else(|| (format!("{:032x}", rand::rng().random_range(1..=u128::MAX)), 0));
        Self {
            trace_id,
            span_id: rand::rng().random_range(1..=u64::MAX),
            flags,
        }
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

fn parse_trace_parent(text: &str) -> Option<(String, u8)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let valid = is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    // Version 00 has exactly four parts; a later one may have more.
    if !valid || is_zero(trace) || is_zero(span) || (version == "00" && parts.next().is_some()) {
        return None;
    }
    Some((trace.to_owned(), u8::from_str_radix(flags, 16).ok()?))
}

/// All headers on one line, secrets masked.
pub fn mask_headers(headers: &HeaderMap) -> String {
    let shown = headers.iter().map(|(name, value)| {
        let is_secret = MASKED_HEADERS.contains(&name.as_str());
        let value = if is_secret {
            MASK
        } else {
            value.to_str().unwrap_or("[not text]")
        };
        format!("{name}: {value}")
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// A body for the log: secrets masked, at most `max_bytes`. What is not JSON is not shown, since nothing in it could
/// be masked.
pub fn mask_body(bytes: &[u8], max_bytes: usize) -> String {
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else {
        return format!("[not JSON, {} bytes]", bytes.len());
    };
    mask_value(&mut value);
    let mut text = value.to_string();
    if text.len() > max_bytes {
        let mut end = max_bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

fn mask_value(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if MASKED_FIELDS.contains(&name.as_str()) {
                    *field = Value::String(MASK.to_owned());
                } else {
                    mask_value(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask_value),
        _ => {}
    }
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
    /// Also in the answer, and in what the request causes.
    pub trace_id: &'a str,
    /// The problem's code.
    pub code: Option<&'static str>,
    /// The chain of causes of a 5xx.
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
            cause,
            headers,
            ..
        } = *self;
        let body = self.body.as_deref();
        if status.is_none() {
            // No failure of ours, and perhaps because of one: who waits too long hangs up.
            tracing::info!(
                target: "booking_service::request",
                method, route, duration_ms, request_id, trace_id, headers, body,
                "client gone before the answer"
            );
        } else if status.is_some_and(|status| status >= 500) {
            tracing::warn!(
                target: "booking_service::request",
                method, route, status, duration_ms, request_id, trace_id, code, cause, headers, body,
                "request failed"
            );
        } else if sample_ratio >= 1.0 || rand::rng().random::<f64>() < sample_ratio {
            tracing::info!(
                target: "booking_service::request",
                method, route, status, duration_ms, request_id, trace_id, code, headers, body,
                "request"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_trace_is_continued_when_well_formed_and_begun_otherwise() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let good = format!("00-{trace}-b7ad6b7169203331-01");
        assert_eq!(parse_trace_parent(&good), Some((trace.to_owned(), 1)));
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &format!("ff-{trace}-b7ad6b7169203331-01"),
            &format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            &format!("{good}-x"),
        ] {
            assert_eq!(parse_trace_parent(bad), None, "{bad}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_str(&good).unwrap());
        let continued = TraceContext::from_headers(&headers);
        assert_eq!(continued.trace_id(), trace);
        assert!(parse_trace_parent(&continued.to_string()).is_some());
        assert!(!continued.to_string().contains("b7ad6b7169203331"), "the span is ours");
        let begun = TraceContext::from_headers(&HeaderMap::new());
        assert!(parse_trace_parent(&begun.to_string()).is_some());
    }

    #[test]
    fn secrets_are_masked_and_bodies_bounded() {
        let body = br#"{"seat_id":"a","nested":[{"token":"secret","amount":5}]}"#;
        assert_eq!(
            mask_body(body, 200),
            r#"{"nested":[{"amount":"***","token":"***"}],"seat_id":"a"}"#
        );
        assert_eq!(mask_body(r#"{"a":"üüü"}"#.as_bytes(), 8), "{\"a\":\"ü…");
        assert_eq!(mask_body(b"queue-token=x", 99), "[not JSON, 13 bytes]");
        let mut headers = HeaderMap::new();
        headers.insert("queue-token", HeaderValue::from_static("s3cret"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        assert_eq!(mask_headers(&headers), "queue-token: ***; accept: */*");
    }
}
