//! What must not be logged is fed in, and looked for in the lines.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{RequestLine, mask_body, mask_headers, mask_text, subscriber};
use crate::config::{LogTarget, Logging};

#[test]
fn a_body_shows_its_shape_and_its_ids() {
    let id = "0190a8f0-7b1c-7000-8000-000000000001";
    let body = format!(
        r#"{{"seat_id":"{id}","seatId":"{id}!","seat_id é":1,"nested":[{{"token":"secret","amount":5,"x":null}}]}}"#
    );
    assert_eq!(
        mask_body(body.as_bytes(), 200),
        format!(r#"{{"***":"***","seatId":"***","seat_id":"{id}"}}"#)
    );
    assert_eq!(
        mask_body(br#"[{"token":"secret","amount":5,"x":null}]"#, 99),
        r#"[{"***":null,"amount":"***","token":"***"}]"#
    );
    assert_eq!(mask_body(br#""a word alone""#, 99), r#""***""#);
    assert_eq!(mask_body(b"queue-token=x", 99), "[not JSON, 13 bytes]");
}

#[test]
fn a_body_is_bounded() {
    let ids = vec![Value::Null; 100];
    let text = mask_body(serde_json::to_string(&ids).unwrap().as_bytes(), 12);
    assert_eq!(text, "[null,null,n…");
    assert_eq!(
        mask_body("[\"ü\"]".as_bytes(), 5),
        "[\"***…",
        "what is shown is plain letters"
    );
}

#[test]
fn headers_show_what_is_harmless() {
    let mut headers = HeaderMap::new();
    headers.insert("queue-token", HeaderValue::from_static("s3cret"));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    headers.insert("x-my-own", HeaderValue::from_static("s3cret"));
    assert_eq!(mask_headers(&headers), "queue-token: ***; accept: */*; x-my-own: ***");
}

#[test]
fn free_text_keeps_what_is_not_secret() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(mask_text(text), expected);
    }
    check("no seat left: another was quicker", "no seat left: another was quicker");
    check(
        "cannot reach mysql://root:hun/ter@2@db:3306, is it up?",
        "cannot reach mysql://***@db:3306, is it up?",
    );
    check(
        "http://127.0.0.1:80/a?token=abc&limit=3",
        "http://127.0.0.1:80/a?token=***&limit=3",
    );
    check(
        "Access denied for user 'a'@'b' (using password: YES)",
        "Access denied for user 'a'@'b' (using password: ***)",
    );
    check(
        "Duplicate entry 'my key' for key 'payments.idem_key'",
        "Duplicate entry '***' for key 'payments.idem_key'",
    );
    check("Authorization: Bearer abc.def, then", "Authorization: ***, then");
    check(
        r#"expected {"Queue-Token": "a \" b", "n": 1}"#,
        r#"expected {"Queue-Token": ***, "n": 1}"#,
    );
    check(r#"secrets: {"a": 1}"#, "secrets: ***");
}

/// What is no secret arrives, in its place and of its kind; also the words of a statement, which the harness reads.
#[test]
fn a_line_is_flat_and_keeps_what_is_not_secret() {
    let text = logged(|| {
        let failed = Failed(Driver("at \"mysql://root:hunter2@db\"\nno such host".to_owned()));
        let error: &dyn std::error::Error = &failed;
        let absent: Option<&str> = None;
        tracing::warn!(error, n = 3, ratio = 0.5, is_last = true, absent, offset = -1, r#type = ?Some(1), "it failed");
        let words = "UPDATE users SET balance = balance - ? WHERE id = ?";
        tracing::event!(target: "sqlx::query", tracing::Level::DEBUG, db.statement = words, summary = words);
    });
    let lines: Vec<Map<String, Value>> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut first = lines[0].clone();
    let timestamp = first.remove("timestamp").unwrap();
    assert!(timestamp.as_str().unwrap().ends_with('Z'), "{timestamp}");
    let expected = serde_json::json!({
        "level": "WARN",
        "message": "it failed",
        "error": "the database did not answer: at \"mysql://***@db\"\nno such host",
        "n": 3,
        "ratio": 0.5,
        "is_last": true,
        "offset": -1,
        "type": "Some(1)",
        "target": "booking_service::telemetry::tests",
    });
    assert_eq!(Value::Object(first), expected);
    for field in ["db.statement", "summary"] {
        assert_eq!(lines[1][field], "UPDATE users SET balance = balance - ? WHERE id = ?");
    }
}

/// Collects what a subscriber writes.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `log` logs.
fn logged(log: impl FnOnce()) -> String {
    let logging = Logging {
        to: LogTarget::Stderr,
        level: "trace".to_owned(),
        headers: true,
        bodies: true,
        sample_ratio: 1.0,
    };
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = subscriber(&logging, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, log);
    String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
}

/// The lines of a request with these headers, this body and this cause, as a success, a failure and an unanswered one.
fn request_lines(fed: &Fed) {
    let headers = mask_headers(&fed.headers);
    for status in [Some(201), Some(500), None] {
        let line = RequestLine {
            method: "POST",
            route: "/v1/reservations",
            status,
            duration: Duration::from_millis(3),
            request_id: "00000000-00000001",
            trace_id: "0af7651916cd43dd8448eb211c80319c",
            code: None,
            cause: Some(&fed.cause),
            headers: Some(&headers),
            body: Some(mask_body(&fed.body, fed.max_bytes)),
        };
        line.log(1.0);
    }
}

/// An error of ours around the words of a driver.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer")]
struct Failed(#[source] Driver);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Driver(String);

/// What is logged beside requests, in every way that the macros have of taking a value.
fn other_lines(fed: &Fed) {
    let cause = fed.cause.as_str();
    let failed = Failed(Driver(cause.to_owned()));
    let chain: &dyn std::error::Error = &failed;
    tracing::warn!(error = chain, "as an error with its causes");
    tracing::warn!(error = %failed.0, "as it is displayed");
    tracing::error!(error = ?failed, "as it is debugged");
    tracing::warn!(cause, n_tries = 3, "as text");
    tracing::info!("in the message: {cause}");
    tracing::debug!(target: "a::library", url = format!("https://me:{}@host/", fed.secret), "by a library");
    // By the field's name, with nothing in the value to tell.
    let (secret, balance) = (fed.secret.as_str(), fed.balance);
    tracing::warn!(r#token = secret, queueToken = secret, idempotency_key = %secret, "by its name");
    tracing::warn!(
        balance,
        amount = balance as f64 / 100.0,
        held_balance = balance.cast_signed(),
        "an amount"
    );
}

/// Long enough to be found nowhere by chance.
fn secret() -> impl Strategy<Value = String> {
    "[A-Za-z0-9+/._~-]{14,40}"
}

/// A secret's name as one of many writes it.
fn secret_name() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "token",
        "queue token",
        "access token",
        "idempotency key",
        "api key",
        "balance",
        "initial balance",
        "amount",
        "password",
        "client secret",
        "session id",
        "authorization",
        "set cookie",
    ]);
    let separators = prop::sample::select(vec!["_", "-", ".", ""]);
    (words, separators, any::<u64>()).prop_map(|(words, separator, casing)| {
        let joined = words.replace(' ', separator);
        let letters = joined.chars().enumerate();
        letters
            .map(|(at, letter)| {
                let is_upper = casing >> (at % 64) & 1 == 1;
                if is_upper { letter.to_ascii_uppercase() } else { letter }
            })
            .collect()
    })
}

/// A name of ours, of a secret, of anything, or a secret itself.
fn name(secret: String) -> impl Strategy<Value = String> {
    let ours = prop::sample::select(vec![
        "seat_id",
        "user_id",
        "reservation_id",
        "seatId",
        "amount",
        "token",
    ]);
    prop_oneof![ours.prop_map(str::to_owned), secret_name(), "\\PC{0,12}", Just(secret),]
}

/// JSON of any shape with the secret and the balance at its ends.
fn body(secret: String, balance: u64) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::from(secret.clone())),
        Just(Value::from(balance)),
        Just(Value::from(balance.to_string())),
        Just(Value::from(balance as f64 / 100.0)),
        Just(Value::from(format!("https://me:{secret}@host/path?token={secret}"))),
        Just(Value::from(format!("Bearer {secret}"))),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let name = name(secret.clone());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Headers with the secret as a value, where it is known that headers have secrets, where it is not, and in the text of
/// those that are shown.
fn headers(secret: String) -> impl Strategy<Value = HeaderMap> {
    let own = "x-[a-z]{1,12}";
    let hidden = prop_oneof![
        secret_name().prop_filter("a header's name", |name| HeaderName::try_from(name).is_ok()),
        own,
        prop::sample::select(vec![
            "cookie",
            "proxy-authorization",
            "referer",
            "x-api-key",
            "forwarded"
        ])
        .prop_map(str::to_owned),
    ];
    let bare = secret.clone();
    let hidden = hidden.prop_map(move |name| (name, bare.clone()));
    let shown = prop::sample::select(vec!["user-agent", "host", "accept", "x-request-id"]);
    let shown = (shown, text(secret)).prop_map(|(name, text)| (name.to_owned(), text));
    prop::collection::vec(prop_oneof![hidden, shown], 0..8).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::try_from(name).unwrap();
            headers.append(name, HeaderValue::try_from(value).unwrap());
        }
        headers
    })
}

/// The words of a driver that repeats a secret.
fn text(secret: String) -> impl Strategy<Value = String> {
    let forms = prop::sample::select(vec![
        "cannot reach mysql://root:<S>@db:3306/",
        "error: redis://:<S>@127.0.0.1:6379 refused",
        "GET http://127.0.0.1/a?b=1&<N>=<S>&c=2 failed",
        "no such user (<N>=<S>)",
        "<N>: <S>",
        "header <N>: Bearer <S>, and more",
        "<N> = \"<S>\", 5",
        "at line 1: {\"<N>\":\"<S>\",\"n\":1}",
        "at line 1: {\\\"<N>\\\":\\\"<S>\\\"}",
        "{'<N>': '<S>'}",
        "<N>: {\"inner\": \"<S>\"}",
        "1062 (23000): Duplicate entry '<S>' for key 'payments.user_key'",
        "1062 (23000): Duplicate entry '17-<S>' for key 'payments.user_key'",
    ]);
    (forms, secret_name()).prop_map(move |(form, name)| form.replace("<N>", &name).replace("<S>", &secret))
}

/// Everything at once.
#[derive(Clone, Debug)]
struct Fed {
    secret: String,
    balance: u64,
    headers: HeaderMap,
    body: Vec<u8>,
    max_bytes: usize,
    cause: String,
}

fn fed() -> impl Strategy<Value = Fed> {
    (secret(), 100_000_000_000_u64..1_000_000_000_000_000).prop_flat_map(|(secret, balance)| {
        let parts = (
            headers(secret.clone()),
            body(secret.clone(), balance),
            // A body may be cut short on its way, or be followed by something.
            prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
            prop_oneof![Just(2_048_usize), 0_usize..64],
            text(secret.clone()),
        );
        parts.prop_map(move |(headers, body, cut, max_bytes, cause)| {
            let mut body = body.to_string().into_bytes();
            if let Some(cut) = cut {
                body.truncate(cut.index(body.len() + 1));
            }
            Fed {
                secret: secret.clone(),
                balance,
                headers,
                body,
                max_bytes,
                cause,
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_comes_out_of_any_line(fed in fed()) {
        let of_requests = logged(|| request_lines(&fed));
        prop_assert_eq!(of_requests.lines().count(), 3, "{}", of_requests);
        let others = logged(|| other_lines(&fed));
        prop_assert_eq!(others.lines().count(), 8, "{}", others);
        let lines = format!("{of_requests}{others}");
        prop_assert!(!lines.contains(&fed.secret), "{} in {}", fed.secret, lines);
        // Also as the amount that a person reads.
        for balance in [fed.balance.to_string(), (fed.balance / 100).to_string()] {
            prop_assert!(!lines.contains(&balance), "{} in {}", balance, lines);
        }
        for line in others.lines() {
            serde_json::from_str::<Map<String, Value>>(line).unwrap();
        }
        for line in of_requests.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(&line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
            prop_assert_eq!(&line["request_id"], "00000000-00000001");
        }
    }

    /// What is shown is still worth reading.
    #[test]
    fn ids_come_through_under_any_casing(id in any::<u128>(), name in prop::sample::select(vec!["seat_id", "seatId", "Seat-ID", "SEAT_ID"])) {
        let id = uuid::Uuid::from_u128(id).to_string();
        let body = serde_json::json!({ name: id }).to_string();
        prop_assert_eq!(mask_body(body.as_bytes(), 200), body);
    }
}
