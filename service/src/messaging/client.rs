//! Settings and context that every Kafka client of the service shares.

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

/// Settings for any client: back within a second after the broker is, and quiet while it is away.
pub fn common(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "booking-service")
        // The defaults let a client stay away for ten seconds after the broker has come back.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "1000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("socket.nagle.disable", "true")
        .set("log.connection.close", "false");
    config
}

/// Sends librdkafka's log to ours. A lost broker is told once for each connection there, so it is debug here: what
/// matters of it shows in the metrics of the relay and the consumer.
#[derive(Clone, Copy, Debug)]
pub struct QuietContext;

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client error");
    }
}

impl rdkafka::consumer::ConsumerContext for QuietContext {}

/// What librdkafka says, as a cause in a chain. `KafkaError` names its code both in its text and as its source, which
/// would be printed twice.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Told(pub KafkaError);

/// One line of librdkafka.
pub fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "kafka client");
        }
        _ => tracing::debug!(facility, message, "kafka client"),
    }
}
