//! Redis paused, and Redis stopped and started again: everything fails within its time, and recovers by itself.
//!
//! In a binary of its own, since the servers of other tests must not be touched.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../../service/tests/it/scenarios/mod.rs"]
pub mod scenarios;
#[path = "../support/mod.rs"]
mod support;

mod replays;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use booking_service::adapters::breaker::{BreakerLimits, BreakerState};
use booking_service::adapters::breaker_cache::BreakerCache;
use booking_service::adapters::local_cache::LocalCache;
use booking_service::adapters::redis_cache::RedisCache;
use booking_service::adapters::redis_lock::{Acquired, RedisLocks};
use booking_service::adapters::redis_queue::{LineKind, QueueLimits, RedisQueue};
use booking_service::adapters::tiered_cache::TieredCache;
use booking_service::config::Mutants;
use booking_service::domain::{QueueToken, ScheduleId, Timestamp, TokenId, UserId};
use booking_service::ports::{Lookup, SeatMapCache, Standing, Unavailable, WaitingQueue as _};
use bytes::Bytes;
use support::redis_server::{PATIENT, RedisServer, namespace};

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(1);
/// What a busy machine may add to a time-out.
const SLACK: Duration = Duration::from_secs(2);

const LIMITS: QueueLimits = QueueLimits {
    capacity: 10,
    active_ttl: Duration::from_secs(60),
    waiting_ttl: Duration::from_secs(60),
};

/// What can be done to a server. Paused, its connections stay open and nothing is answered; stopped, they break, new
/// ones are refused, and data and scripts are gone when it starts again.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Pause,
    Unpause,
    Stop,
    Start,
}

async fn apply(fault: Fault, server: &RedisServer) {
    let container = server.container.as_ref().unwrap();
    let outcome = match fault {
        Fault::Pause => container.pause().await,
        Fault::Unpause => container.unpause().await,
        Fault::Stop => container.stop_with_timeout(Some(0)).await,
        Fault::Start => container.start().await,
    };
    outcome.unwrap();
}

fn schedule(raw: i64) -> ScheduleId {
    ScheduleId::from_raw(raw).unwrap()
}

async fn fill(cache: &impl SeatMapCache, id: ScheduleId) {
    let stamp = cache.stamp(id).await.unwrap();
    let body = Bytes::from_static(b"old");
    assert!(cache.fill(id, stamp, body, Duration::ZERO, NOW).await.unwrap());
}

/// Fails, and not before or long after the time-out.
#[track_caller]
fn is_unavailable<T: std::fmt::Debug>(outcome: Result<T, Unavailable>, since: Instant) {
    assert_eq!(outcome.unwrap_err().dependency, "redis");
    let took = since.elapsed();
    assert!(took < TIMEOUT + SLACK, "it took {took:?}");
}

/// Repeats `attempt` until it succeeds; the time-out of a command paces it.
async fn until_ok<T>(mut attempt: impl AsyncFnMut() -> Result<T, Unavailable>) -> T {
    let deadline = Instant::now() + PATIENT;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "no recovery: {error:?}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_paused_redis_is_unavailable_in_time_and_usable_after() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let (connection, namespace) = (server.connect(TIMEOUT), namespace());
    let cache = RedisCache::new(connection.clone(), &namespace, Duration::from_secs(60));
    let queue = RedisQueue::new(
        connection.clone(),
        &namespace,
        LineKind::SortedSet,
        LIMITS,
        Mutants::default(),
    );
    let locks = RedisLocks::new(connection.clone(), &namespace, Duration::from_secs(60), PATIENT);
    let user = UserId::from_raw(1).unwrap();
    let (id, _) = queue.enter(user, TokenId(1), NOW).await.unwrap();
    let token = QueueToken { user, id };
    fill(&cache, schedule(1)).await;

    apply(Fault::Pause, &server).await;
    let now = Instant::now;
    let since = now();
    is_unavailable(connection.ping().await, since);
    let since = now();
    is_unavailable(cache.get(schedule(1), NOW).await, since);
    let since = now();
    is_unavailable(queue.standing(token, NOW).await, since);
    let since = now();
    is_unavailable(locks.acquire("seat:1").await, since);
    apply(Fault::Unpause, &server).await;

    until_ok(async || connection.ping().await).await;
    assert!(matches!(cache.get(schedule(1), NOW).await.unwrap(), Lookup::Hit { .. }));
    assert!(matches!(
        queue.standing(token, NOW).await.unwrap(),
        Standing::Active { .. }
    ));
    // The attempt that was not answered has been carried out late, and taken back.
    match until_ok(async || locks.acquire("seat:1").await).await {
        Acquired::Held(guard) => assert!(guard.release().await.unwrap()),
        Acquired::Busy => panic!("the lock was left behind"),
    }
}

#[tokio::test]
async fn a_restarted_redis_is_refused_at_once_and_found_again() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let (connection, namespace) = (server.connect(PATIENT), namespace());
    let queue = RedisQueue::new(
        connection.clone(),
        &namespace,
        LineKind::SortedSet,
        LIMITS,
        Mutants::default(),
    );
    let user = UserId::from_raw(1).unwrap();
    queue.enter(user, TokenId(1), NOW).await.unwrap();

    apply(Fault::Stop, &server).await;
    let since = Instant::now();
    assert!(queue.tick(NOW).await.is_err());
    assert!(
        since.elapsed() < PATIENT / 2,
        "a refusal needs no time-out: {:?}",
        since.elapsed()
    );
    apply(Fault::Start, &server).await;

    // Its scripts are gone as well; they are loaded again.
    until_ok(async || queue.enter(user, TokenId(2), NOW).await).await;
    assert_eq!(queue.tick(NOW).await.unwrap().active, 1);
}

#[tokio::test]
async fn behind_the_breaker_an_outage_costs_little_and_no_change_is_lost() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let limits = BreakerLimits {
        failures: 2,
        pause: Duration::from_millis(300),
    };
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let shared = RedisCache::new(server.connect(TIMEOUT), &namespace(), Duration::from_secs(60));
    let breaker = BreakerCache::new(
        shared,
        limits,
        Box::new(move |state| listener.lock().unwrap().push(state)),
    );
    let tiered = TieredCache::new(LocalCache::new(Duration::from_secs(1), 1 << 20), breaker.clone());
    fill(&breaker, schedule(1)).await;
    fill(&breaker, schedule(2)).await;

    apply(Fault::Pause, &server).await;
    breaker.invalidate(schedule(1)).await.unwrap();
    assert!(breaker.get(schedule(2), NOW).await.is_err());
    assert_eq!(breaker.state(), BreakerState::Open);
    let since = Instant::now();
    for _ in 0..1_000 {
        assert!(breaker.get(schedule(2), NOW).await.is_err());
    }
    assert!(
        since.elapsed() < TIMEOUT * 20,
        "an open breaker does not wait: {:?}",
        since.elapsed()
    );
    // The local layer carries on alone.
    fill(&tiered, schedule(3)).await;
    assert!(matches!(
        tiered.get(schedule(3), NOW).await.unwrap(),
        Lookup::Hit { layer: "local", .. }
    ));
    apply(Fault::Unpause, &server).await;

    until_ok(async || breaker.get(schedule(2), NOW).await).await;
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert!(
        matches!(breaker.get(schedule(1), NOW).await.unwrap(), Lookup::Miss(_)),
        "changed during the outage"
    );
    let told = told.lock().unwrap();
    assert_eq!(told.first(), Some(&BreakerState::Closed));
    assert!(
        told.ends_with(&[BreakerState::HalfOpen, BreakerState::Closed]),
        "{told:?}"
    );
}
