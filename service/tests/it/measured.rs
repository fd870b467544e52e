//! Every metric that is defined is measured: it leaves 0 when what it tells of happens.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use booking_service::metrics::DEFINITIONS;
use futures::future::join_all;
use rdkafka::mocking::MockCluster;

use crate::app::TestApp;
use crate::locked::Locked;
use crate::scenarios::client::fresh_key;
use crate::spawning::while_quiet;

/// What cannot be brought about here, and the test that does it, by its file and a word of it.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    // Redis.
    (
        "booking_lock_wait_seconds",
        "harness/tests/it/redis_outage/replays.rs",
        "booking_lock_wait_seconds_count",
    ),
    (
        "booking_breaker_state",
        "harness/tests/it/redis_outage/replays.rs",
        "booking_breaker_state",
    ),
    (
        "booking_breaker_opened_total",
        "harness/tests/it/redis_outage/replays.rs",
        "booking_breaker_opened_total",
    ),
    // A process of its own, for its fail points.
    (
        "booking_http_deadline_exceeded_total",
        "service/tests/it/process.rs",
        "booking_http_deadline_exceeded_total",
    ),
    // A collector.
    (
        "booking_spans_exported_total",
        "service/tests/it/traces.rs",
        "booking_spans_exported_total",
    ),
    (
        "booking_spans_dropped_total",
        "service/tests/it/traces.rs",
        "booking_spans_dropped_total",
    ),
    // More tasks at once than workers take.
    (
        "booking_runtime_queue_depth",
        "service/src/metrics.rs",
        "told.map(IntGauge::get), [1, 3, 3]",
    ),
    // A defect.
    (
        "booking_seats_oversold_total",
        "service/tests/it/mutants.rs",
        "booking_seats_oversold_total",
    ),
    // More seat maps than 32 MiB hold.
    (
        "booking_cache_evictions_total",
        "service/src/adapters/local_cache.rs",
        "LocalCache::counting",
    ),
];
/// Back at 0 long before anybody can look: a read of a small map takes less than a millisecond. What it counts goes into
/// `booking_cache_loader_concurrency` as well.
const TOO_SHORT: &str = "booking_cache_loaders";

/// The metrics that were seen with another value than 0.
#[derive(Default)]
struct Moved(BTreeSet<&'static str>);

impl Moved {
    fn note(&mut self, text: &str) {
        for definition in DEFINITIONS {
            let suffix = if definition.buckets.is_empty() { "" } else { "_count" };
            let name = format!("{}{suffix}", definition.name);
            let has_moved = text.lines().any(|line| {
                let value = line.strip_prefix(&name).filter(|rest| rest.starts_with(['{', ' ']));
                value.is_some_and(|rest| rest.rsplit(' ').next() != Some("0"))
            });
            if has_moved {
                self.0.insert(definition.name);
            }
        }
    }

    /// Looks until all of `names` have moved, which may be at different times.
    async fn see(&mut self, app: &TestApp, names: &[&'static str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.note(&app.client.metrics().await);
            let missing: Vec<_> = names.iter().filter(|name| !self.0.contains(*name)).collect();
            if missing.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "never moved: {missing:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn pay(app: &TestApp, user: usize) {
    let client = &app.client;
    let token = client.admitted(&app.users[user]).await;
    let seat = client.free_seats(&token, &app.schedules[0]).await.remove(0);
    client
        .charge(&app.users[user], 1_000_000, &fresh_key())
        .await
        .expect(200, "");
    let held = client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
    client
        .pay(&token, &held.text("reservation_id"), &fresh_key())
        .await
        .expect(200, "");
}

/// A broker that is away, a record that is stuck, one that its handler refuses, a database that is locked.
async fn events(moved: &mut Moved) {
    let cluster = MockCluster::new(1).unwrap();
    let brokers = format!("kafka.brokers={}", cluster.bootstrap_servers());
    let settings = [
        "namespace=measured",
        "events.lease_ttl=1s",
        "events.retry_attempts=1",
        "events.retry_backoff=20ms",
        "resilience.request_timeout=4s",
        &brokers,
    ];
    let app = TestApp::small(&settings).await;
    moved.see(&app, &["booking_outbox_leases"]).await;
    // Before anything was consumed of a partition, what lags in it is not known.
    pay(&app, 0).await;
    let applied = [
        "booking_outbox_published_total",
        "booking_outbox_published_timestamp_seconds",
        "booking_publish_lag_seconds",
        "booking_consumer_messages_total",
        "booking_consumer_settled_timestamp_seconds",
        "booking_effect_lag_seconds",
    ];
    moved.see(&app, &applied).await;
    fail::cfg("measured/consumer-handler", "1*sleep(6000)->2*return->off").unwrap();
    while_quiet(|| cluster.broker_down(-1).unwrap());
    pay(&app, 1).await;
    let waiting = ["booking_outbox_pending", "booking_outbox_oldest_age_seconds"];
    moved.see(&app, &waiting).await;
    while_quiet(|| cluster.broker_up(-1).unwrap());
    let stuck = ["booking_consumer_lag_messages", "booking_consumer_lag_seconds"];
    moved.see(&app, &stuck).await;
    pay(&app, 2).await;
    let refused = ["booking_consumer_errors_total", "booking_dead_letters_total"];
    moved.see(&app, &refused).await;
    let lock = Locked::new(app.database()).await;
    moved.see(&app, &["booking_outbox_publish_errors_total"]).await;
    lock.release().await;
    while_quiet(|| drop(cluster));
}

/// A service that may do one thing at a time, and does that in vain.
async fn overload(moved: &mut Moved) {
    let app = TestApp::small(&["resilience.max_in_flight=1", "resilience.request_timeout=4s"]).await;
    let lock = Locked::new(app.database()).await;
    let client = &app.client;
    let stuck = client.charge(&app.users[0], 5, "stuck");
    let shed = async {
        moved.see(&app, &["booking_http_requests_in_flight"]).await;
        client.enter(&app.users[1]).await.expect(503, "overloaded");
    };
    let (stuck, ()) = futures::join!(stuck, shed);
    assert!(stuck.status >= 500, "{stuck:?}");
    let failed = [
        "booking_http_shed_total",
        "booking_database_errors_total",
        "booking_dependency_errors_total",
    ];
    moved.see(&app, &failed).await;
    lock.release().await;
}

/// A waiting room for one, who stays for too long.
async fn waiting_room(moved: &mut Moved) {
    let app = TestApp::small(&["queue.capacity=1", "queue.active_ttl=1s"]).await;
    for user in &app.users {
        app.client.enter(user).await.expect(201, "");
    }
    let queue = [
        "booking_queue_waiting",
        "booking_queue_active",
        "booking_queue_capacity",
        "booking_queue_admitted_total",
        "booking_queue_expired_total",
        "booking_queue_entered_total",
        "booking_queue_call_duration_seconds",
    ];
    moved.see(&app, &queue).await;
}

/// All want every seat until none is left.
async fn contention(moved: &mut Moved) {
    let app = TestApp::small(&["locking=optimistic", "cache.ttl=1h"]).await;
    let client = &app.client;
    let tokens = join_all(app.users.iter().map(|user| client.admitted(user))).await;
    for seat in client.free_seats(&tokens[0], &app.schedules[0]).await {
        let holds = tokens.iter().map(|token| async {
            let key = fresh_key();
            client.hold(token, &seat, &key).await
        });
        let answers = join_all(holds).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    }
    // Two and more times: the first one reads the database. A token that was looked at a moment ago is not looked at
    // again, and later it is.
    let deadline = Instant::now() + Duration::from_secs(60);
    while client.metric("booking_cache_hit_connections_total", "").await == Some(0.0) {
        assert!(
            Instant::now() < deadline,
            "no answer from the cache looked at its token"
        );
        assert_eq!(
            client.free_seats(&tokens[0], &app.schedules[0]).await,
            [] as [String; 0]
        );
    }
    moved.note(&client.metrics().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_metric_moves() {
    let mut moved = Moved::default();
    events(&mut moved).await;
    overload(&mut moved).await;
    waiting_room(&mut moved).await;
    contention(&mut moved).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, file, word) in ELSEWHERE {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(word), "{name} is not shown by {file}");
    }
    let elsewhere = ELSEWHERE.iter().map(|(name, ..)| *name).chain([TOO_SHORT]);
    let shown: BTreeSet<&str> = moved.0.iter().copied().chain(elsewhere).collect();
    let unmoved: Vec<&str> = DEFINITIONS
        .iter()
        .map(|definition| definition.name)
        .filter(|name| !shown.contains(name))
        .collect();
    assert!(unmoved.is_empty(), "nothing here moves {unmoved:?}");
}
