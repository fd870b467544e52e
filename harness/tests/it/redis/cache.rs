//! Seat maps in Redis: what is served, for how long, and what a change does to fills that are under way.

use std::sync::Arc;
use std::time::Duration;

use booking_service::adapters::local_cache::LocalCache;
use booking_service::adapters::redis_cache::RedisCache;
use booking_service::adapters::tiered_cache::TieredCache;
use booking_service::domain::{ScheduleId, Timestamp};
use booking_service::ports::{FillStamp, Lookup, SeatMapCache};
use bytes::Bytes;

use crate::server;
use crate::support::redis_server::{PATIENT, namespace};

const TTL: Duration = Duration::from_secs(30);
const FILL_COST: Duration = Duration::from_micros(1_234);
const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

fn schedule() -> ScheduleId {
    ScheduleId::from_raw(42).unwrap()
}

async fn missed(cache: &impl SeatMapCache) -> FillStamp {
    match cache.get(schedule(), NOW).await.unwrap() {
        Lookup::Miss(stamp) => stamp,
        Lookup::Hit { body, .. } => panic!("expected a miss, got {body:?}"),
    }
}

async fn fill(cache: &impl SeatMapCache, stamp: FillStamp, body: &'static str) -> bool {
    let body = Bytes::from_static(body.as_bytes());
    cache.fill(schedule(), stamp, body, FILL_COST, NOW).await.unwrap()
}

async fn body(cache: &impl SeatMapCache, now: Timestamp) -> Option<Bytes> {
    match cache.get(schedule(), now).await.unwrap() {
        Lookup::Hit { body, .. } => Some(body),
        Lookup::Miss(_) => None,
    }
}

#[tokio::test]
async fn an_entry_is_served_whole_to_every_instance_until_its_lifetime_has_passed() {
    let Some(server) = server().await else {
        return;
    };
    let namespace = namespace();
    let [here, there] = [(); 2].map(|()| RedisCache::new(server.connect(PATIENT), &namespace, TTL));
    let stamp = missed(&here).await;
    assert!(fill(&here, stamp, "{\"seats\":[]}").await);
    let expected = Lookup::Hit {
        body: Bytes::from_static(b"{\"seats\":[]}"),
        filled_at: NOW,
        fill_cost: FILL_COST,
        layer: "redis",
    };
    assert_eq!(there.get(schedule(), NOW).await.unwrap(), expected);
    assert!(body(&there, NOW.plus(TTL - Duration::from_millis(1))).await.is_some());
    assert!(
        body(&there, NOW.plus(TTL)).await.is_none(),
        "the service's clock decides"
    );
    let key = format!("{{{namespace}}}:seats:42");
    let left_ms: i64 = server
        .connect(PATIENT)
        .query("test", redis::cmd("PTTL").arg(key))
        .await
        .unwrap();
    let ttl_ms = i64::try_from(TTL.as_millis()).unwrap();
    assert!(
        (1..=ttl_ms).contains(&left_ms),
        "Redis lets it go by itself: {left_ms} ms"
    );
}

#[tokio::test]
async fn a_change_forgets_the_entry_and_outdates_stamps_of_all_instances() {
    let Some(server) = server().await else {
        return;
    };
    let namespace = namespace();
    let [here, there] = [(); 2].map(|()| RedisCache::new(server.connect(PATIENT), &namespace, TTL));
    let early = missed(&here).await;
    assert!(fill(&here, early, "first").await);
    let refresh = here.stamp(schedule()).await.unwrap();
    there.invalidate(schedule()).await.unwrap();
    assert!(body(&here, NOW).await.is_none());
    assert!(!fill(&here, early, "old").await);
    assert!(!fill(&here, refresh, "old").await);
    let fresh = missed(&here).await;
    assert!(fill(&there, fresh, "new").await);
    assert_eq!(body(&here, NOW).await.unwrap(), "new");
}

/// Spends a little time, so that either side of a race comes first now and then.
async fn round_trips(cache: &impl SeatMapCache, n_trips: u32) {
    for _ in 0..n_trips {
        cache.stamp(schedule()).await.unwrap();
    }
}

/// A reader's fill and a change race, from two instances; afterwards nothing from before the change is left.
async fn race(reader: Arc<impl SeatMapCache + 'static>, writer: Arc<impl SeatMapCache + 'static>) {
    let mut dropped = 0;
    for round in 0..500 {
        let stamp = missed(&reader).await;
        let fill_under_way = tokio::spawn({
            let reader = reader.clone();
            async move {
                round_trips(&*reader, round / 4 % 4).await;
                fill(&*reader, stamp, "old").await
            }
        });
        let change = tokio::spawn({
            let writer = writer.clone();
            async move {
                round_trips(&*writer, round % 4).await;
                writer.invalidate(schedule()).await.unwrap();
            }
        });
        dropped += usize::from(!fill_under_way.await.unwrap());
        change.await.unwrap();
        assert_eq!(body(&writer, NOW).await, None, "round {round}");
    }
    // Both orders have been seen, or the race was none.
    assert!((1..500).contains(&dropped), "{dropped} of 500 fills were dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fill_outlives_a_change_that_it_races() {
    let Some(server) = server().await else {
        return;
    };
    let namespace = namespace();
    let [reader, writer] = [(); 2].map(|()| Arc::new(RedisCache::new(server.connect(PATIENT), &namespace, TTL)));
    race(reader, writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fill_outlives_a_change_that_it_races_in_two_layers() {
    let Some(server) = server().await else {
        return;
    };
    let local = LocalCache::new(Duration::from_secs(1), 1 << 20);
    let cache = Arc::new(TieredCache::new(
        local,
        RedisCache::new(server.connect(PATIENT), &namespace(), TTL),
    ));
    race(cache.clone(), cache).await;
}

#[tokio::test]
async fn the_local_layer_answers_first_and_lags_no_longer_than_stated() {
    let Some(server) = server().await else {
        return;
    };
    let namespace = namespace();
    let [here, there] = [(); 2].map(|()| {
        let shared = RedisCache::new(server.connect(PATIENT), &namespace, TTL);
        TieredCache::new(LocalCache::new(Duration::from_millis(500), 1 << 20), shared)
    });
    let stamp = missed(&here).await;
    assert!(fill(&here, stamp, "first").await);
    for expected in ["redis", "local"] {
        match there.get(schedule(), NOW).await.unwrap() {
            Lookup::Hit { layer, filled_at, .. } => assert_eq!((layer, filled_at), (expected, NOW)),
            Lookup::Miss(_) => panic!("expected a hit from {expected}"),
        }
    }
    here.invalidate(schedule()).await.unwrap();
    assert!(body(&there, NOW.plus(there.max_staleness())).await.is_none());
}
