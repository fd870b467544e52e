//! What is exported of a booking: one trace, whole, and nothing secret in it.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Client, fresh_key};
use super::collector::{Collector, Seen, SpanKind};

/// The span of the caller, who exports nothing here.
const CALLER: &str = "b7ad6b7169203331";

/// What runs behind the service.
#[derive(Clone, Copy, Debug)]
pub struct Behind<'a> {
    /// OpenTelemetry's name of the database.
    pub database: &'a str,
    pub has_redis: bool,
    /// The topic of events.
    pub topic: &'a str,
    /// The group that consumes them.
    pub group: &'a str,
}

/// A user whose requests carry a trace that is kept holds a seat and pays: all that this causes is one trace, down to the
/// ticket, and each span has the parent that caused it. `trace` must be nobody else's. The service must keep no trace of
/// its own beginning.
pub async fn a_booking_is_one_trace(
    client: &Client,
    collector: &Collector,
    trace: &str,
    (user, schedule): (&str, &str),
    behind: Behind<'_>,
) {
    let token = client.admitted(user).await;
    let seat = client.free_seats(&token, schedule).await.remove(0);
    let (hold_key, pay_key) = (fresh_key(), fresh_key());
    let traced = client.traced(&format!("00-{trace}-{CALLER}-01"));
    let held = traced.hold(&token, &seat, &hold_key).await.expect(201, "");
    let reservation = held.text("reservation_id");
    let paid = traced.pay(&token, &reservation, &pay_key).await.expect(200, "");

    let process = format!("process {}", behind.topic);
    let requests = ["POST /v1/reservations", "POST /v1/payments"];
    let all = collector
        .until("the whole trace", |spans| {
            let has = |name: &str| spans.iter().any(|span| span.trace == trace && span.name == name);
            requests.into_iter().all(has) && has(&process) && has("issue_ticket")
        })
        .await;
    let spans = collector.of_trace(trace);
    let others: BTreeSet<&str> = all
        .iter()
        .filter(|span| span.trace != trace)
        .map(|span| span.name.as_str())
        .collect();
    assert!(others.is_empty(), "nobody asked for {others:?}");
    let one = |name: &str| {
        let mut found = spans.iter().filter(|span| span.name == name);
        let first = found.next().unwrap_or_else(|| panic!("no `{name}` in {spans:#?}"));
        assert_eq!(found.next(), None, "{name} is there twice");
        first
    };
    #[track_caller]
    fn check(span: &Seen, kind: SpanKind, attributes: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        assert_eq!(span.attributes, attributes.iter().map(own).collect::<BTreeMap<_, _>>());
        assert_eq!((span.kind, span.is_error), (kind, false), "{span:?}");
    }

    for (name, status, call) in [(requests[0], "201", "hold"), (requests[1], "200", "pay")] {
        let request = one(name);
        let (method, route) = name.split_once(' ').unwrap();
        check(
            request,
            SpanKind::Server,
            &[
                ("http.request.method", method),
                ("http.response.status_code", status),
                ("http.route", route),
                ("url.scheme", "http"),
            ],
        );
        assert_eq!(request.parent, CALLER);
        let statement = one(call);
        assert!(statement.is_child_of(request), "{statement:?} of {request:?}");
        check(
            statement,
            SpanKind::Client,
            &[("db.operation.name", call), ("db.system.name", behind.database)],
        );
        assert!(statement.took <= request.took, "{statement:?} in {request:?}");
    }

    let sent = one(&format!("send {}", behind.topic));
    assert!(sent.is_child_of(one(requests[1])), "{sent:?}");
    let (partition, offset) = (
        sent.attribute("messaging.destination.partition.id"),
        sent.attribute("messaging.kafka.offset"),
    );
    let place = [
        ("messaging.destination.name", behind.topic),
        ("messaging.destination.partition.id", partition),
        ("messaging.kafka.offset", offset),
        ("messaging.system", "kafka"),
    ];
    let operation = |name| [("messaging.operation.name", name), ("messaging.operation.type", name)];
    check(sent, SpanKind::Producer, &[&place[..], &operation("send")].concat());
    let processed = one(&process);
    assert!(processed.is_child_of(sent), "{processed:?}");
    let group = [("messaging.consumer.group.name", behind.group)];
    let expected = [&place[..], &operation("process"), &group].concat();
    check(processed, SpanKind::Consumer, &expected);
    let issued = one("issue_ticket");
    assert!(issued.is_child_of(processed), "{issued:?}");

    let of_redis: Vec<&Seen> = spans
        .iter()
        .filter(|span| span.attribute("db.system.name") == "redis")
        .collect();
    assert_eq!(!of_redis.is_empty(), behind.has_redis, "{of_redis:#?}");
    if behind.has_redis {
        let left = one("queue leave");
        assert!(left.is_child_of(one(requests[1])), "{left:?}");
        check(
            left,
            SpanKind::Client,
            &[
                ("db.operation.name", "EVALSHA"),
                ("db.query.summary", "queue leave"),
                ("db.system.name", "redis"),
            ],
        );
        assert!(
            of_redis.iter().any(|span| span.name == "cache invalidate"),
            "{of_redis:#?}"
        );
    }

    // Nothing hangs in the air, and nothing says who it was, or with what.
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).chain([CALLER]).collect();
    assert_eq!(ids.len(), spans.len() + 1, "an id is there twice");
    let balance = paid.number("balance").to_string();
    for span in &spans {
        assert!(ids.contains(span.parent.as_str()), "{span:?} has no parent in {ids:?}");
        assert_eq!(span.resource["service.name"], "booking-service");
        let texts = span.attributes.values().chain([&span.name]);
        for secret in [&token, &hold_key, &pay_key, &seat, &reservation, &balance] {
            let found = texts.clone().find(|text| text.contains(secret.as_str()));
            assert_eq!(found, None, "{secret} in {span:?}");
        }
        assert!(!span.attributes.values().any(|text| text.contains(user)), "{span:?}");
    }
}
