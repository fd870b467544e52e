//! What a Kafka record carries besides the event: key and headers, and a message's way through retries.
//!
//! Headers are text, so that any tool can read them. A missing or unreadable header of ours never stops a record: it
//! is taken as a first delivery, since the inbox makes another attempt harmless.

use rdkafka::Message;
use rdkafka::message::{Header, Headers as _, OwnedHeaders};

use crate::domain::Timestamp;
use crate::trace::TraceContext;

/// W3C trace context of the request that paid.
pub const TRACE_PARENT: &str = "traceparent";
/// The event's public id, so that a record can be found without parsing it.
pub const EVENT_ID: &str = "event-id";
/// How often the handler has tried this event and failed.
pub const ATTEMPTS: &str = "attempts";
/// Before which moment (milliseconds since 1970 UTC) no other attempt is made.
pub const NOT_BEFORE_MS: &str = "not-before-ms";
/// Why the last attempt failed.
pub const CAUSE: &str = "cause";
/// `unparsable` or `handler`.
pub const CAUSE_KIND: &str = "cause-kind";
/// The topic in which the event arrived first.
pub const SOURCE_TOPIC: &str = "source-topic";
/// The partition in which it arrived first.
pub const SOURCE_PARTITION: &str = "source-partition";
/// The offset at which it arrived first.
pub const SOURCE_OFFSET: &str = "source-offset";
/// The partition and offset of the dead letter that was sent again.
pub const REPLAYED_FROM: &str = "replayed-from";

/// Where a record lies.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Source {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// What happened to an event before this delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    /// Failed attempts of the handler.
    pub attempts: u32,
    /// Where it arrived first.
    pub source: Source,
    /// Before when no attempt is made.
    pub not_before: Option<Timestamp>,
}

/// Why a record is not applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    /// `unparsable` or `handler`: the label in metrics.
    pub kind: &'static str,
    /// The chain of errors, for a person.
    pub text: String,
}

/// The text of one header, or `None` when it is missing or not UTF-8.
pub fn header<'a, M: Message>(message: &'a M, name: &str) -> Option<&'a str> {
    let found = message.headers()?.iter().find(|header| header.key == name)?;
    std::str::from_utf8(found.value?).ok()
}

/// The trace of the request that paid; `None` where it named none.
pub(super) fn trace<M: Message>(message: &M) -> Option<TraceContext> {
    header(message, TRACE_PARENT).and_then(TraceContext::parse)
}

impl Source {
    /// Where `message` lies now.
    pub fn of<M: Message>(message: &M) -> Self {
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
        }
    }

    /// Where `message` lay first, by its headers; `None` when they are missing or unreadable.
    pub fn first<M: Message>(message: &M) -> Option<Self> {
        Some(Self {
            topic: header(message, SOURCE_TOPIC)?.to_owned(),
            partition: header(message, SOURCE_PARTITION)?.parse().ok()?,
            offset: header(message, SOURCE_OFFSET)?.parse().ok()?,
        })
    }
}

impl History {
    /// Reads the history of a delivered record.
    pub fn of<M: Message>(message: &M) -> Self {
        let number = |name| header(message, name).and_then(|text| text.parse::<i64>().ok());
        Self {
            attempts: number(ATTEMPTS).and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            source: Source::first(message).unwrap_or_else(|| Source::of(message)),
            not_before: number(NOT_BEFORE_MS).map(Timestamp::from_unix_ms),
        }
    }
}

/// The headers of an event on its first way. The trace is added by the producer, whose span comes in between.
pub fn first_headers(event_id: &str) -> OwnedHeaders {
    with(OwnedHeaders::new(), EVENT_ID, event_id)
}

/// Adds the trace that a record continues.
pub fn with_trace(headers: OwnedHeaders, trace_parent: &str) -> OwnedHeaders {
    with(headers, TRACE_PARENT, trace_parent)
}

/// The headers of a record that failed: what it had from its producer, and what is known of the failure.
pub fn failed_headers<M: Message>(
    message: &M,
    source: &Source,
    attempts: u32,
    cause: &Cause,
    not_before: Option<Timestamp>,
) -> OwnedHeaders {
    let mut headers = kept(message);
    headers = with(headers, ATTEMPTS, &attempts.to_string());
    headers = with(headers, CAUSE, &cause.text);
    headers = with(headers, CAUSE_KIND, cause.kind);
    headers = with(headers, SOURCE_TOPIC, &source.topic);
    headers = with(headers, SOURCE_PARTITION, &source.partition.to_string());
    headers = with(headers, SOURCE_OFFSET, &source.offset.to_string());
    match not_before {
        Some(moment) => with(headers, NOT_BEFORE_MS, &moment.unix_ms().to_string()),
        None => headers,
    }
}

/// The headers of a dead letter that is sent again: a first delivery that says where it comes from.
pub fn replayed_headers<M: Message>(message: &M) -> OwnedHeaders {
    let from = format!("{}/{}", message.partition(), message.offset());
    with(kept(message), REPLAYED_FROM, &from)
}

/// The event's own headers of `message`, without the ones that describe a failure, and the trace.
fn kept<M: Message>(message: &M) -> OwnedHeaders {
    header(message, EVENT_ID).map_or_else(OwnedHeaders::new, first_headers)
}

fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header {
        key,
        value: Some(value),
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedMessage;

    use super::*;

    fn message(headers: Option<OwnedHeaders>) -> OwnedMessage {
        let time = rdkafka::Timestamp::NotAvailable;
        OwnedMessage::new(None, None, "t.payments".to_owned(), time, 3, 17, headers)
    }

    #[test]
    fn a_first_delivery_is_its_own_source() {
        let history = History::of(&message(None));
        assert_eq!(history.attempts, 0);
        assert_eq!(history.not_before, None);
        assert_eq!((history.source.partition, history.source.offset), (3, 17));
    }

    #[test]
    fn a_failure_is_carried_and_the_source_stays_the_first() {
        let first = message(Some(with_trace(first_headers("event-1"), "00-aa-bb-01")));
        let cause = Cause {
            kind: "handler",
            text: "no such reservation".to_owned(),
        };
        let until = Timestamp::from_unix_ms(1_800_000_000_000);
        let again = message(Some(failed_headers(
            &first,
            &History::of(&first).source,
            1,
            &cause,
            Some(until),
        )));
        let again = again.set_topic("t.payments.retry".to_owned()).set_offset(99);
        let history = History::of(&again);
        assert_eq!(history.attempts, 1);
        assert_eq!(history.not_before, Some(until));
        assert_eq!(
            (history.source.topic.as_str(), history.source.offset),
            ("t.payments", 17)
        );
        assert_eq!(header(&again, TRACE_PARENT), None, "the producer's to add");

        let replayed = message(Some(replayed_headers(&again)));
        assert_eq!(History::of(&replayed).attempts, 0);
        assert_eq!(header(&replayed, REPLAYED_FROM), Some("3/99"));
        assert_eq!(header(&replayed, EVENT_ID), Some("event-1"));
    }

    #[test]
    fn unreadable_headers_make_a_first_delivery() {
        let headers = with(with(OwnedHeaders::new(), ATTEMPTS, "many"), SOURCE_TOPIC, "elsewhere");
        let history = History::of(&message(Some(headers)));
        assert_eq!(history.attempts, 0);
        assert_eq!(history.source.topic, "t.payments");
    }
}
