//! The consumer of payment events: polls without ever blocking, and gives records to the handler.
//!
//! Offsets are stored only when a record is settled, and committed from there by librdkafka, also before a partition
//! changes hands. A record may be delivered again after a crash or a rebalance; the inbox absorbs it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::Message as _;
use rdkafka::Statistics;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client;
use super::handler::{Handler, Outcome};
use super::lanes::{Flow, Job, Lanes, Place};
use super::retry::Backoff;

const OBSERVE: Duration = Duration::from_secs(1);

/// Carries librdkafka's callbacks to the loop.
struct Context {
    revoked: mpsc::UnboundedSender<Vec<Place>>,
    statistics: Arc<Mutex<Option<Statistics>>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client error");
    }

    fn stats(&self, statistics: Statistics) {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner) = Some(statistics);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(partitions) = rebalance else {
            return;
        };
        // A pause outlives the assignment, so it is lifted with it. Not at the next assignment: a change of flow there
        // may overtake the client's own start of the partition, which would never be fetched then.
        if let Err(error) = client.resume(partitions) {
            tracing::debug!(%error, "could not resume partitions that are taken away");
        }
        if self.revoked.send(places(partitions)).is_err() {
            tracing::debug!("a rebalance after the consumer's loop has ended");
        }
    }
}

fn places(partitions: &TopicPartitionList) -> Vec<Place> {
    let elements = partitions.elements();
    elements
        .iter()
        .map(|element| (element.topic().to_owned(), element.partition()))
        .collect()
}

/// Consumes the main and the retry topic.
pub struct TicketConsumer {
    client: StreamConsumer<Context>,
    revoked: mpsc::UnboundedReceiver<Vec<Place>>,
    statistics: Arc<Mutex<Option<Statistics>>>,
    handler: Arc<Handler>,
    lanes: Lanes<OwnedMessage>,
    work: JoinSet<(Job<OwnedMessage>, Outcome)>,
    backoff: Backoff,
    n_postponed: u32,
    at_once: usize,
    patience: Duration,
}

impl std::fmt::Debug for TicketConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketConsumer")
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}

impl TicketConsumer {
    /// Joins the group; at most `at_once` records are handled at a time, and `patience` is how long the records under way may take at the stop.
    ///
    /// # Errors
    /// When the client cannot be made, for instance with malformed addresses.
    pub(super) fn new(brokers: &str, handler: Handler, at_once: usize, patience: Duration) -> Result<Self, KafkaError> {
        let (sender, revoked) = mpsc::unbounded_channel();
        let statistics = Arc::new(Mutex::new(None));
        let context = Context {
            revoked: sender,
            statistics: statistics.clone(),
        };
        let client: StreamConsumer<Context> = client::common(brokers)
            .set("group.id", &handler.topics.group)
            .set("auto.offset.reset", "earliest")
            // Commit what is stored, and store only what is settled.
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "500")
            .set("enable.auto.offset.store", "false")
            // The least that brokers accept: a killed instance's partitions are taken over after this.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1500")
            .set("allow.auto.create.topics", "true")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", "8192")
            .set("statistics.interval.ms", "1000")
            .create_with_context(context)?;
        client.subscribe(&[&handler.topics.main, &handler.topics.retry])?;
        Ok(Self {
            client,
            revoked,
            statistics,
            handler: Arc::new(handler),
            lanes: Lanes::new(),
            work: JoinSet::new(),
            backoff: Backoff {
                first: Duration::from_millis(50),
                ceiling: Duration::from_secs(1),
                seed: 0,
            },
            n_postponed: 0,
            at_once,
            patience,
        })
    }

    /// Consumes until `stop`, then settles what is under way and leaves the group.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut observe = tokio::time::interval(OBSERVE);
        loop {
            // The poll may have run a rebalance, which must be known before anything is told about partitions.
            self.forget_revoked();
            let now = Instant::now();
            self.start_work(now);
            let due = self.lanes.next_due(now);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.work.join_next() => self.settle(ended),
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                _ = observe.tick() => self.observe(),
                received = self.client.recv() => match received {
                    Ok(message) => {
                        let message = message.detach();
                        self.take(message);
                    }
                    // Told once for each lost connection; librdkafka reconnects by itself.
                    Err(error) => {
                        self.handler.metrics.dependency_errors.with_label_values(&["kafka"]).inc();
                        tracing::debug!(%error, "the consumer cannot fetch; it goes on trying");
                    }
                },
            }
        }
        self.leave().await;
    }

    fn take(&mut self, message: OwnedMessage) {
        // The poll that returned this record may have run a rebalance before it.
        self.forget_revoked();
        self.lanes
            .push((message.topic().to_owned(), message.partition()), message);
    }

    fn forget_revoked(&mut self) {
        while let Ok(places) = self.revoked.try_recv() {
            for place in &places {
                self.lanes.revoke(place);
            }
        }
    }

    fn start_work(&mut self, now: Instant) {
        while self.work.len() < self.at_once {
            let handler = &self.handler;
            let Some(job) = self.lanes.start(now, |message| handler.wait(message)) else {
                break;
            };
            let handler = self.handler.clone();
            self.work.spawn(async move {
                let outcome = handler.handle(&job.record).await;
                (job, outcome)
            });
        }
        let flows = self.lanes.flows();
        for wanted in [Flow::Pause, Flow::Resume] {
            let matching = flows.iter().filter(|(_, flow)| *flow == wanted);
            let places: Vec<Place> = matching.map(|(place, _)| place.clone()).collect();
            self.tell_flow(&places, wanted);
        }
    }

    fn tell_flow(&self, places: &[Place], flow: Flow) {
        if places.is_empty() {
            return;
        }
        let mut partitions = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            partitions.add_partition(topic, *partition);
        }
        let told = match flow {
            Flow::Pause => self.client.pause(&partitions),
            Flow::Resume => self.client.resume(&partitions),
        };
        if let Err(error) = told {
            // The partition is being taken away: there is nothing to pause any more.
            tracing::debug!(%error, ?flow, "could not change the flow of partitions");
        }
    }

    fn settle(&mut self, ended: Result<(Job<OwnedMessage>, Outcome), JoinError>) {
        let (job, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // The lane stays busy and its offset where it is: lag shows, a restart tries the record again.
                tracing::error!(%error, "handling a record panicked; its partition stands still until a restart");
                return;
            }
        };
        match outcome {
            Outcome::Settled(_) => {
                self.n_postponed = 0;
                if self.lanes.end(&job.place, job.generation) {
                    let (topic, partition) = &job.place;
                    if let Err(error) = self.client.store_offset(topic, *partition, job.record.offset()) {
                        // The partition is being taken away; its next owner meets the record again.
                        tracing::debug!(%error, topic, partition, "could not store an offset");
                    }
                }
            }
            Outcome::Postponed => {
                self.n_postponed += 1;
                let salt = job.record.offset().unsigned_abs();
                self.lanes.put_back(job);
                self.lanes
                    .suspend(Instant::now() + self.backoff.wait(self.n_postponed, salt));
            }
        }
    }

    /// Sets the gauges of lag: in messages as librdkafka counts them, in seconds by the oldest record in hand, handled or waiting.
    fn observe(&self) {
        let metrics = &self.handler.metrics;
        let statistics = self.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.handler.clock.now().unix_ms();
        for topic in [&self.handler.topics.main, &self.handler.topics.retry] {
            let label = self.handler.label(topic);
            if let Some(known) = statistics.as_ref().and_then(|all| all.topics.get(topic)) {
                // Below zero stands for unknown there; a partition of another instance counts for that one.
                let lags = known
                    .partitions
                    .values()
                    .map(|partition| partition.consumer_lag_stored.max(0));
                metrics
                    .consumer_lag_messages
                    .with_label_values(&[label])
                    .set(lags.sum());
            }
            let fronts = self.lanes.fronts().filter(|((of, _), _)| of == topic);
            let oldest_ms = fronts.filter_map(|(_, message)| message.timestamp().to_millis()).min();
            let age_ms = oldest_ms.map_or(0, |oldest| now_ms.saturating_sub(oldest).max(0));
            let age = Duration::from_millis(age_ms.unsigned_abs());
            metrics
                .consumer_lag_seconds
                .with_label_values(&[label])
                .set(age.as_secs_f64());
        }
    }

    async fn leave(mut self) {
        let patience = self.patience;
        let all_settled = async {
            while let Some(ended) = self.work.join_next().await {
                self.settle(ended);
            }
        };
        if tokio::time::timeout(patience, all_settled).await.is_err() {
            tracing::warn!("the consumer stops with records under way; they will be delivered again");
        }
        self.work.abort_all();
        let client = self.client;
        // Committing and leaving the group wait for the broker.
        let left = tokio::task::spawn_blocking(move || {
            if let Err(error) = client.commit_consumer_state(CommitMode::Sync) {
                tracing::debug!(%error, "no offsets were committed at the stop");
            }
            drop(client);
        });
        if tokio::time::timeout(patience, left).await.is_err() {
            tracing::warn!("the consumer could not leave its group in time; the group will find out");
        }
    }
}
