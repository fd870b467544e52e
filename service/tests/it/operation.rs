//! Health, metrics, overload, trouble with the database, stopping.

use std::time::{Duration, Instant};

use booking_service::admin::dataset::Shape;
use futures::future::{join, join_all};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::app::{SMALL, TestApp, of_kind};
use crate::locked::Locked;
use crate::scenarios::client::fresh_key;

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let get = |path: &'static str| client.send(client.http().get(client.url(path)));
    assert_eq!(get("/health/live").await.status, 200);
    assert_eq!(
        get("/health/ready").await.body,
        serde_json::json!({"ready": true, "away": []})
    );
    client.place("x").await.expect(401, "token-invalid");
    let metrics = client.metrics().await;
    for part in [
        r#"booking_info{engine="sqlite",namespace="soundcheck",version="#,
        r#"booking_http_requests_total{method="GET",route="/v1/queue/token",status="401"} 1"#,
        r#"booking_http_request_duration_seconds_count{method="GET",outcome="not_admitted",route="/v1/queue/token"} 1"#,
        "process_resident_memory_bytes",
        r#"booking_database_pool_connections{pool="writer",state="max"} 1"#,
    ] {
        assert!(metrics.contains(part), "no {part} in\n{metrics}");
    }
}

/// Rates see increases only: the first failure of a route must find its series at 0.
#[tokio::test(flavor = "multi_thread")]
async fn what_objectives_count_is_there_before_it_happens() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let document = client.send(client.http().get(client.url("/openapi.json"))).await;
    let document = document.expect(200, "").body;
    let metrics = client.metrics().await;
    let counted = |method: &str, route: &str, outcome: &str| {
        let labels = format!(r#"{{method="{method}",outcome="{outcome}",route="{route}"}}"#);
        let name = format!("booking_http_request_duration_seconds_count{labels} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name))
    };
    let mut n_operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let is_counted = path.starts_with("/v1/");
            n_operations += usize::from(is_counted);
            for outcome in ["ok", "overloaded", "error"] {
                let expected = is_counted.then_some("0");
                let is_asked = path == "/openapi.json" && outcome == "ok";
                assert_eq!(
                    counted(&method, path, outcome),
                    expected.or(is_asked.then_some("1")),
                    "{method} {path}"
                );
            }
        }
    }
    assert_eq!(n_operations, 11);
    for route in ["/v1/reservations", "/v1/payments"] {
        assert_eq!(counted("POST", route, "contended"), Some("0"), "{route}");
    }
    // They are the series that requests count in, and none stands beside them.
    let n_series = |text: &str| {
        let series = text.lines();
        series
            .filter(|line| line.starts_with("booking_http_request_duration_seconds_count{"))
            .count()
    };
    client.balance(&app.users[0]).await;
    let after = client.metrics().await;
    let of_scrapes = 1;
    assert_eq!(n_series(&after), n_series(&metrics) + of_scrapes);
}

/// Each switch by its name in the configuration, with the value that it has.
#[tokio::test(flavor = "multi_thread")]
async fn the_info_series_names_every_switch() {
    let settings = [
        "cache=off",
        "cache.ttl=1500ms",
        "locking=immediate",
        "pool.size=3",
        "resilience=off",
        "mutants=D4,D9",
    ];
    let app = TestApp::small(&settings).await;
    let metrics = app.client.metrics().await;
    let mut shown: Vec<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("booking_switch_info"))
        .collect();
    shown.sort_unstable();
    let expected = [
        r#"{switch="cache.mode",value="off"} 1"#,
        r#"{switch="cache.stampede",value="single-flight"} 1"#,
        r#"{switch="cache.ttl",value="1s 500ms"} 1"#,
        r#"{switch="events.mode",value="outbox"} 1"#,
        r#"{switch="locking",value="immediate"} 1"#,
        r#"{switch="mutants",value="D4"} 1"#,
        r#"{switch="mutants",value="D9"} 1"#,
        r#"{switch="pool.size",value="3"} 1"#,
        r#"{switch="queue.mode",value="sql"} 1"#,
        r#"{switch="resilience.mode",value="off"} 1"#,
    ];
    assert_eq!(shown, expected);
}

/// What the cache can count is 0 before anything happened, and what it cannot count is missing: a share of nothing is
/// none, and not 0.
#[tokio::test(flavor = "multi_thread")]
async fn the_cache_counts_from_0_and_only_what_can_be() {
    let local = [
        r#"booking_cache_loads_total{reason="miss"} 0"#,
        r#"booking_cache_requests_total{layer="database",result="miss"} 0"#,
        r#"booking_cache_requests_total{layer="local",result="hit"} 0"#,
    ];
    let refreshed = [
        &[local[0], r#"booking_cache_loads_total{reason="refresh"} 0"#],
        &local[1..],
    ]
    .concat();
    for (settings, expected) in [
        (
            ["cache.mode=off", "cache.stampede=none"],
            &[r#"booking_cache_loads_total{reason="off"} 0"#][..],
        ),
        (["cache.mode=local", "cache.stampede=single-flight"], &local),
        (["cache.mode=local", "cache.stampede=early-refresh"], &refreshed),
    ] {
        let app = TestApp::small(&settings).await;
        let metrics = app.client.metrics().await;
        let shown: Vec<_> = metrics
            .lines()
            .filter(|line| {
                ["booking_cache_loads_total{", "booking_cache_requests_total"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .collect();
        assert_eq!(shown, expected, "{settings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_continued_and_requests_have_names() {
    let app = TestApp::small(&[]).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = app.client.http().get(app.client.url("/health/live"));
    let response = request
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .send()
        .await
        .unwrap();
    let passed_on = response.headers()["traceparent"].to_str().unwrap();
    assert!(passed_on.starts_with(&format!("00-{trace}-")), "{passed_on}");
    assert!(response.headers().contains_key("x-request-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_serves_reads_and_never_hides_a_change() {
    let app = TestApp::small(&["cache.ttl=1h"]).await;
    let client = &app.client;
    let token = client.admitted(&app.users[0]).await;
    let schedule = &app.schedules[0];
    for _ in 0..10 {
        client.seats(&token, schedule).await.expect(200, "");
    }
    assert_eq!(
        client.metric("booking_cache_requests_total", r#"result="hit""#).await,
        Some(9.0)
    );
    assert_eq!(client.metric("booking_cache_loads_total", "").await, Some(1.0));
    let mut free = client.free_seats(&token, schedule).await;
    while let Some(seat) = free.pop() {
        client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
        assert_eq!(client.free_seats(&token, schedule).await, free);
    }
    // Sold out is an answer like any other, and cached like any other.
    let loads = client.metric("booking_cache_loads_total", "").await;
    assert_eq!(client.free_seats(&token, schedule).await, [] as [String; 0]);
    assert_eq!(client.metric("booking_cache_loads_total", "").await, loads);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_readers_loads() {
    let shape = Shape {
        n_seats: 2_000,
        n_concerts: 1,
        n_schedules: 1,
        ..SMALL
    };
    let app = TestApp::with(shape, &["cache.ttl=1h"]).await;
    let client = &app.client;
    let token = client.admitted(&app.users[0]).await;
    join_all((0..50).map(|_| client.seats(&token, &app.schedules[0]))).await;
    assert_eq!(client.metric("booking_cache_loads_total", "").await, Some(1.0));
}

/// A reader finds nothing, and only goes on when another one has loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_finds_nothing_and_is_overtaken_does_not_load_again() {
    let app = TestApp::small(&["cache.ttl=1h", "namespace=overtaken"]).await;
    let client = &app.client;
    let token = client.admitted(&app.users[0]).await;
    fail::cfg("overtaken/seat-map-missed", "1*pause").unwrap();
    let overtaken = client.seats(&token, &app.schedules[0]);
    let other = async {
        client
            .until("a reader finds nothing", || async {
                client.metric("booking_cache_requests_total", r#"result="miss""#).await == Some(1.0)
            })
            .await;
        client.seats(&token, &app.schedules[0]).await.expect(200, "");
        fail::cfg("overtaken/seat-map-missed", "off").unwrap();
    };
    let (answer, ()) = join(overtaken, other).await;
    answer.expect(200, "");
    let misses = client.metric("booking_cache_requests_total", r#"result="miss""#).await;
    assert_eq!(misses, Some(2.0), "the other one found nothing either");
    assert_eq!(client.metric("booking_cache_loads_total", "").await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_shed_before_any_work_and_passes() {
    let app = TestApp::small(&["resilience.max_in_flight=1", "cache.mode=off"]).await;
    let client = &app.client;
    let url = client.url(&format!("/v1/users/{}/balance", app.users[0]));
    // With the writer locked, one charge stays in flight until it gives up.
    let lock = Locked::new(app.database()).await;
    let stuck = client.charge(&app.users[0], 5, "stuck");
    let shed = async {
        client
            .until("the charge is in flight", || async {
                client.metric("booking_http_requests_in_flight", "").await == Some(1.0)
            })
            .await;
        client.http().get(&url).send().await.unwrap()
    };
    let (stuck, shed) = futures::join!(stuck, shed);
    assert_eq!(shed.status(), 503);
    assert_eq!(shed.headers()["retry-after"], "1");
    assert_eq!(client.metric("booking_http_shed_total", "in_flight").await, Some(1.0));
    assert!([503, 504].contains(&stuck.status), "{stuck:?}");
    assert!(
        !stuck.body.to_string().contains("locked"),
        "the cause must not leak: {stuck:?}"
    );
    lock.release().await;
    assert!(client.balance(&app.users[0]).await > 0);
}

/// The rounds that nobody asked for find no free connection either, and nobody is answered by them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_shed_for_want_of_a_connection_is_counted_for_requests_alone() {
    let settings = [
        "resilience.request_timeout=2s",
        "sweep.interval=20ms",
        "hold.ttl=10s",
        "queue.active_ttl=10h",
    ];
    let app = TestApp::small(&settings).await;
    let client = &app.client;
    let seat = app.seats(0).await.remove(0);
    let token = client.admitted(&app.users[0]).await;
    client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
    let lock = Locked::new(app.database()).await;
    // The sweeper tries to end the hold, beside so many that each of them waits in vain now and then.
    client.shift_clock(Duration::from_secs(11)).await;
    let found = || client.metric("booking_database_errors_total", r#"call="expire",kind="pool_timeout""#);
    let deadline = Instant::now() + Duration::from_secs(300);
    let mut n_shed = 0;
    while n_shed == 0 || found().await.is_none() {
        assert!(Instant::now() < deadline, "the sweeper always found a connection");
        let answers = join_all((0..20).map(|n| client.charge(&app.users[n % 10], 5, "k"))).await;
        n_shed += answers.iter().filter(|answer| answer.code() == "overloaded").count();
    }
    let counted = client.metric("booking_http_shed_total", r#"reason="pool""#).await;
    assert_eq!(counted, Some(n_shed as f64));
    lock.release().await;
}

/// What `resilience` does, it does not when it is off: nothing is shed, and no request is cut off at its deadline.
#[tokio::test(flavor = "multi_thread")]
async fn without_resilience_nothing_is_shed_or_cut_off() {
    let settings = [
        "resilience=off",
        "resilience.max_in_flight=1",
        "resilience.request_timeout=300ms",
    ];
    let app = TestApp::small(&settings).await;
    let client = &app.client;
    let lock = Locked::new(app.database()).await;
    let stuck = client.charge(&app.users[0], 5, "stuck");
    let others = async {
        let in_flight = || async { client.metric("booking_http_requests_in_flight", "").await == Some(1.0) };
        client.until("the charge is in flight", in_flight).await;
        let begun = Instant::now();
        // Each beside the charge, the last ones long after its deadline.
        client
            .until("the deadline is over", || async {
                client.balance(&app.users[1]).await;
                begun.elapsed() > Duration::from_millis(900)
            })
            .await;
        assert!(in_flight().await, "the charge was cut off");
        lock.release().await;
    };
    let (stuck, ()) = futures::join!(stuck, others);
    stuck.expect(200, "");
    assert_eq!(client.metric("booking_http_shed_total", "").await, Some(0.0));
    assert_eq!(client.metric("booking_http_deadline_exceeded_total", "").await, None);
}

/// With `early-refresh` one reader of an old entry has it read anew, and is answered from the cache meanwhile: nobody ever
/// waits for the database.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_refreshed_before_it_ends() {
    let settings = [
        "cache.mode=local",
        "cache.stampede=early-refresh",
        "cache.ttl=100m",
        "queue.active_ttl=10h",
    ];
    let app = TestApp::small(&settings).await;
    let client = &app.client;
    let token = client.admitted(&app.users[0]).await;
    let read = || async {
        client.seats(&token, &app.schedules[0]).await.expect(200, "");
    };
    let loads = |reason: &'static str| client.metric("booking_cache_loads_total", reason);
    let at = |minutes: u64| client.shift_clock(Duration::from_secs(minutes * 60));
    read().await;
    at(75).await;
    read().await;
    assert_eq!((loads("miss").await, loads("refresh").await), (Some(1.0), Some(0.0)));
    at(85).await;
    read().await;
    let stored = || client.metric("booking_cache_fills_total", "stored");
    client
        .until("it is read anew", || async { stored().await == Some(2.0) })
        .await;
    // After the end of the first, and before the second one is old.
    at(150).await;
    read().await;
    assert_eq!((loads("miss").await, loads("refresh").await), (Some(1.0), Some(1.0)));
    let hits = client.metric("booking_cache_requests_total", r#"result="hit""#);
    assert_eq!(hits.await, Some(3.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_fails_requests_and_recovers() {
    let app = TestApp::small(&["resilience.request_timeout=2s"]).await;
    let client = &app.client;
    let seat = app.seats(0).await.remove(0);
    let token = client.admitted(&app.users[0]).await;
    let lock = Locked::new(app.database()).await;
    let answers = join_all((0..20).map(|_| async { client.hold(&token, &seat, &fresh_key()).await })).await;
    for answer in &answers {
        assert!([503, 504].contains(&answer.status), "{answer:?}");
    }
    // So does the waiting room, which is in the same file; who found no free connection is told that it is an overload.
    let entries = join_all((0..20).map(|n| client.enter(&app.users[1 + n % 9]))).await;
    for answer in &entries {
        assert!(
            matches!(
                (answer.status, answer.code()),
                (503, "overloaded") | (504, "unavailable" | "deadline")
            ),
            "{answer:?}"
        );
    }
    assert!(
        entries.iter().any(|answer| answer.code() == "overloaded"),
        "{entries:?}"
    );
    // Readers of the file go on.
    client.seats(&token, &app.schedules[0]).await.expect(200, "");
    lock.release().await;
    let held = || async { client.hold(&token, &seat, &fresh_key()).await.status };
    client
        .until("holds work again", || async { [201, 409].contains(&held().await) })
        .await;
    let audit = app.audit().await;
    assert_eq!(of_kind(&audit, "reservation").count(), 1, "one of them has the seat");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_makes_it_unready_until_it_is_free() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let ready = || client.send(client.http().get(client.url("/health/ready")));
    // Readers go on, and without changes no user can do anything.
    let lock = Locked::new(app.database()).await;
    let away = ready().await;
    assert_eq!(
        (away.status, away.body),
        (503, serde_json::json!({"ready": false, "away": ["database"]}))
    );
    let alive = client.send(client.http().get(client.url("/health/live"))).await;
    assert_eq!(alive.status, 200, "a restart would not help");
    lock.release().await;
    client
        .until("it is ready again", || async { ready().await.status == 200 })
        .await;
    assert_eq!(ready().await.body, serde_json::json!({"ready": true, "away": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_requests_first() {
    let app = TestApp::small(&[]).await;
    let client = app.client.clone();
    let users = app.users.clone();
    let before = client.balance(&users[0]).await;
    let url = client.url(&format!("/v1/users/{}/balance/charges", users[0]));
    let requests = (0..40).map(|n| {
        let request = client.http().post(&url).header("idempotency-key", format!("k{n}"));
        async move {
            request
                .body(r#"{"amount":1}"#)
                .send()
                .await
                .map(|response| response.status().as_u16())
        }
    });
    let requests = tokio::spawn(join_all(requests));
    client
        .until("some are through", || async {
            client.balance(&users[0]).await > before
        })
        .await;
    let database = app.database();
    let _folder = app.stop().await;
    // Every request was answered, or never taken; none was cut after it had taken effect.
    let n_charged = requests
        .await
        .unwrap()
        .into_iter()
        .filter(|status| matches!(status, Ok(200)))
        .count();
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let (n_rows,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM balance_ledger")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(usize::try_from(n_rows).unwrap(), n_charged);
}
