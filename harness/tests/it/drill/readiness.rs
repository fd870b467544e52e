//! What the service says of itself when a server that it needs does not answer, and when it does again.

use booking_service::app::App;
use booking_service::config::{Config, Source};
use booking_service::metrics::Metrics;
use booking_service::store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testcontainers::{ContainerAsync, GenericImage};

use crate::MEASURING;
use crate::support::mysql_server::MySqlServer;
use crate::support::redis_server::RedisServer;

const WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Migrates and starts a service with these settings.
async fn start(settings: &[&str]) -> App {
    let fixed = [
        "token.secret=only for these tests",
        "listen=127.0.0.1:0",
        "namespace=ready",
    ];
    let settings: Vec<&str> = fixed.iter().chain(settings).copied().collect();
    let config = || Config::from_source(Source::new().flags(&settings)).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    Store::migrate(&config(), metrics).await.unwrap().close().await;
    App::start(config()).await.unwrap()
}

async fn ready(app: &App) -> (u16, Value) {
    let response = reqwest::get(format!("http://{}/health/ready", app.address()))
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn until_ready(app: &App) {
    let deadline = Instant::now() + WITHIN;
    while ready(app).await != (200, json!({"ready": true, "away": []})) {
        assert!(
            Instant::now() < deadline,
            "it does not become ready: {:?}",
            ready(app).await
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Unready with `away` while the container is paused, and ready before and after.
async fn check_paused(app: &App, container: &ContainerAsync<GenericImage>, away: &[&str]) {
    until_ready(app).await;
    container.pause().await.unwrap();
    let said = ready(app).await;
    container.unpause().await.unwrap();
    assert_eq!(said, (503, json!({"ready": false, "away": away})));
    until_ready(app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_needed_and_paused_makes_the_service_unready_until_it_goes_on() {
    let _alone = MEASURING.lock().await;
    let (mysql, redis) = futures::join!(MySqlServer::start(), RedisServer::start());
    let (Some(mysql), Some(redis)) = (mysql, redis) else {
        return;
    };
    let database = format!("database.url={}", mysql.url());
    let redis_url = format!("redis.url={}", redis.url());
    let app = start(&[&database, &redis_url, "locking=redis-lock"]).await;
    check_paused(&app, mysql.container.as_ref().unwrap(), &["database"]).await;
    check_paused(&app, redis.container.as_ref().unwrap(), &["queue", "locks"]).await;
    app.stop().await;
}
