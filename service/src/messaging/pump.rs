//! Publishes one shard, in order, for as long as its lease is ours.
//!
//! A batch is handed to the producer whole and its deliveries are awaited in order. The mark moves over the delivered
//! prefix alone: after a failure the shard goes on from the gap. What was delivered behind the gap is delivered again,
//! and the consumer's inbox absorbs it.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::failpoint;
use super::producer::{Delivery, Outgoing, Producer};
use super::record;
use super::retry::Backoff;
use super::topics::Topics;
use crate::metrics::Metrics;
use crate::ports::Clock;
use crate::store::Store;
use crate::store::outbox::{OutboxRow, Tenure};

/// Events of one shard that may be under way at once.
const BATCH: u32 = 256;

/// What every shard's pump needs.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) producer: Arc<Producer>,
    pub(super) topics: Topics,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) namespace: String,
    /// How long a pump that should end may still publish.
    pub(super) patience: Duration,
}

/// How a pump ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// The shard was given back, or its lease will lapse.
    Finished,
    /// The shard is somebody else's now.
    Lost,
    /// A fail point asked for a crash.
    Crashed,
}

pub(super) struct Pump {
    parts: Arc<Parts>,
    tenure: Tenure,
    /// Everything up to this number is published and marked.
    published: i64,
    /// The number of the last committed event, as far as known.
    head: watch::Receiver<i64>,
    finish: CancellationToken,
    backoff: Backoff,
    failures: u32,
}

impl Pump {
    pub(super) fn new(
        parts: Arc<Parts>,
        tenure: Tenure,
        published: i64,
        head: watch::Receiver<i64>,
        finish: CancellationToken,
    ) -> Self {
        let backoff = Backoff {
            first: Duration::from_millis(50),
            ceiling: Duration::from_secs(1),
            seed: u64::from(tenure.shard),
        };
        Self {
            parts,
            tenure,
            published,
            head,
            finish,
            backoff,
            failures: 0,
        }
    }

    /// Publishes until asked to finish, or until the shard is lost.
    pub(super) async fn run(mut self) -> (u32, Ended) {
        let finish = self.finish.clone();
        let patience = self.parts.patience;
        // Asked to finish, it publishes what is committed, but not for ever: the broker may be away.
        let cut_off = async move {
            finish.cancelled().await;
            tokio::time::sleep(patience).await;
        };
        let ended = tokio::select! {
            biased;
            ended = self.publish_all() => ended,
            () = cut_off => Ended::Finished,
        };
        if ended == Ended::Finished {
            let released = tokio::time::timeout(patience, self.parts.store.outbox_release(&self.tenure)).await;
            if !matches!(released, Ok(Ok(_))) {
                tracing::warn!(
                    shard = self.tenure.shard,
                    "could not release the shard; its lease will lapse"
                );
            }
        }
        (self.tenure.shard, ended)
    }

    async fn publish_all(&mut self) -> Ended {
        loop {
            if *self.head.borrow_and_update() <= self.published {
                let finish = self.finish.clone();
                tokio::select! {
                    biased;
                    changed = self.head.changed() => if changed.is_err() { return Ended::Finished },
                    () = finish.cancelled() => return Ended::Finished,
                }
                continue;
            }
            let rows = match self
                .parts
                .store
                .outbox_batch(self.tenure.shard, self.published, BATCH)
                .await
            {
                Ok(rows) => rows,
                Err(error) => {
                    self.failed("database", &error).await;
                    continue;
                }
            };
            let n_dense = rows
                .iter()
                .zip(self.published + 1..)
                .take_while(|(row, seq)| row.seq == *seq)
                .count();
            if n_dense == 0 {
                // Numbers are given under a row lock that lasts until the commit, so a hole means a lost row. It is not
                // stepped over: an event that nobody can account for must be seen.
                let (shard, seq) = (self.tenure.shard, self.published + 1);
                tracing::error!(shard, seq, "the outbox has a hole; the shard waits until it is mended");
                self.failed("gap", &"a row of the outbox is missing").await;
                continue;
            }
            let (n_delivered, failure) = self.publish(&rows[..n_dense]).await;
            if n_delivered > 0 {
                if failpoint::reached(&self.parts.namespace, "relay-after-produce") {
                    return Ended::Crashed;
                }
                if !self.mark(rows[n_delivered - 1].seq).await {
                    self.parts
                        .metrics
                        .outbox_publish_errors
                        .with_label_values(&["lease_lost"])
                        .inc();
                    return Ended::Lost;
                }
            }
            match failure {
                Some(error) => self.failed("broker", &error).await,
                None => self.failures = 0,
            }
        }
    }

    /// Sends `rows` and waits for all of them. Returns how many from the first on were delivered without a gap.
    async fn publish(&self, rows: &[OutboxRow]) -> (usize, Option<KafkaError>) {
        let mut failure = None;
        let mut under_way: Vec<Delivery> = Vec::with_capacity(rows.len());
        for row in rows {
            let key = row.schedule.to_string();
            let outgoing = Outgoing {
                topic: &self.parts.topics.main,
                key: key.as_bytes(),
                payload: row.payload.as_bytes(),
                headers: record::first_headers(&row.event.to_string()),
                trace_parent: row.trace_parent.as_deref(),
                timestamp_ms: Some(row.created_at.unix_ms()),
            };
            match self.parts.producer.begin(outgoing) {
                Ok(delivery) => under_way.push(delivery),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let mut n_delivered = 0;
        let mut has_gap = false;
        for (delivery, row) in under_way.into_iter().zip(rows) {
            match self.parts.producer.finish(delivery).await {
                Ok(()) if !has_gap => {
                    n_delivered += 1;
                    let now = self.parts.clock.now();
                    let metrics = &self.parts.metrics;
                    metrics.publish_lag.observe(now.since(row.created_at).as_secs_f64());
                    metrics.outbox_published.inc();
                    metrics.outbox_published_timestamp.set(now.unix_seconds());
                }
                Ok(()) => {}
                Err(error) => {
                    has_gap = true;
                    failure = Some(error);
                }
            }
        }
        (n_delivered, failure)
    }

    /// Moves the mark; false when the shard is no longer ours. A database that is away is waited for: what is
    /// published must not be published again for its sake.
    async fn mark(&mut self, seq: i64) -> bool {
        loop {
            match self.parts.store.outbox_mark(&self.tenure, seq).await {
                Ok(true) => {
                    self.published = seq;
                    return true;
                }
                Ok(false) => return false,
                Err(error) => self.failed("database", &error).await,
            }
        }
    }

    async fn failed(&mut self, kind: &'static str, error: &(dyn std::fmt::Display + Sync)) {
        self.failures += 1;
        let metrics = &self.parts.metrics;
        metrics.outbox_publish_errors.with_label_values(&[kind]).inc();
        if kind == "broker" {
            metrics.dependency_errors.with_label_values(&["kafka"]).inc();
        }
        tracing::debug!(shard = self.tenure.shard, kind, %error, "publishing failed; the shard waits and tries again");
        let wait = self.backoff.wait(self.failures, self.tenure.fence.unsigned_abs());
        tokio::time::sleep(wait).await;
    }
}
