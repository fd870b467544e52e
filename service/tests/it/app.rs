//! A real service in this process: port 0, a database file of its own, seeded.

use std::path::PathBuf;
use std::sync::Arc;

use booking_service::admin::dataset::Shape;
use booking_service::admin::{audit, seed};
use booking_service::app::App;
use booking_service::config::{Config, Source};
use booking_service::metrics::Metrics;
use booking_service::store::Store;
use serde_json::Value;
use tempfile::TempDir;

use crate::scenarios::Client;
pub(crate) use crate::scenarios::audit::of_kind;

/// A running service with its data. Stopped by dropping the runtime, or gracefully by [`TestApp::stop`].
pub(crate) struct TestApp {
    pub(crate) client: Client,
    pub(crate) users: Vec<String>,
    pub(crate) concerts: Vec<String>,
    /// All dates, the largest first.
    pub(crate) schedules: Vec<String>,
    folder: TempDir,
    settings: Vec<String>,
    app: App,
}

/// What a test may choose.
pub(crate) const SMALL: Shape = Shape {
    seed: 1,
    n_users: 10,
    n_concerts: 2,
    n_schedules: 3,
    n_seats: 12,
    skew: 0.0,
};

impl TestApp {
    /// With default settings and a few seats.
    pub(crate) async fn small(settings: &[&str]) -> Self {
        Self::with(SMALL, settings).await
    }

    pub(crate) async fn with(shape: Shape, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("database.url=sqlite://{}", folder.path().join("booking.db").display());
        let fixed = [
            "token.secret=only for these tests",
            "listen=127.0.0.1:0",
            "logging.level=off",
            // Patient: a shared machine may pause for longer than a person would wait.
            "resilience.request_timeout=15s",
            &url,
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
        Self {
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
            folder,
            settings,
            app,
        }
    }

    /// A second instance on the same database.
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

    /// The database, as an instance uses it.
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

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("booking.db")
    }

    pub(crate) async fn stop(self) -> TempDir {
        self.app.stop().await;
        self.folder
    }
}

fn config(settings: &[String]) -> Config {
    Config::from_source(Source::new().flags(settings)).unwrap()
}
