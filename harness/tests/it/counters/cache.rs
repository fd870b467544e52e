//! Seat maps: as sets, after changes, and from the cache.

use std::time::Duration;

use soundcheck::config::JourneyKind::{Abandon, HoldCycle, SeatMap};
use soundcheck::config::ScenarioConfig;
use soundcheck::verdict::ledger::{Invariant, LedgerReport};

use crate::support::redis_server::RedisServer;
use crate::trial::{House, Parts, Trial, constant, is_caught, is_clean};

const SECOND: Duration = Duration::from_secs(1);

/// Many read while holds make the cache forget, so that several fill it at once.
async fn filled_at_once(defect: Option<&str>) -> LedgerReport {
    let house = House {
        settings: &[("cache.stampede", "none")],
        ..House::default()
    };
    let mut trial = Trial::start(house, defect).await;
    trial
        .load(constant(300.0, 4 * SECOND, &[(SeatMap, 90.0), (HoldCycle, 10.0)]), 1)
        .await;
    trial.judge().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d7_a_cache_that_appends() {
    is_caught(
        &filled_at_once(Some("D7")).await,
        Invariant::Staleness,
        "more than once",
    );
    is_clean(&filled_at_once(None).await, Invariant::Staleness);
}

/// Everything is held, and nobody changes anything any more; then everybody looks at what is left.
async fn sold_out(defect: Option<&str>) -> LedgerReport {
    let house = House {
        seats_per_date: 4,
        ..House::default()
    };
    let mut trial = Trial::start(house, defect).await;
    trial.load(constant(60.0, SECOND, &[(Abandon, 100.0)]), 1).await;
    trial.load(constant(300.0, SECOND, &[(SeatMap, 100.0)]), 2).await;
    trial.judge().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d8_a_cache_that_takes_sold_out_for_missing() {
    is_caught(&sold_out(Some("D8")).await, Invariant::Cache, "maps that were sold out");
    is_clean(&sold_out(None).await, Invariant::Cache);
}

/// Holds among many reads, which go on for longer; when it is over, the maps are read once more. Entries live for longer
/// than the run. Users choose evenly, so that few are refused: whoever is makes the cache forget as well, and so repairs it.
async fn read_among_holds(defect: Option<&str>) -> LedgerReport {
    let house = House {
        dates: 4,
        settings: &[("cache.ttl", "1h")],
        ..House::default()
    };
    let trial = Trial::start(house, defect).await;
    let evenly = |mut scenario: ScenarioConfig| {
        (scenario.skew.schedules, scenario.skew.seats) = (0.0, 0.0);
        scenario
    };
    futures::join!(
        trial.drive(evenly(constant(30.0, SECOND, &[(Abandon, 100.0)])), 1),
        trial.drive(evenly(constant(200.0, 3 * SECOND, &[(SeatMap, 100.0)])), 2),
    );
    trial.read_settled().await;
    trial.judge().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_a_cache_that_is_changed_before_the_commit() {
    is_caught(
        &read_among_holds(Some("D9")).await,
        Invariant::Staleness,
        "nothing had changed",
    );
    is_clean(&read_among_holds(None).await, Invariant::Staleness);
}

/// Nothing but reads.
async fn read_only(parts: Parts<'_>, defect: Option<&str>) -> LedgerReport {
    let house = House {
        parts,
        ..House::default()
    };
    let mut trial = Trial::start(house, defect).await;
    trial.load(constant(300.0, SECOND, &[(SeatMap, 100.0)]), 1).await;
    trial.judge().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d12_a_cache_that_is_never_filled() {
    let report = read_only(Parts::default(), Some("D12")).await;
    is_caught(&report, Invariant::Cache, "the cache answered nothing at all");
    is_clean(&read_only(Parts::default(), None).await, Invariant::Cache);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d17_a_check_that_borrows_a_connection() {
    let Some(redis) = RedisServer::start().await else {
        return;
    };
    let parts = Parts {
        redis: Some(&redis),
        ..Parts::default()
    };
    let report = read_only(parts, Some("D17")).await;
    is_caught(&report, Invariant::Cache, "database connections");
    is_clean(&read_only(parts, None).await, Invariant::Cache);
}
