//! The names of the topics, and their creation.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Short, since a stop must wait for the question; it is asked again.
const ID_TIMEOUT: Duration = Duration::from_secs(2);

/// The topics and groups of one namespace.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Events in the order of their commits, by schedule.
    pub main: String,
    /// Events whose handler failed, with a moment before which they are not tried again.
    pub retry: String,
    /// Records given up, with the cause.
    pub dead: String,
    /// The consumer group that issues tickets.
    pub group: String,
    /// Remembers up to where dead letters were replayed.
    pub replay_group: String,
}

impl Topics {
    /// By namespace.
    pub fn new(namespace: &str) -> Self {
        Self {
            main: format!("{namespace}.payments"),
            retry: format!("{namespace}.payments.retry"),
            dead: format!("{namespace}.payments.dlt"),
            group: format!("{namespace}.tickets"),
            replay_group: format!("{namespace}.replay"),
        }
    }

    /// Creates what is missing. librdkafka's mock cluster has no CreateTopics, and a request for it is never answered
    /// there: it is asked for each topic's metadata, upon which it makes the topic with partitions of its own choosing.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses; the caller tries again.
    pub async fn ensure(&self, brokers: &str, partitions: i32) -> Result<(), KafkaError> {
        if is_mock(brokers).await? {
            return self.ask_for_each(brokers).await;
        }
        let admin: AdminClient<DefaultClientContext> = client::common(brokers).create()?;
        let wanted = [(&self.main, partitions), (&self.retry, partitions), (&self.dead, 1)];
        let new = wanted.map(|(name, count)| NewTopic::new(name, count, TopicReplication::Fixed(1)));
        let options = AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT));
        let results = admin.create_topics(&new, &options).await?;
        results.into_iter().try_for_each(|result| match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err((_, code)) => Err(KafkaError::AdminOp(code)),
        })
    }

    async fn ask_for_each(&self, brokers: &str) -> Result<(), KafkaError> {
        let config = client::common(brokers)
            .set("allow.auto.create.topics", "true")
            .to_owned();
        let names = [self.main.clone(), self.retry.clone(), self.dead.clone()];
        on_thread(move || {
            let consumer: BaseConsumer = config.create()?;
            for name in names {
                consumer.fetch_metadata(Some(&name), REQUEST_TIMEOUT)?;
            }
            Ok(())
        })
        .await
    }
}

/// Whether the brokers are librdkafka's mock cluster, which says so in its id.
async fn is_mock(brokers: &str) -> Result<bool, KafkaError> {
    let config = client::common(brokers);
    on_thread(move || {
        let consumer: BaseConsumer = config.create()?;
        let id = consumer.client().fetch_cluster_id(ID_TIMEOUT);
        let id = id.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut))?;
        Ok(id.starts_with("mockCluster"))
    })
    .await
}

/// librdkafka's questions block.
async fn on_thread<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    // A panic of the thread is told by its hook; a cancelled one means that the runtime is going away.
    tokio::task::spawn_blocking(question)
        .await
        .unwrap_or(Err(KafkaError::Canceled))
}
