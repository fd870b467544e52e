//! What is done with one record: apply it, try it later, or give it up.
//!
//! Three kinds of failure are kept apart. A record that is no event goes to the dead letters at once. An event that the
//! handler refuses goes to the retry topic with its attempt count, and to the dead letters when the attempts are used
//! up. A database that is away is no fault of the event: nothing is counted, and the record is handled again in place.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::message::OwnedMessage;

use super::failpoint;
use super::producer::{Outgoing, Producer};
use super::record::{self, Cause, History};
use super::retry::Backoff;
use super::topics::Topics;
use crate::config::{Mutant, Mutants};
use crate::domain::PaymentCompleted;
use crate::metrics::Metrics;
use crate::ports::Clock;
use crate::store::inbox::Issued;
use crate::store::{Store, StoreError};
use crate::trace::spans::{self, Received};
use crate::trace::{TraceContext, Tracer};

/// How a record was settled, or why it was not.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Its offset may be committed. The label is that of the metric.
    Settled(&'static str),
    /// Nothing was done; it must be handled again.
    Postponed,
}

/// Handles records one by one; knows nothing of partitions.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) store: Store,
    pub(super) producer: Arc<Producer>,
    pub(super) topics: Topics,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tracer: Tracer,
    pub(super) namespace: String,
    pub(super) retries: u32,
    pub(super) backoff: Backoff,
    pub(super) mutants: Mutants,
}

impl Handler {
    /// How long the record must still wait before it is tried again; zero for a first delivery.
    pub(super) fn wait(&self, message: &OwnedMessage) -> Duration {
        let not_before = History::of(message).not_before;
        let wait = not_before.map(|moment| moment.since(self.clock.now()));
        // A producer whose clock is ahead must not stop a partition.
        wait.unwrap_or_default().min(self.backoff.ceiling)
    }

    /// The topic's name in metrics.
    pub(super) fn label(&self, topic: &str) -> &'static str {
        if topic == self.topics.retry { "retry" } else { "main" }
    }

    pub(super) async fn handle(&self, message: &OwnedMessage) -> Outcome {
        let sender = record::trace(message);
        let received = Received {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            group: &self.topics.group,
        };
        let mut span = self.tracer.process(received, sender);
        let outcome = spans::within(span.as_ref(), self.apply_or_pass_on(message)).await;
        if let Some(span) = &mut span {
            match outcome {
                Outcome::Settled("applied" | "duplicate") => {}
                Outcome::Settled(how) => span.fail(how),
                Outcome::Postponed => span.fail("postponed"),
            }
        }
        outcome
    }

    async fn apply_or_pass_on(&self, message: &OwnedMessage) -> Outcome {
        let event = match PaymentCompleted::from_json(message.payload().unwrap_or_default()) {
            Ok(event) => event,
            Err(error) => {
                let cause = Cause {
                    kind: "unparsable",
                    text: chain(&error),
                };
                return self.give_up(message, History::of(message).attempts, cause).await;
            }
        };
        match self.apply(&event).await {
            Ok(Issued::Now) => {
                let lag = self.clock.now().since(event.paid_at);
                self.metrics.effect_lag.observe(lag.as_secs_f64());
                self.settled(message, "applied")
            }
            Ok(Issued::Before) => self.settled(message, "duplicate"),
            Ok(Issued::NotPaid) => self.refused(message, &event, "no paid reservation has this id").await,
            Ok(Issued::OtherEvent) => {
                let text = "the reservation's ticket comes from another event";
                self.refused(message, &event, text).await
            }
            // A statement that the database refuses is a defect, of the event or of ours: a dead letter keeps it.
            Err(error @ (StoreError::Statement(_) | StoreError::Duplicate(_) | StoreError::Corrupt(_))) => {
                self.refused(message, &event, &chain(&error)).await
            }
            Err(error) => {
                self.metrics.consumer_errors.with_label_values(&["database"]).inc();
                if self.mutants.has(Mutant::D16) {
                    return self.swallow(message, &chain(&error));
                }
                tracing::debug!(
                    event = %event.event,
                    %error,
                    trace_id = trace_id(message),
                    "the database is away; the event waits"
                );
                Outcome::Postponed
            }
        }
    }

    async fn apply(&self, event: &PaymentCompleted) -> Result<Issued, StoreError> {
        if failpoint::reached(&self.namespace, "consumer-handler") {
            return Ok(Issued::NotPaid);
        }
        self.store.issue_ticket(event, self.clock.now()).await
    }

    fn settled(&self, message: &OwnedMessage, outcome: &'static str) -> Outcome {
        let topic = self.label(message.topic());
        self.metrics
            .consumer_messages
            .with_label_values(&[topic, outcome])
            .inc();
        let now = self.clock.now().unix_seconds();
        self.metrics.consumer_settled_timestamp.set(now);
        Outcome::Settled(outcome)
    }

    /// The handler said no: another attempt later, or none.
    async fn refused(&self, message: &OwnedMessage, event: &PaymentCompleted, text: &str) -> Outcome {
        self.metrics.consumer_errors.with_label_values(&["handler"]).inc();
        if self.mutants.has(Mutant::D16) {
            return self.swallow(message, text);
        }
        let cause = Cause {
            kind: "handler",
            text: text.to_owned(),
        };
        let history = History::of(message);
        let attempts = history.attempts.saturating_add(1);
        if attempts > self.retries {
            return self.give_up(message, attempts, cause).await;
        }
        let wait = self.backoff.wait(attempts, event.event.raw().unsigned_abs());
        let not_before = self.clock.now().plus(wait);
        let headers = record::failed_headers(message, &history.source, attempts, &cause, Some(not_before));
        self.pass_on(message, &self.topics.retry, headers, "retried").await
    }

    async fn give_up(&self, message: &OwnedMessage, attempts: u32, cause: Cause) -> Outcome {
        if cause.kind == "unparsable" {
            self.metrics.consumer_errors.with_label_values(&["unparsable"]).inc();
            if self.mutants.has(Mutant::D16) {
                return self.swallow(message, &cause.text);
            }
        }
        let source = History::of(message).source;
        tracing::warn!(
            topic = source.topic,
            partition = source.partition,
            offset = source.offset,
            attempts,
            cause = cause.text,
            trace_id = trace_id(message),
            "a record goes to the dead letters"
        );
        let headers = record::failed_headers(message, &source, attempts, &cause, None);
        let outcome = self.pass_on(message, &self.topics.dead, headers, "dead_lettered").await;
        if matches!(outcome, Outcome::Settled(_)) {
            self.metrics.dead_letters.with_label_values(&[cause.kind]).inc();
        }
        outcome
    }

    /// Writes the record to another topic. Only when it is there may the original's offset be committed; a crash in
    /// between leaves it twice, which the inbox absorbs for events.
    async fn pass_on(
        &self,
        message: &OwnedMessage,
        topic: &str,
        headers: rdkafka::message::OwnedHeaders,
        outcome: &'static str,
    ) -> Outcome {
        // From the handling on where that is kept, and else as it came.
        let handling = spans::current().map(|context| context.to_string());
        let sent = self.producer.send(Outgoing {
            topic,
            key: message.key().unwrap_or_default(),
            payload: message.payload().unwrap_or_default(),
            headers,
            trace_parent: handling
                .as_deref()
                .or_else(|| record::header(message, record::TRACE_PARENT)),
            timestamp_ms: message.timestamp().to_millis(),
        });
        match sent.await {
            Ok(()) => self.settled(message, outcome),
            Err(error) => {
                self.metrics.consumer_errors.with_label_values(&["broker"]).inc();
                tracing::debug!(topic, %error, trace_id = trace_id(message), "could not pass a record on; it waits");
                Outcome::Postponed
            }
        }
    }

    /// Mutant D16: the error is logged, the offset committed, and nothing will ever look for the event again.
    fn swallow(&self, message: &OwnedMessage, text: &str) -> Outcome {
        tracing::warn!(cause = text, trace_id = trace_id(message), "event could not be handled");
        self.settled(message, "swallowed")
    }
}

/// The trace that a record is handled in: that of the request that paid, or, where that one named none, the handling's own.
fn trace_id(message: &OwnedMessage) -> Option<String> {
    record::trace(message)
        .or_else(spans::current)
        .map(TraceContext::trace_id)
}

/// An error and its causes, each once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
