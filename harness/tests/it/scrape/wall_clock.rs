//! How far the clocks of real servers and of the real service are from ours.

use std::sync::Arc;

use booking_service::app::App;
use booking_service::config::{Config, Source};
use booking_service::metrics::Metrics;
use booking_service::store::Store;
use soundcheck::recording::RunClock;
use soundcheck::recording::model::ClockOffset;
use soundcheck::scrape::wall_clock;

use crate::support::mysql_server::MySqlServer;
use crate::support::redis_server::RedisServer;

/// Two readings of the calendar and of the monotonic clock, some microseconds apart.
const ANCHOR_NS: u64 = 100_000;

#[track_caller]
fn check(offset: &ClockOffset, of: &str, true_ns: i64) {
    assert_eq!(offset.of, of);
    let error_ns = offset.offset_ns.abs_diff(true_ns);
    assert!(
        error_ns <= offset.uncertainty_ns + ANCHOR_NS,
        "off by {error_ns} ns: {offset:?}"
    );
    assert!(offset.uncertainty_ns < 1_000_000_000, "{offset:?} says nothing");
}

/// Containers share this machine's clock, so that the truth is known.
#[tokio::test(flavor = "multi_thread")]
async fn servers_on_this_machine_have_no_offset() {
    let (mysql, redis) = futures::join!(MySqlServer::start(), RedisServer::start());
    let (Some(mysql), Some(redis)) = (mysql, redis) else {
        return;
    };
    let clock = RunClock::start();
    check(&wall_clock::of_mysql(&mysql.url(), clock).await.unwrap(), "mysql", 0);
    check(&wall_clock::of_redis(&redis.url(), clock).await.unwrap(), "redis", 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_clock_was_moved_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        format!("database.url=sqlite://{}", folder.path().join("a.db").display()),
        "token.secret=only for these tests".to_owned(),
        "listen=127.0.0.1:0".to_owned(),
    ];
    let config = || Config::from_source(Source::new().flags(&settings)).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    Store::migrate(&config(), metrics).await.unwrap().close().await;
    let app = App::start(config()).await.unwrap();
    let base = format!("http://{}", app.address());
    let clock = RunClock::start();
    let measured = async || {
        let offset = wall_clock::of_service(&format!("{base}/metrics"), clock).await.unwrap();
        offset.expect("the service shows its clock")
    };
    check(&measured().await, "service", 0);
    for offset_ms in [90_000_i64, -3_600_000] {
        let body = serde_json::json!({ "offset_ms": offset_ms }).to_string();
        let request = reqwest::Client::new().post(format!("{base}/test/clock"));
        let moved = request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(moved.status().is_success(), "{moved:?}");
        check(&measured().await, "service", offset_ms * 1_000_000);
    }
    // Another build, or another program, does not show it: that is not an offset of zero.
    let without = wall_clock::of_service(&format!("{base}/health/live"), clock)
        .await
        .unwrap();
    assert_eq!(without, None);
    app.stop().await;
}
