//! The request log of a real process: its lines, what they must not show, sampling, and the bound on bodies.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rdkafka::mocking::MockCluster;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::locked::Locked;
use crate::process::{Process, Site};
use crate::scenarios::Client;
use crate::scenarios::client::fresh_key;
use crate::spawning::{spawn, while_quiet};

/// A service whose log goes to a file.
struct Logged {
    site: Site,
    process: Process,
}

impl Logged {
    fn start(settings: &[&str]) -> Self {
        Self::failing("", settings)
    }

    /// A service with these fail points.
    fn failing(points: &str, settings: &[&str]) -> Self {
        let site = Site::seeded("50");
        let log = std::fs::File::create(site.path("log")).unwrap();
        let process = site.start(|command| {
            let settings = ["logging.level=info"].iter().chain(settings);
            command
                .args(settings.flat_map(|setting| ["--set", setting]))
                .env("FAILPOINTS", points)
                .stderr(log);
        });
        Self { site, process }
    }

    /// Ends the service and returns its whole log.
    fn end(mut self) -> String {
        self.process.signal("-TERM");
        assert!(self.process.ended().success());
        std::fs::read_to_string(self.site.path("log")).unwrap()
    }
}

/// The lines of requests.
fn requests(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["target"] == "booking_service::request")
        .collect()
}

/// Headers and bodies show in the log when they are asked for, and what is secret shows never.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_line_for_each_request_and_no_secret() {
    let logged = Logged::start(&["logging.headers=on", "logging.bodies=on"]);
    let client = logged.process.client.clone();
    let user = &logged.site.users()[0];
    let token = client.admitted(user).await;
    let seat = client.free_seats(&token, &logged.site.schedule()).await.remove(0);
    client.hold(&token, &seat, "a-secret-key").await.expect(201, "");
    // So many digits that no id of a request or trace has them by chance.
    client
        .charge(user, 424_242_424_242, "another-key")
        .await
        .expect(200, "");
    let text = logged.end();
    for secret in [token.as_str(), "a-secret-key", "424242424242", "only for these tests"] {
        assert!(!text.contains(secret), "`{secret}` is in the log:\n{text}");
    }
    let lines = requests(&text);
    let hold = lines.iter().find(|line| line["route"] == "/v1/reservations").unwrap();
    assert_eq!(
        (hold["method"].as_str(), hold["status"].as_u64()),
        (Some("POST"), Some(201))
    );
    assert!(hold["duration_ms"].as_f64().unwrap() > 0.0);
    assert!(hold["body"].as_str().unwrap().contains(&seat));
    assert!(hold["headers"].as_str().unwrap().contains("queue-token: ***"));
    for field in ["request_id", "trace_id"] {
        assert!(hold[field].as_str().is_some_and(|id| !id.is_empty()), "{hold}");
    }
}

/// Who looks for a lost ticket has the trace of the request that paid for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_logged_with_the_trace_of_its_payment() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let cluster = MockCluster::new(1).unwrap();
    let brokers = format!("kafka.brokers={}", cluster.bootstrap_servers());
    let settings = [
        "namespace=logs",
        "events.lease_ttl=1s",
        "events.retry_attempts=0",
        &brokers,
    ];
    let logged = Logged::failing("logs/consumer-handler=return", &settings);
    let client = &logged.process.client;
    let user = &logged.site.users()[1];
    let token = client.admitted(user).await;
    let seat = client.free_seats(&token, &logged.site.schedule()).await.remove(0);
    let held = client.hold(&token, &seat, "hold").await.expect(201, "");
    let traced = client.traced(&format!("00-{TRACE}-b7ad6b7169203331-01"));
    let reservation = held.text("reservation_id");
    traced.pay(&token, &reservation, "pay").await.expect(200, "");
    let given_up = || client.metric("booking_dead_letters_total", r#"cause="handler""#);
    client
        .until("the event is given up", || async { given_up().await == Some(1.0) })
        .await;
    let text = logged.end();
    while_quiet(|| drop(cluster));
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = lines.find(|line| line["message"] == "a record goes to the dead letters");
    let told = told.unwrap();
    assert_eq!(told["trace_id"], TRACE, "{told}");
    assert_eq!(told["cause"], "no paid reservation has this id", "{told}");
}

/// Wherever it happens for a request, in the handler or in a task that works for it: one line like all others, by which
/// the request is found and which does not repeat what is secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_line_of_the_log_with_its_request_and_without_its_secrets() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SECRET: &str = "abcdef0123456789";
    let points = ["logs/seat-map-missed", "hold-after-commit"]
        .map(|point| format!("{point}=1*panic(lost at {point}: token={SECRET}, and more)"));
    let logged = Logged::failing(&points.join(";"), &["namespace=logs", "cache.stampede=none"]);
    let client = &logged.process.client;
    let user = &logged.site.users()[0];
    let token = client.admitted(user).await;
    let traced = client.traced(&format!("00-{TRACE}-b7ad6b7169203331-00"));
    let schedule = logged.site.schedule();
    let of_handler = traced.seats(&token, &schedule).await.expect(500, "internal");
    let seat = client.free_seats(&token, &schedule).await.remove(0);
    let of_task = traced.hold(&token, &seat, "hold").await.expect(500, "internal");
    let text = logged.end();
    assert!(!text.contains(SECRET), "{text}");
    // Each is JSON, or this fails.
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let panics: Vec<&Value> = lines.iter().filter(|line| line["message"] == "a panic").collect();
    assert_eq!(panics.len(), 2, "{text}");
    for (line, (answer, point)) in panics
        .iter()
        .zip([(of_handler, "logs/seat-map-missed"), (of_task, "hold-after-commit")])
    {
        assert_eq!(
            line["payload"],
            format!("lost at {point}: token=***, and more"),
            "{line}"
        );
        assert_eq!(line["request_id"], answer.body["request_id"], "{line}");
        assert_eq!(line["trace_id"], TRACE, "{line}");
        assert_eq!(
            (&line["level"], &line["target"]),
            (&json!("ERROR"), &json!("booking_service::panic"))
        );
        assert!(line["file"].is_string() && line["line"].is_u64(), "{line}");
        assert!(line["thread"].is_string(), "{line}");
    }
}

/// Where nothing is logged, a panic is still told.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_a_panic_goes_to_standard_error() {
    let logged = Logged::failing("hold-after-commit=1*panic(of a test)", &["logging.level=off"]);
    let client = &logged.process.client;
    let token = client.admitted(&logged.site.users()[0]).await;
    let seat = client.free_seats(&token, &logged.site.schedule()).await.remove(0);
    client.hold(&token, &seat, "hold").await.expect(500, "internal");
    let text = logged.end();
    assert!(text.contains("of a test"), "{text}");
    let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object());
    assert!(!text.lines().any(is_json), "{text}");
}

/// Where containers' logs are looked for; the ready line is one of the lines.
#[tokio::test(flavor = "multi_thread")]
async fn lines_go_to_standard_output_unless_told_otherwise() {
    let site = Site::seeded("50");
    let [out, err] = ["out", "err"].map(|name| site.path(name));
    let mut command = site.command(&["serve", "--set", "logging.level=info"]);
    command
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap());
    let mut process = Process::starting(spawn(&mut command));
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&out).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let ready = loop {
        if let Some(ready) = lines().into_iter().find(|line| line["ready"] == true) {
            break ready;
        }
        assert!(Instant::now() < deadline, "never ready: {:?}", lines());
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    process.client = Client::new(&format!("http://{}", ready["address"].as_str().unwrap()));
    process.client.balance(&site.users()[0]).await;
    process.signal("-TERM");
    assert!(process.ended().success());
    let logged: Vec<Value> = lines().into_iter().filter(|line| line["target"].is_string()).collect();
    assert_eq!(logged.len() + 1, lines().len(), "a line is neither: {:#?}", lines());
    let routes: Vec<&Value> = logged
        .iter()
        .map(|line| &line["route"])
        .filter(|route| route.is_string())
        .collect();
    assert_eq!(routes, ["/v1/users/{id}/balance"]);
    assert_eq!(std::fs::read_to_string(&err).unwrap(), "");
}

/// A client that hangs up while it is being served leaves a line and a count, and no answer that nobody got.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_client_is_gone_is_logged_and_counted_as_such() {
    // Though successes are not logged.
    let logged = Logged::start(&["logging.sample=0", "resilience.request_timeout=60s"]);
    let client = logged.process.client.clone();
    let path = format!("/v1/users/{}/balance/charges", logged.site.users()[0]);
    let lock = Locked::new(logged.site.path("booking.db")).await;
    let mut connection = TcpStream::connect(client.url("").replace("http://", "")).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nidempotency-key: gone\r\ncontent-type: application/json\r\n\
         content-length: 12\r\n\r\n{{\"amount\":5}}"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let in_flight = || client.metric("booking_http_requests_in_flight", "");
    client
        .until("the charge is in flight", || async { in_flight().await == Some(1.0) })
        .await;
    drop(connection);
    let gone = || client.metric("booking_http_request_duration_seconds_count", r#"outcome="gone""#);
    client
        .until("it is counted", || async { gone().await == Some(1.0) })
        .await;
    assert_eq!(in_flight().await, Some(0.0));
    let of_charges = r#"route="/v1/users/{id}/balance/charges""#;
    assert_eq!(client.metric("booking_http_requests_total", of_charges).await, None);
    lock.release().await;

    let lines = requests(&logged.end());
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let line = &lines[0];
    assert_eq!(
        (&line["level"], &line["message"]),
        (&json!("INFO"), &json!("client gone before the answer"))
    );
    assert_eq!(
        (&line["method"], &line["route"], line.get("status")),
        (&json!("POST"), &json!("/v1/users/{id}/balance/charges"), None)
    );
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
    for field in ["request_id", "trace_id"] {
        assert!(line[field].as_str().is_some_and(|id| !id.is_empty()), "{line}");
    }
}

/// With a share of nothing, successes and refusals are silent, and what failed is still told.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_sample_of_0_only_failures_of_the_service_are_logged() {
    let logged = Logged::start(&["logging.sample=0", "resilience.request_timeout=2s"]);
    let client = logged.process.client.clone();
    let user = &logged.site.users()[0];
    for _ in 0..20 {
        client.balance(user).await;
    }
    client.place("x").await.expect(401, "token-invalid");
    let lock = Locked::new(logged.site.path("booking.db")).await;
    let failed = client.charge(user, 5, "locked").await;
    lock.release().await;
    assert!(failed.status >= 500, "{failed:?}");
    client.charge(user, 5, "free").await.expect(200, "");

    let lines = requests(&logged.end());
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let line = &lines[0];
    assert_eq!(line["status"], failed.status);
    assert_eq!(line["code"], failed.code());
    assert_eq!(line["request_id"], failed.body["request_id"]);
    assert_eq!(
        (&line["level"], &line["message"]),
        (&json!("WARN"), &json!("request failed"))
    );
    // What the client is not told.
    assert!(line["cause"].as_str().unwrap().contains("locked"), "{line}");
    assert!(!failed.body.to_string().contains("locked"), "{failed:?}");
}

/// Of 1,000 requests, a share of a half leaves less than 400 or more than 600 lines once in 10^9 runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_successes_is_logged() {
    let logged = Logged::start(&["logging.sample=0.5"]);
    let client = logged.process.client.clone();
    let url = client.url("/health/live");
    for _ in 0..10 {
        join_all((0..100).map(|_| client.send(client.http().get(&url)))).await;
    }
    let n_lines = requests(&logged.end()).len();
    assert!((400..=600).contains(&n_lines), "{n_lines}");
}

/// However long a body is, and whatever is in it, its place in the log is small.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded() {
    const MOST_BYTES: usize = 2_048;
    let logged = Logged::start(&["logging.bodies=on"]);
    let client = logged.process.client.clone();
    let token = client.admitted(&logged.site.users()[0]).await;
    for (body, status) in [
        (
            json!({ "seat_id": vec![Value::Null; 10_000], "token": "hidden" }).to_string(),
            422,
        ),
        ("x".repeat(60_000), 400),
        (format!("\"{}\"", "y".repeat(70_000)), 413),
    ] {
        let request = client.http().post(client.url("/v1/reservations"));
        let request = request
            .header("queue-token", &token)
            .header("idempotency-key", fresh_key());
        assert_eq!(client.send(request.body(body)).await.status, status);
    }
    let text = logged.end();
    assert!(!text.contains("hidden"));
    let longest = text.lines().map(str::len).max().unwrap();
    assert!(longest < MOST_BYTES + 1_000, "a line of {longest} bytes");
    let lines = requests(&text);
    let body_of = |status: u64| {
        let line = lines.iter().find(|line| line["status"] == status).unwrap();
        line["body"].as_str()
    };
    let cut = body_of(422).unwrap();
    assert!(
        cut.starts_with(r#"{"seat_id":[null,null"#) && cut.ends_with('…'),
        "{cut}"
    );
    assert_eq!(cut.len() - "…".len(), MOST_BYTES);
    assert_eq!(body_of(400), Some("[not JSON, 60000 bytes]"));
    assert_eq!(body_of(413), None, "what was not kept cannot be shown");
}
