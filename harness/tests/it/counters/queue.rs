//! What Redis needs to say where somebody stands, with few and with many in line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use soundcheck::scrape::Source as _;
use soundcheck::scrape::service::ServiceSource;
use soundcheck::verdict::ledger::{Invariant, LedgerReport};
use uuid::Uuid;

use crate::support::redis_server::RedisServer;
use crate::trial::{House, Parts, Trial, is_caught, is_clean};

const SHORT: usize = 60;
const LONG: usize = 3_000;
/// Looks at the counters, with questions in between, at each length.
const ROUNDS: usize = 5;
/// Who ask where they stand, in each round.
const ASKING: usize = 40;
const AT_ONCE: usize = 16;

/// Users, who come one after the other and stay.
struct Line {
    base: String,
    client: reqwest::Client,
    users: Arc<[Uuid]>,
    tokens: Vec<String>,
}

impl Line {
    fn of(trial: &Trial) -> Self {
        Self {
            base: trial.service.base_url(),
            client: reqwest::Client::new(),
            users: trial.catalogue.whole().users,
            tokens: Vec::new(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Lets users in until so many stand in line.
    async fn grow(&mut self, length: usize) {
        let coming = &self.users[self.tokens.len()..=length];
        let entered: Vec<String> = stream::iter(coming)
            .map(|user| self.enter(user))
            .buffered(AT_ONCE)
            .collect()
            .await;
        self.tokens.extend(entered);
        self.shows(length).await;
    }

    async fn enter(&self, user: &Uuid) -> String {
        let request = self.client.post(self.url("/v1/queue/tokens"));
        let answer = request.json(&json!({ "user_id": user })).send().await.unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        body["token"].as_str().unwrap().to_owned()
    }

    /// Waits until the service shows that so many wait.
    async fn shows(&self, length: usize) {
        let mut page = ServiceSource::new(&self.url("/metrics")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let samples = page.scrape().await.unwrap();
            let waiting = samples.iter().find(|sample| sample.name == "booking_queue_waiting");
            if waiting.is_some_and(|waiting| waiting.value as usize == length) {
                return;
            }
            assert!(Instant::now() < deadline, "{waiting:?} and not {length} wait");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Some ask where they stand.
    async fn ask(&self) {
        let asking = self.tokens.iter().rev().take(ASKING);
        stream::iter(asking)
            .map(|token| self.place(token))
            .buffered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }

    async fn place(&self, token: &str) {
        let request = self.client.get(self.url("/v1/queue/token"));
        let answer = request.header("Queue-Token", token).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

/// One is let in; the others wait, first a few and then many, and ask where they stand.
async fn stand_in_line(redis: &RedisServer, defect: Option<&str>) -> LedgerReport {
    let house = House {
        parts: Parts {
            redis: Some(redis),
            ..Parts::default()
        },
        users: LONG as u64 + 1,
        settings: &[("queue.capacity", "1")],
        ..House::default()
    };
    let mut trial = Trial::start(house, defect).await;
    let mut line = Line::of(&trial);
    for length in [SHORT, LONG] {
        line.grow(length).await;
        trial.look().await;
        for _ in 0..ROUNDS {
            line.ask().await;
            trial.look().await;
        }
    }
    trial.judge().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d10_a_rank_by_reading_the_whole_line() {
    let Some(redis) = RedisServer::start().await else {
        return;
    };
    is_caught(
        &stand_in_line(&redis, Some("D10")).await,
        Invariant::QueueCost,
        "with 3000 waiting",
    );
    is_clean(&stand_in_line(&redis, None).await, Invariant::QueueCost);
}
