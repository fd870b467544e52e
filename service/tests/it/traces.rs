//! Spans, from the request to a collector: whole, for whoever asks for them, and never in the way.

use booking_service::messaging::topics::Topics;
use rdkafka::mocking::MockCluster;
use tokio::net::TcpSocket;

use crate::app::{SMALL, TestApp};
use crate::process::Site;
use crate::scenarios::traces::Behind;
use crate::scenarios::{Client, Collector, traces};
use crate::spawning::while_quiet;

const KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const KEPT_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const NOT_KEPT: &str = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b7ad6b7169203331-00";
/// Nothing is kept but what the caller keeps.
const NONE_OF_OURS: &str = "tracing.sample_ratio=0";

/// The trace context of the answer to a look at a balance.
async fn answered_trace(client: &Client, user: &str) -> String {
    let url = client.url(&format!("/v1/users/{user}/balance"));
    let answer = client.http().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers()["traceparent"].to_str().unwrap().to_owned()
}

async fn dropped(client: &Client, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    client
        .metric("booking_spans_dropped_total", &label)
        .await
        .expect("counted from the start")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_is_one_trace_from_the_requests_to_the_ticket() {
    let collector = Collector::start().await;
    let cluster = MockCluster::new(1).unwrap();
    let brokers = format!("kafka.brokers={}", cluster.bootstrap_servers());
    let settings = [
        "namespace=traces_booking",
        "events.lease_ttl=1s",
        NONE_OF_OURS,
        &brokers,
        &collector.setting(),
    ];
    let app = TestApp::with(SMALL, &settings).await;
    let topics = Topics::new("traces_booking");
    let behind = Behind {
        database: "sqlite",
        has_redis: false,
        topic: &topics.main,
        group: &topics.group,
    };
    let booking = (app.users[1].as_str(), app.schedules[0].as_str());
    traces::a_booking_is_one_trace(&app.client, &collector, KEPT_TRACE, booking, behind).await;
    app.stop().await;
    while_quiet(|| drop(cluster));
}

/// What is tried again is one trace still: each sending is a child of the handling that caused it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_continues_the_trace() {
    let collector = Collector::start().await;
    let cluster = MockCluster::new(1).unwrap();
    let brokers = format!("kafka.brokers={}", cluster.bootstrap_servers());
    let settings = [
        "namespace=traces_retry",
        "events.lease_ttl=1s",
        "events.retry_backoff=20ms",
        NONE_OF_OURS,
        &brokers,
        &collector.setting(),
    ];
    let app = TestApp::with(SMALL, &settings).await;
    let topics = Topics::new("traces_retry");
    fail::cfg("traces_retry/consumer-handler", "1*return->off").unwrap();
    let user = &app.users[1];
    let token = app.client.admitted(user).await;
    let seat = app.client.free_seats(&token, &app.schedules[0]).await.remove(0);
    let held = app.client.hold(&token, &seat, "hold").await.expect(201, "");
    let traced = app.client.traced(KEPT);
    traced
        .pay(&token, &held.text("reservation_id"), "pay")
        .await
        .expect(200, "");
    let again = format!("process {}", topics.retry);
    let spans = collector
        .until("the second attempt", |spans| {
            spans.iter().any(|span| span.name == again)
        })
        .await;
    let chain = [
        "POST /v1/payments".to_owned(),
        format!("send {}", topics.main),
        format!("process {}", topics.main),
        format!("send {}", topics.retry),
        again,
        "issue_ticket".to_owned(),
    ];
    let of = |name: &String| spans.iter().find(|span| span.name == *name).unwrap();
    for pair in chain.windows(2) {
        let (parent, child) = (of(&pair[0]), of(&pair[1]));
        assert!(child.is_child_of(parent), "{child:#?} of {parent:#?}");
    }
    let refused = of(&chain[2]);
    assert!(
        refused.is_error && refused.attribute("error.type") == "retried",
        "{refused:?}"
    );
    assert!(!of(&chain[4]).is_error);
    app.stop().await;
    while_quiet(|| drop(cluster));
}

/// Also when the collector is there: who keeps nothing of a trace asks for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_keeps_is_not_exported() {
    let collector = Collector::start().await;
    let app = TestApp::small(&[NONE_OF_OURS, &collector.setting()]).await;
    let user = &app.users[0];
    let unkept = answered_trace(&app.client.traced(NOT_KEPT), user).await;
    assert!(
        unkept.starts_with(&NOT_KEPT[..36]) && unkept.ends_with("-00"),
        "{unkept}"
    );
    let own = answered_trace(&app.client, user).await;
    assert!(own.ends_with("-00"), "{own}");
    let kept = answered_trace(&app.client.traced(KEPT), user).await;
    // The end of the service is also the end of the waiting: nothing can come later.
    app.stop().await;
    let spans = collector.spans();
    let traces: Vec<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces, [KEPT_TRACE; 2], "{spans:#?}");
    let request = spans.iter().find(|span| span.name.starts_with("GET")).unwrap();
    assert_eq!(request.name, "GET /v1/users/{id}/balance");
    assert_eq!(
        kept,
        format!("00-{KEPT_TRACE}-{}-01", request.id),
        "the answer names the span that answered"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_trace_begins_one_and_a_probe_does_not() {
    let collector = Collector::start().await;
    let app = TestApp::small(&[&collector.setting()]).await;
    let began = answered_trace(&app.client, &app.users[0]).await;
    app.client
        .pay("x", &app.users[0], "a-key")
        .await
        .expect(401, "token-invalid");
    let live = app.client.http().get(app.client.url("/health/live"));
    app.client.send(live).await;
    app.client.metrics().await;
    let nowhere = app.client.http().get(app.client.url("/nowhere"));
    app.client.send(nowhere).await.expect(404, "not-found");
    app.stop().await;
    let mut requests = collector.spans();
    requests.retain(|span| span.parent.is_empty());
    let names: Vec<&str> = requests.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["GET /v1/users/{id}/balance", "POST /v1/payments"]);
    assert_eq!(began, format!("00-{}-{}-01", requests[0].trace, requests[0].id));
    assert_eq!(requests[1].attribute("booking.problem.code"), "token-invalid");
    assert_eq!(requests[1].attribute("http.response.status_code"), "401");
    assert!(!requests[1].is_error, "a refusal by a rule is no error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_marked_where_it_happened() {
    let collector = Collector::start().await;
    let settings = ["resilience.request_timeout=2s", NONE_OF_OURS, &collector.setting()];
    let app = TestApp::small(&settings).await;
    let lock = crate::locked::Locked::new(app.database()).await;
    let traced = app.client.traced(KEPT);
    let failed = traced.charge(&app.users[0], 5, "locked").await;
    lock.release().await;
    assert!(failed.status >= 500, "{failed:?}");
    app.stop().await;
    let spans = collector.spans();
    let request = spans.iter().find(|span| span.name.starts_with("POST")).unwrap();
    let status = failed.status.to_string();
    assert!(request.is_error);
    assert_eq!(request.attribute("error.type"), status);
    assert_eq!(request.attribute("http.response.status_code"), status);
    let charge = spans.iter().find(|span| span.name == "charge").unwrap();
    assert!(charge.is_child_of(request));
    assert!(
        charge.is_error && charge.attribute("error.type") == "connection",
        "{charge:?}"
    );
}

/// Off, the trace travels as it always has, and no collector hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_exported_without_an_address() {
    let app = TestApp::small(&["tracing.otlp_endpoint="]).await;
    let answered = answered_trace(&app.client.traced(KEPT), &app.users[0]).await;
    assert!(
        answered.starts_with(&KEPT[..36]) && answered.ends_with("-01"),
        "{answered}"
    );
    assert_ne!(answered, KEPT);
    let exported = app.client.metric("booking_spans_exported_total", "").await;
    assert_eq!(exported, Some(0.0));
    let dropped = app.client.metric("booking_spans_dropped_total", "").await;
    assert_eq!(dropped, None, "nothing can be lost");
    app.stop().await;
}

/// A collector that is away costs spans, which are counted, and one line in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_is_told_once_and_costs_no_request() {
    // A port that is taken and not listened on stays so for as long as it is held.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    let site = Site::seeded("50");
    let log = std::fs::File::create(site.path("log")).unwrap();
    let endpoint = format!("tracing.otlp_endpoint=http://{address}");
    let mut process = site.start(|command| {
        command
            .args(["--set", "logging.level=info", "--set", &endpoint])
            .stderr(log);
    });
    let client = process.client.clone();
    let user = &site.users()[0];
    // Two batches, so that there would be something to tell twice.
    for _ in 0..2 {
        let before = dropped(&client, "not_taken").await;
        for _ in 0..20 {
            client.balance(user).await;
        }
        client
            .until("the batch is given up", || async {
                dropped(&client, "not_taken").await > before
            })
            .await;
    }
    process.signal("-TERM");
    assert!(process.ended().success());
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("cannot be exported")).collect();
    let [told] = told[..] else { panic!("{told:#?}") };
    assert!(told.contains(&address.to_string()) && told.contains("WARN"), "{told}");
    let unexpected: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(unexpected, [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_sent_again_or_counted() {
    let collector = Collector::start().await;
    let app = TestApp::small(&[NONE_OF_OURS, &collector.setting()]).await;
    let (client, user) = (&app.client, &app.users[0]);
    let traced = client.traced(KEPT);
    let exported = || client.metric("booking_spans_exported_total", "");

    // Passing: the same batch comes again.
    collector.refuse(503, 1);
    traced.balance(user).await;
    collector.until("it came", |spans| spans.len() == 2).await;
    assert_eq!(collector.n_requests(), 2);
    client
        .until("it counts", || async { exported().await == Some(2.0) })
        .await;

    // For good: it is lost.
    collector.refuse(400, 1);
    traced.balance(user).await;
    client
        .until("it is given up", || async { dropped(client, "not_taken").await == 2.0 })
        .await;

    // Taken, and thrown away in part.
    collector.reject(1);
    traced.balance(user).await;
    client
        .until("one is missed", || async { dropped(client, "rejected").await == 1.0 })
        .await;
    assert_eq!(exported().await, Some(3.0));
    app.stop().await;
}

/// Nothing waits for the next batch at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_spans_are_sent_at_the_end() {
    let collector = Collector::start().await;
    let app = TestApp::small(&[NONE_OF_OURS, &collector.setting()]).await;
    app.client.traced(KEPT).balance(&app.users[0]).await;
    app.stop().await;
    assert_eq!(collector.spans().len(), 2);
}
