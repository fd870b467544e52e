//! A service in this process on the servers of this binary, in a namespace of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use booking_service::admin::dataset::Shape;
use booking_service::admin::{audit, seed};
use booking_service::app::App;
use booking_service::config::{Config, Source};
use booking_service::metrics::Metrics;
use booking_service::store::Store;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::scenarios::Client;
pub(crate) use crate::scenarios::audit::of_kind;
use crate::support::mysql_server::MySqlServer;
use crate::support::redis_server::RedisServer;

/// The servers of this binary, which end with the last test that holds them.
#[derive(Debug)]
pub(crate) struct Servers {
    mysql: MySqlServer,
    redis: RedisServer,
}

static SERVERS: Mutex<Weak<Servers>> = Mutex::const_new(Weak::new());
static NAMESPACES: AtomicU32 = AtomicU32::new(0);

async fn servers() -> Option<Arc<Servers>> {
    let mut shared = SERVERS.lock().await;
    if let Some(servers) = shared.upgrade() {
        return Some(servers);
    }
    let (mysql, redis) = futures::join!(MySqlServer::start(), RedisServer::start());
    let servers = Arc::new(Servers {
        mysql: mysql?,
        redis: redis?,
    });
    *shared = Arc::downgrade(&servers);
    Some(servers)
}

/// A running service with its data.
pub(crate) struct TestApp {
    pub(crate) client: Client,
    pub(crate) users: Vec<String>,
    pub(crate) concerts: Vec<String>,
    pub(crate) schedules: Vec<String>,
    settings: Vec<String>,
    // Before the servers, so that it goes first.
    _app: App,
    _servers: Arc<Servers>,
}

impl TestApp {
    /// `None` when there can be no servers here.
    pub(crate) async fn with(shape: Shape, settings: &[&str]) -> Option<Self> {
        let servers = servers().await?;
        let namespace = format!("namespace=it_{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let database = format!("database.url={}", servers.mysql.url());
        let redis = format!("redis.url={}", servers.redis.url());
        let fixed = [
            "token.secret=only for these tests",
            "listen=127.0.0.1:0",
            // Patient: a container on a shared machine may pause for longer than a person would wait.
            "resilience.request_timeout=15s",
            &namespace,
            &database,
            &redis,
        ];
        let settings: Vec<String> = fixed
            .iter()
            .chain(settings)
            .map(|setting| (*setting).to_owned())
            .collect();
        let store = Store::migrate(&config(&settings), Arc::new(Metrics::new().unwrap()))
            .await
            .unwrap();
        let catalogue = seed::fill(&store, &shape).await.unwrap();
        store.close().await;
        let app = App::start(config(&settings)).await.unwrap();
        Some(Self {
            client: Client::new(&format!("http://{}", app.address())),
            users: catalogue.users.iter().map(ToString::to_string).collect(),
            concerts: catalogue
                .concerts
                .iter()
                .map(|concert| concert.concert_id.to_string())
                .collect(),
            schedules: catalogue
                .concerts
                .iter()
                .flat_map(|concert| &concert.schedules)
                .map(|schedule| schedule.schedule_id.to_string())
                .collect(),
            settings,
            _app: app,
            _servers: servers,
        })
    }

    /// A second instance on the same servers.
    pub(crate) async fn second(&self) -> (App, Client) {
        let app = App::start(config(&self.settings)).await.unwrap();
        let client = Client::new(&format!("http://{}", app.address()));
        (app, client)
    }

    /// Seats on sale of a date, as an admitted user sees them; the user leaves again.
    pub(crate) async fn seats(&self, schedule: usize) -> Vec<String> {
        let token = self.client.admitted(&self.users[0]).await;
        let seats = self.client.free_seats(&token, &self.schedules[schedule]).await;
        self.client.leave(&token).await;
        seats
    }

    /// A connection to the database, past the service.
    pub(crate) async fn store(&self) -> Store {
        Store::connect(&config(&self.settings), Arc::new(Metrics::new().unwrap()))
            .await
            .unwrap()
    }

    /// The final state, line by line.
    pub(crate) async fn audit(&self) -> Vec<Value> {
        let store = self.store().await;
        let mut text = Vec::new();
        audit::write(&store, &mut text).await.unwrap();
        store.close().await;
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }
}

fn config(settings: &[String]) -> Config {
    Config::from_source(Source::new().flags(settings)).unwrap()
}
