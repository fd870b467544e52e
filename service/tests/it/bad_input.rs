//! Bad input over HTTP: a clear answer, nothing changed, nothing leaked.

use serde_json::Value;

use crate::app::{TestApp, of_kind};
use crate::scenarios::client::{Answer, fresh_key};

async fn post(app: &TestApp, path: &str, token: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.client.http().post(app.client.url(path));
    let request = request
        .header("queue-token", token)
        .header("idempotency-key", fresh_key());
    app.client.send(request.body(body)).await
}

#[track_caller]
fn check_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    assert_eq!(answer.body["status"], Value::from(status));
    assert_eq!(answer.body["type"], format!("urn:booking:problem:{code}"));
    assert!(
        answer.body["title"].is_string() && answer.body["detail"].is_string(),
        "{answer:?}"
    );
    assert!(answer.body["request_id"].is_string(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies() {
    let app = TestApp::small(&[]).await;
    let token = app.client.admitted(&app.users[0]).await;
    let charges = format!("/v1/users/{}/balance/charges", app.users[0]);
    let before = app.client.balance(&app.users[0]).await;
    for (path, body, status) in [
        ("/v1/reservations", "", 400),
        ("/v1/reservations", "{", 400),
        ("/v1/reservations", "\u{1F3AB}", 400),
        ("/v1/reservations", "[]", 422),
        ("/v1/reservations", "{}", 422),
        ("/v1/reservations", r#"{"seat_id": 5}"#, 422),
        ("/v1/reservations", r#"{"seat_id": "5"}"#, 422),
        ("/v1/reservations", r#"{"seat_id": null}"#, 422),
        ("/v1/payments", r#"{"reservation_id": {}}"#, 422),
        ("/v1/payments", r#"{"reservation": "x"}"#, 422),
        ("/v1/queue/tokens", r#"{"user_id": true}"#, 422),
        (&charges, r#"{"amount": "5"}"#, 422),
        (&charges, r#"{"amount": 5.5}"#, 422),
        (&charges, r#"{"amount": -5}"#, 422),
        (&charges, r#"{"amount": 0}"#, 422),
        (&charges, r#"{"amount": 9223372036854775807}"#, 422),
        (&charges, r#"{"amount": 9223372036854775808}"#, 422),
        (&charges, r#"{"amount": -9223372036854775809}"#, 422),
        (&charges, r#"{"amount": 1e3}"#, 422),
        (&charges, r#"{"amount": 1e999}"#, 400),
        (&charges, r#"{"amount": 5, "currency": "EUR"}"#, 422),
    ] {
        let answer = post(&app, path, &token, body.to_owned()).await;
        check_problem(&answer, status, "invalid-body");
    }
    assert_eq!(app.client.balance(&app.users[0]).await, before);
    assert_eq!(of_kind(&app.audit().await, "reservation").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_money() {
    let app = TestApp::small(&[]).await;
    let user = &app.users[0];
    let before = app.client.balance(user).await;
    let most = 1_000_000_000_000;
    app.client
        .charge(user, most + 1, &fresh_key())
        .await
        .expect(422, "invalid-body");
    app.client
        .charge(user, most, &fresh_key())
        .await
        .expect(422, "balance-limit");
    assert_eq!(app.client.balance(user).await, before);
    app.client
        .charge(user, most - before, &fresh_key())
        .await
        .expect(200, "");
    app.client
        .charge(user, 1, &fresh_key())
        .await
        .expect(422, "balance-limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_a_mebibyte() {
    let app = TestApp::small(&[]).await;
    let token = app.client.admitted(&app.users[0]).await;
    let large = format!(r#"{{"seat_id": "{}"}}"#, "x".repeat(1 << 20));
    let charges = format!("/v1/users/{}/balance/charges", app.users[0]);
    for path in ["/v1/reservations", "/v1/payments", "/v1/queue/tokens", &charges] {
        let answer = post(&app, path, &token, large.clone()).await;
        check_problem(&answer, 413, "body-too-large");
    }
    let answer = chunked(&app, "/v1/queue/tokens", &large).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Just within the limit, a body is read and judged.
    let within = format!(r#"{{"seat_id": "{}"}}"#, "x".repeat(65_000));
    check_problem(
        &post(&app, "/v1/reservations", &token, within).await,
        422,
        "invalid-body",
    );
    app.client.place(&token).await.expect(200, "");
}

/// Sends a body whose length nobody announces, and returns what comes back.
async fn chunked(app: &TestApp, path: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = app.client.url("").replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
        .write_all(format!("{body}\r\n0\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ids() {
    let app = TestApp::small(&[]).await;
    let (client, users) = (&app.client, &app.users);
    let token = client.admitted(&users[0]).await;
    // A user's id names no seat, and a random UUID names nothing.
    for id in [
        users[0].as_str(),
        "0190163d-8694-739b-aea5-966c26f8ad91",
        "00000000-0000-0000-0000-000000000000",
    ] {
        check_problem(&client.hold(&token, id, &fresh_key()).await, 404, "not-found");
        check_problem(&client.pay(&token, id, &fresh_key()).await, 404, "not-found");
        check_problem(&client.seats(&token, id).await, 404, "not-found");
        check_problem(&client.schedules(&token, id, "").await, 404, "not-found");
        check_problem(&client.reservation(&token, id).await, 404, "not-found");
        check_problem(&client.cancel(&token, id).await, 404, "not-found");
    }
    for id in ["x", "1", "'; DROP TABLE users; --", "%00", "../../etc/passwd"] {
        let path = format!("/v1/users/{}/balance", id.replace('/', "%2F"));
        let request = client.http().get(client.url(&path));
        check_problem(&client.send(request).await, 404, "not-found");
    }
    check_problem(&client.enter(&app.schedules[0]).await, 404, "not-found");
    // An id of the right kind that no row has.
    let unused = booking_service::domain::SeatId::from_raw(77).unwrap().to_string();
    check_problem(&client.hold(&token, &unused, &fresh_key()).await, 404, "not-found");
    let unused = booking_service::domain::UserId::from_raw(77).unwrap().to_string();
    check_problem(&client.enter(&unused).await, 404, "not-found");
    check_problem(&client.charge(&unused, 5, &fresh_key()).await, 404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_forged_tokens() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let token = client.admitted(&app.users[0]).await;
    let url = client.url(&format!("/v1/schedules/{}/seats", app.schedules[0]));
    let http = client.http();
    let reservation = client.url(&format!("/v1/reservations/{}", app.users[0]));
    for request in [
        http.get(&url),
        http.get(client.url(&format!("/v1/concerts/{}/schedules", app.concerts[0]))),
        http.get(client.url("/v1/queue/token")),
        http.delete(client.url("/v1/queue/token")),
        http.get(&reservation),
        http.delete(&reservation),
        http.post(client.url("/v1/reservations"))
            .body(format!(r#"{{"seat_id":"{}"}}"#, app.users[0])),
        http.post(client.url("/v1/payments"))
            .body(format!(r#"{{"reservation_id":"{}"}}"#, app.users[0])),
    ] {
        let answer = client.send(request.header("idempotency-key", fresh_key())).await;
        check_problem(&answer, 401, "token-missing");
    }
    // Sound in every way, but signed by somebody else.
    let stranger = TestApp::small(&["token.secret=another secret altogether"]).await;
    let foreign = stranger.client.admitted(&stranger.users[0]).await;
    let mut altered = token.clone().into_bytes();
    altered[3] ^= 1;
    let altered = String::from_utf8(altered).unwrap();
    let (short, long) = ("A".repeat(43), "A".repeat(10_000));
    for forged in ["", "x", &token[1..], &altered, &short, &long, &foreign] {
        check_problem(&client.place(forged).await, 401, "token-invalid");
        check_problem(
            &client.hold(forged, &app.users[0], &fresh_key()).await,
            401,
            "token-invalid",
        );
    }
    let bytes = reqwest::header::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    let request = client.http().get(&url).header("queue-token", bytes);
    check_problem(&client.send(request).await, 401, "token-invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_keys() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let token = client.admitted(&app.users[0]).await;
    let request = client
        .http()
        .post(client.url("/v1/reservations"))
        .header("queue-token", &token);
    let answer = client
        .send(request.body(format!(r#"{{"seat_id":"{}"}}"#, app.users[0])))
        .await;
    check_problem(&answer, 400, "idempotency-key-missing");
    for key in ["", "a b", &"k".repeat(129)] {
        check_problem(
            &client.hold(&token, &app.users[0], key).await,
            400,
            "idempotency-key-invalid",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let token = client.admitted(&app.users[0]).await;
    let concert = &app.concerts[0];
    for query in [
        "?limit=0",
        "?limit=101",
        "?limit=-1",
        "?limit=x",
        "?cursor=x",
        "?cursor=1_x",
        "?page=2",
    ] {
        check_problem(&client.schedules(&token, concert, query).await, 400, "invalid-query");
    }
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = client.schedules(&token, concert, &query).await.expect(200, "");
        let dates = page.body["schedules"].as_array().unwrap();
        seen.extend(
            dates
                .iter()
                .map(|date| date["schedule_id"].as_str().unwrap().to_owned()),
        );
        match page.body["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, app.schedules[..3], "every date once, in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    check_problem(
        &client.send(client.http().get(client.url("/v1/nothing"))).await,
        404,
        "not-found",
    );
    let put = client.http().put(client.url("/v1/reservations"));
    check_problem(&client.send(put).await, 405, "method-not-allowed");
    let metrics = client.metrics().await;
    assert!(
        metrics.contains(r#"route="unmatched""#),
        "an invented path must not become a label"
    );
    assert!(!metrics.contains("/v1/nothing"));
}
