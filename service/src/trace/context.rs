//! The W3C trace context of a request or a record (`traceparent`).

use std::fmt;

use axum::http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use rand::Rng as _;

/// Set in the flags where the one before keeps its spans of this trace.
const SAMPLED: u8 = 1;

/// A trace, and a span in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceContext {
    /// A new trace, of which nobody keeps anything.
    pub fn begin() -> Self {
        Self {
            trace_id: rand::rng().random_range(1..=u128::MAX),
            span_id: rand::rng().random_range(1..=u64::MAX),
            flags: 0,
        }
    }

    /// What the caller says in its header; `None` when it is missing or malformed.
    pub fn of_caller(headers: &HeaderMap) -> Option<Self> {
        headers
            .get("traceparent")
            .and_then(|value| Self::parse(value.to_str().ok()?))
    }

    /// Reads a header's text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str, length: usize| {
            part.len() == length
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let valid = is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
        // Version 00 has exactly four parts; a later one may have more.
        if !valid || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }

    /// A span of ours in the same trace.
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            span_id: rand::rng().random_range(1..=u64::MAX),
            ..self
        }
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The trace's id in a header's text, for a log line.
    pub fn id_in(header: Option<&str>) -> Option<String> {
        header.and_then(Self::parse).map(Self::trace_id)
    }

    /// Whether the one whose span this is keeps it.
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(super) fn of_span(span: &SpanContext) -> Self {
        Self {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(span.span_id().to_bytes()),
            flags: span.trace_flags().to_u8(),
        }
    }

    /// As a span of another process, or of another request.
    pub(super) fn remote(self) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace_id.to_be_bytes()),
            SpanId::from_bytes(self.span_id.to_be_bytes()),
            TraceFlags::new(self.flags),
            true,
            TraceState::NONE,
        )
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_trace_is_continued_when_well_formed_and_by_a_span_of_our_own() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            &format!("{good}-x"),
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(TraceContext::of_caller(&headers), None);
        headers.insert("traceparent", HeaderValue::from_static(good));
        let caller = TraceContext::of_caller(&headers).unwrap();
        assert_eq!(caller.to_string(), good);
        let ours = caller.next();
        assert_eq!(ours.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(ours.is_sampled() && ours != caller, "the span is ours");
        // A later version may say more.
        let later = TraceContext::parse(&format!("01{}-more", &good[2..]));
        assert_eq!(later, Some(caller));
    }

    #[test]
    fn a_new_trace_can_be_read_back_and_is_kept_by_nobody() {
        let begun = TraceContext::begin();
        assert_eq!(TraceContext::parse(&begun.to_string()), Some(begun));
        assert!(!begun.is_sampled());
        assert_eq!(TraceContext::of_span(&begun.remote()), begun);
    }
}
