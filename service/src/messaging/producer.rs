//! The producer: in order and without loss for the outbox; fire and forget for `events.mode: direct`.
//!
//! In order means: idempotent, never giving up by itself, and fatal rather than leaping over a message that failed.
//! So what has arrived in a partition is always a prefix of what was sent to it; a fatal error costs a new client.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::client::{QuietContext, common};
use super::record;
use crate::trace::{Span, TraceContext, Tracer};

/// How long a message may wait for the broker when loss is accepted.
const LOSSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a sender waits when librdkafka's queue is full, before it asks again.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(20);

/// What is sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub topic: &'a str,
    /// Records with the same key share a partition and keep their order.
    pub key: &'a [u8],
    /// The text.
    pub payload: &'a [u8],
    /// See [`super::record`]; without the trace.
    pub headers: OwnedHeaders,
    /// The W3C trace context that the record continues: as it is, or, where that trace is kept, by a span of the sending.
    pub trace_parent: Option<&'a str>,
    /// Milliseconds since 1970 UTC; `None` for the client's clock.
    pub timestamp_ms: Option<i64>,
}

/// A Kafka producer that survives its client's fatal errors.
pub struct Producer {
    config: ClientConfig,
    tracer: Tracer,
    client: RwLock<FutureProducer<QuietContext>>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

impl Producer {
    /// Keeps order and loses nothing: a send ends when the broker has acknowledged, however long that takes.
    ///
    /// # Errors
    /// When the client cannot be made, for instance with malformed addresses.
    pub fn in_order(brokers: &str, tracer: &Tracer) -> Result<Self, KafkaError> {
        let mut config = common(brokers);
        config
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            // Never: giving up on one message while later ones are under way would break the order.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "2");
        Self::with(config, tracer)
    }

    /// Loses what the broker has not acknowledged soon, and everything in its queue when the process dies.
    ///
    /// # Errors
    /// When the client cannot be made, for instance with malformed addresses.
    pub fn lossy(brokers: &str, tracer: &Tracer) -> Result<Self, KafkaError> {
        let mut config = common(brokers);
        config
            .set("acks", "1")
            .set("message.timeout.ms", LOSSY_TIMEOUT.as_millis().to_string())
            .set("linger.ms", "2");
        Self::with(config, tracer)
    }

    fn with(config: ClientConfig, tracer: &Tracer) -> Result<Self, KafkaError> {
        let client = RwLock::new(config.create_with_context(QuietContext)?);
        let tracer = tracer.clone();
        Ok(Self { config, tracer, client })
    }

    /// Hands a record to the client; the future ends with its delivery.
    ///
    /// # Errors
    /// When the client does not take it; the record was not sent then.
    pub fn begin(&self, outgoing: Outgoing<'_>) -> Result<Delivery, KafkaError> {
        let (outgoing, span) = self.traced(outgoing);
        self.hand_over(outgoing, span).map_err(|(error, _)| error)
    }

    /// Begins the span of a record, and lets the record continue its trace.
    fn traced<'a>(&self, mut outgoing: Outgoing<'a>) -> (Outgoing<'a>, Option<Span>) {
        let Some(text) = outgoing.trace_parent else {
            return (outgoing, None);
        };
        let span = self.tracer.send(outgoing.topic, TraceContext::parse(text));
        outgoing.headers = match &span {
            Some(span) => record::with_trace(outgoing.headers, &span.context().to_string()),
            None => record::with_trace(outgoing.headers, text),
        };
        (outgoing, span)
    }

    fn hand_over(
        &self,
        outgoing: Outgoing<'_>,
        mut span: Option<Span>,
    ) -> Result<Delivery, (KafkaError, Option<Span>)> {
        let mut record = FutureRecord::to(outgoing.topic)
            .key(outgoing.key)
            .payload(outgoing.payload)
            .headers(outgoing.headers);
        record.timestamp = outgoing.timestamp_ms;
        let client = self.current();
        match client.send_result(record) {
            Ok(future) => Ok(Delivery { future, client, span }),
            Err((error, _)) => {
                self.renew_after_fatal(&client);
                fail(span.as_mut(), &error);
                Err((error, span))
            }
        }
    }

    /// Sends a record and waits for its delivery.
    ///
    /// # Errors
    /// When it was not delivered, as far as is known.
    pub async fn send(&self, outgoing: Outgoing<'_>) -> Result<(), KafkaError> {
        let (outgoing, mut span) = self.traced(outgoing);
        let delivery = loop {
            let attempt = Outgoing {
                headers: outgoing.headers.clone(),
                ..outgoing
            };
            match self.hand_over(attempt, span) {
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                    span = same;
                    tokio::time::sleep(QUEUE_FULL_WAIT).await;
                }
                Err((error, _)) => return Err(error),
                Ok(delivery) => break delivery,
            }
        };
        self.finish(delivery).await
    }

    /// Waits for a delivery.
    ///
    /// # Errors
    /// When it was not delivered, as far as is known.
    pub async fn finish(&self, delivery: Delivery) -> Result<(), KafkaError> {
        let Delivery {
            future,
            client,
            mut span,
        } = delivery;
        let error = match future.await {
            Ok(Ok(at)) => {
                if let Some(span) = &mut span {
                    span.delivered(at.partition, at.offset);
                }
                return Ok(());
            }
            Ok(Err((error, _))) => {
                self.renew_after_fatal(&client);
                error
            }
            Err(_) => KafkaError::Canceled,
        };
        fail(span.as_mut(), &error);
        Err(error)
    }

    fn current(&self) -> FutureProducer<QuietContext> {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the client when its error is one from which it cannot recover. Its undelivered messages fail.
    fn renew_after_fatal(&self, failed: &FutureProducer<QuietContext>) {
        if failed.client().fatal_error().is_none() {
            return;
        }
        let mut slot = self.client.write().unwrap_or_else(PoisonError::into_inner);
        // Another failed delivery may have replaced it already.
        if slot.client().fatal_error().is_none() {
            return;
        }
        match self.config.create_with_context(QuietContext) {
            Ok(fresh) => *slot = fresh,
            Err(error) => tracing::error!(%error, "cannot replace the kafka producer after a fatal error"),
        }
    }
}

fn fail(span: Option<&mut Span>, error: &KafkaError) {
    let kind = match error {
        // Waits, and is tried again under the same span.
        KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => return,
        KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut) => "timeout",
        KafkaError::MessageProduction(_) => "refused",
        _ => "client",
    };
    if let Some(span) = span {
        span.fail(kind);
    }
}

/// A record under way. It keeps its client alive, so that its end is always told.
#[must_use = "a delivery that nobody awaits may fail unseen"]
pub struct Delivery {
    future: DeliveryFuture,
    client: FutureProducer<QuietContext>,
    span: Option<Span>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}
