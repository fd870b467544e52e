//! The executed seat map and its index, by what MySQL counts for its digest.

use std::time::Duration;

use soundcheck::config::JourneyKind::SeatMap;
use soundcheck::verdict::ledger::{Invariant, LedgerReport};

use crate::support::mysql_server::MySqlServer;
use crate::support::redis_server::RedisServer;
use crate::trial::{House, Parts, Trial, constant, is_caught, is_clean};

/// Reads of the maps of many dates, all from the database.
async fn read(parts: Parts<'_>, defect: Option<&str>) -> LedgerReport {
    let house = House {
        parts,
        dates: 40,
        seats_per_date: 50,
        settings: &[("cache.mode", "off")],
        ..House::default()
    };
    let mut trial = Trial::start(house, defect).await;
    trial
        .load(constant(60.0, Duration::from_secs(2), &[(SeatMap, 100.0)]), 1)
        .await;
    trial.judge().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d13_a_cast_that_no_index_serves() {
    let (mysql, redis) = futures::join!(MySqlServer::start(), RedisServer::start());
    let (Some(mysql), Some(redis)) = (&mysql, &redis) else {
        return;
    };
    let parts = Parts {
        mysql: Some(mysql),
        redis: Some(redis),
    };
    is_caught(
        &read(parts, Some("D13")).await,
        Invariant::Index,
        "no index leads to them",
    );
    is_clean(&read(parts, None).await, Invariant::Index);
}
