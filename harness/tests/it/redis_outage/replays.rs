//! A service on SQLite whose Redis goes: what is committed is answered again under its key, although the waiting room is
//! away, and the metrics tell of the outage.

use std::sync::Arc;

use booking_service::admin::dataset::Shape;
use booking_service::admin::seed;
use booking_service::app::App;
use booking_service::config::{Config, Source};
use booking_service::metrics::Metrics;
use booking_service::store::Store;

use crate::scenarios::client::{Answer, Client, fresh_key};
use crate::support::redis_server::{RedisServer, namespace};
use crate::{Fault, apply};

const SMALL: Shape = Shape {
    seed: 1,
    n_users: 3,
    n_concerts: 1,
    n_schedules: 1,
    n_seats: 5,
    skew: 0.0,
};

/// A hold and a payment that were answered, and what else may be asked under their keys.
struct Visit {
    token: String,
    seat: String,
    other_seat: String,
    held: Answer,
    paid: Answer,
}

impl Visit {
    const KEY: &str = "visit";

    async fn pay(client: &Client, user: &str, schedule: &str) -> Self {
        let token = client.admitted(user).await;
        let mut seats = client.free_seats(&token, schedule).await;
        let (seat, other_seat) = (seats.remove(0), seats.remove(0));
        let held = client.hold(&token, &seat, Self::KEY).await.expect(201, "");
        let reservation = held.text("reservation_id");
        let paid = client.pay(&token, &reservation, Self::KEY).await.expect(200, "");
        Self {
            token,
            seat,
            other_seat,
            held,
            paid,
        }
    }

    async fn is_answered_again(&self, client: &Client) {
        let reservation = self.held.text("reservation_id");
        assert_eq!(client.hold(&self.token, &self.seat, Self::KEY).await, self.held);
        assert_eq!(client.pay(&self.token, &reservation, Self::KEY).await, self.paid);
        let other = client.hold(&self.token, &self.other_seat, Self::KEY).await;
        other.expect(422, "idempotency-mismatch");
    }
}

/// A service with its data.
struct Service {
    app: App,
    client: Client,
    users: Vec<String>,
    schedule: String,
    _folder: tempfile::TempDir,
}

async fn start(server: &RedisServer, extra: &[&str]) -> Service {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = vec![
        "token.secret=only for these tests".to_owned(),
        "listen=127.0.0.1:0".to_owned(),
        "logging.level=off".to_owned(),
        // Four times what a request waits for a Redis that does not answer.
        "resilience.request_timeout=8s".to_owned(),
        format!("namespace={}", namespace().replace('-', "_")),
        format!("redis.url={}", server.url()),
        format!("database.url=sqlite://{}", folder.path().join("booking.db").display()),
    ];
    settings.extend(extra.iter().map(|setting| (*setting).to_owned()));
    let config = || Config::from_source(Source::new().flags(&settings)).unwrap();
    let store = Store::migrate(&config(), Arc::new(Metrics::new().unwrap()))
        .await
        .unwrap();
    let catalogue = seed::fill(&store, &SMALL).await.unwrap();
    store.close().await;
    let app = App::start(config()).await.unwrap();
    Service {
        client: Client::new(&format!("http://{}", app.address())),
        users: catalogue.users.iter().map(ToString::to_string).collect(),
        schedule: catalogue.concerts[0].schedules[0].schedule_id.to_string(),
        app,
        _folder: folder,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_of_a_redis_that_is_away_and_back() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    // The waiting room is elsewhere, so that requests come as far as the cache and the locks.
    let service = start(&server, &["queue.mode=sql", "cache.mode=redis", "locking=redis-lock"]).await;
    let client = &service.client;
    let token = client.admitted(&service.users[0]).await;
    let mut seats = client.free_seats(&token, &service.schedule).await;
    let lock_waits = |result: &'static str| client.metric("booking_lock_wait_seconds_count", result);
    let breaker = || client.metric("booking_breaker_state", r#"dependency="redis""#);
    let errors = || client.metric("booking_dependency_errors_total", r#"dependency="redis""#);
    client
        .hold(&token, &seats.remove(0), &fresh_key())
        .await
        .expect(201, "");
    assert_eq!(lock_waits("acquired").await, Some(1.0));
    assert_eq!((breaker().await, errors().await), (Some(0.0), None));

    apply(Fault::Stop, &server).await;
    let opens = || async {
        assert_eq!(client.free_seats(&token, &service.schedule).await, seats);
        breaker().await == Some(2.0)
    };
    client.until("the breaker opens", opens).await;
    assert!(client.metric("booking_breaker_opened_total", "").await >= Some(1.0));
    let refused = client.hold(&token, &seats[0], &fresh_key()).await;
    refused.expect(503, "unavailable");
    assert_eq!(lock_waits("error").await, Some(1.0));
    assert!(errors().await >= Some(2.0));
    apply(Fault::Start, &server).await;

    let closes = || async {
        assert_eq!(client.free_seats(&token, &service.schedule).await, seats);
        breaker().await == Some(0.0)
    };
    client.until("the breaker closes", closes).await;
    service.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_a_key_has_its_answer_and_nothing_new_is_begun() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let Service {
        app,
        client,
        users,
        schedule,
        _folder,
    } = start(&server, &[]).await;
    let visit = Visit::pay(&client, &users[0], &schedule).await;
    let token = client.admitted(&users[1]).await;

    for (fault, healing) in [(Fault::Pause, Fault::Unpause), (Fault::Stop, Fault::Start)] {
        apply(fault, &server).await;
        visit.is_answered_again(&client).await;
        let new = client.hold(&token, &visit.other_seat, &fresh_key()).await;
        new.expect(503, "unavailable");
        apply(healing, &server).await;
        // A Redis that was stopped has forgotten who was admitted.
        let entered = || async { client.enter(&users[1]).await.status == 201 };
        client.until("the waiting room is back", entered).await;
    }
    let token = client.admitted(&users[1]).await;
    client
        .hold(&token, &visit.other_seat, &fresh_key())
        .await
        .expect(201, "");
    app.stop().await;
}
