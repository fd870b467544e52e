//! Builds the messaging that the configuration asks for, and stops it in order.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::consumer::TicketConsumer;
use super::direct::DirectPublisher;
use super::handler::Handler;
use super::producer::Producer;
use super::pump::Parts;
use super::relay::{self, Relay, Waker};
use super::retry::Backoff;
use super::topics::Topics;
use crate::config::{Config, EventsMode};
use crate::domain::PaymentCompleted;
use crate::metrics::Metrics;
use crate::ports::Clock;
use crate::store::Store;
use crate::trace::Tracer;

/// No retry waits longer than this.
const RETRY_CEILING: Duration = Duration::from_secs(30);
/// Records handled at once, each in a transaction of its own.
const MAX_AT_ONCE: usize = 8;
/// Between attempts to create the topics while the broker is away.
const TOPICS_RETRY: Duration = Duration::from_millis(500);
/// The jitter of retries; fixed, so that a run can be repeated.
const JITTER_SEED: u64 = 0x5eed;

/// What a payment does about its event after the commit.
#[derive(Clone, Debug)]
pub enum Publisher {
    /// The event is in the outbox; the relay is told to look.
    Outbox(Waker),
    /// The event is sent now, and kept nowhere.
    Direct(DirectPublisher),
    /// There is no broker: the event stays in the outbox.
    Kept,
}

impl Publisher {
    /// To be called after the commit of the payment that `event` tells of. Never blocks.
    pub fn committed(&self, event: PaymentCompleted, trace_parent: Option<String>) {
        match self {
            Self::Outbox(waker) => waker.wake(),
            Self::Direct(publisher) => publisher.publish(event, trace_parent),
            Self::Kept => {}
        }
    }
}

/// The running relay and consumer of one instance.
#[derive(Debug)]
pub struct Messaging {
    publisher: Publisher,
    stop_relay: CancellationToken,
    stop_consumer: CancellationToken,
    relay: TaskTracker,
    consumer: TaskTracker,
}

impl Messaging {
    /// Starts what `config` asks for, in the background: a broker that is away delays events, not the service.
    /// `patience` is how long each part may take to stop.
    ///
    /// # Errors
    /// When a Kafka client cannot be made, for instance with malformed addresses.
    pub fn start(
        config: &Config,
        store: &Store,
        clock: &Arc<dyn Clock>,
        metrics: &Arc<Metrics>,
        tracer: &Tracer,
        patience: Duration,
    ) -> Result<Self, KafkaError> {
        let mut this = Self {
            publisher: Publisher::Kept,
            stop_relay: CancellationToken::new(),
            stop_consumer: CancellationToken::new(),
            relay: TaskTracker::new(),
            consumer: TaskTracker::new(),
        };
        let Some(brokers) = &config.kafka_brokers else {
            let stop = this.stop_relay.clone();
            this.relay
                .spawn(relay::only_observe(store.clone(), clock.clone(), metrics.clone(), stop));
            return Ok(this);
        };
        let topics = Topics::new(&config.namespace);
        let producer = Arc::new(Producer::in_order(brokers, tracer)?);
        let ready = Ready::watch(brokers, &topics, config.events.partitions);

        match config.events.mode {
            EventsMode::Outbox => {
                let parts = Parts {
                    store: store.clone(),
                    producer: producer.clone(),
                    topics: topics.clone(),
                    clock: clock.clone(),
                    metrics: metrics.clone(),
                    namespace: config.namespace.clone(),
                    patience,
                };
                let relay = Relay::new(parts, Uuid::new_v4().to_string(), config.events.lease_ttl);
                this.publisher = Publisher::Outbox(relay.waker());
                let (stop, ready) = (this.stop_relay.clone(), ready.clone());
                this.relay.spawn(async move {
                    if stop.run_until_cancelled(ready.wait()).await.is_some() {
                        relay.run(stop).await;
                    }
                });
            }
            EventsMode::Direct => {
                this.publisher = Publisher::Direct(DirectPublisher {
                    producer: Arc::new(Producer::lossy(brokers, tracer)?),
                    topics: topics.clone(),
                    clock: clock.clone(),
                    metrics: metrics.clone(),
                    namespace: config.namespace.clone(),
                    under_way: this.relay.clone(),
                });
            }
        }

        let handler = Handler {
            store: store.clone(),
            producer: producer.clone(),
            topics,
            clock: clock.clone(),
            metrics: metrics.clone(),
            tracer: tracer.clone(),
            namespace: config.namespace.clone(),
            retries: config.events.retry_attempts,
            backoff: Backoff {
                first: config.events.retry_backoff,
                ceiling: RETRY_CEILING,
                seed: JITTER_SEED,
            },
            mutants: config.mutants,
        };
        // At most half of the connections, so that a backlog of events does not keep requests waiting.
        let at_once = usize::try_from(config.pool_size / 2).map_or(MAX_AT_ONCE, |half| half.clamp(1, MAX_AT_ONCE));
        let (stop, brokers) = (this.stop_consumer.clone(), brokers.clone());
        this.consumer.spawn(async move {
            if stop.run_until_cancelled(ready.wait()).await.is_none() {
                return;
            }
            match TicketConsumer::new(&brokers, handler, at_once, patience) {
                Ok(consumer) => consumer.run(stop).await,
                Err(error) => tracing::error!(%error, "the consumer of events cannot start; no tickets are issued"),
            }
        });
        Ok(this)
    }

    /// What payments need.
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// Stops the relay first, so that what it publishes last may still be consumed, then the consumer. To be called
    /// when no request is under way any more.
    pub async fn stop(self) {
        self.stop_relay.cancel();
        self.relay.close();
        self.relay.wait().await;
        self.stop_consumer.cancel();
        self.consumer.close();
        self.consumer.wait().await;
    }
}

/// Tells when the topics exist.
#[derive(Clone, Debug)]
struct Ready(tokio::sync::watch::Receiver<bool>);

impl Ready {
    /// Creates the topics in the background, for as long as it takes.
    fn watch(brokers: &str, topics: &Topics, partitions: u32) -> Self {
        let (sender, receiver) = tokio::sync::watch::channel(false);
        let (brokers, topics) = (brokers.to_owned(), topics.clone());
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        tokio::spawn(async move {
            let mut is_first = true;
            while let Err(error) = topics.ensure(&brokers, partitions).await {
                if std::mem::replace(&mut is_first, false) {
                    tracing::warn!(%error, brokers, "cannot create the topics yet; going on trying");
                }
                tokio::select! {
                    () = tokio::time::sleep(TOPICS_RETRY) => {}
                    () = sender.closed() => return,
                }
            }
            sender.send_replace(true);
        });
        Self(receiver)
    }

    async fn wait(mut self) {
        // The sender lives until it has said yes.
        if self.0.wait_for(|is_ready| *is_ready).await.is_err() {
            tracing::error!("the task that creates the topics died; no events flow");
            std::future::pending::<()>().await;
        }
    }
}
