//! How far a consumer group is behind, under the names of kafka_exporter.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::Mutex;

use super::poll::Source;
use super::{Sample, ScrapeError};
use crate::recording::SeriesKind;

const SERVER: &str = "Kafka";
/// One question to the broker. Several are asked in a scrape, so this is shorter than a scrape's deadline.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Offsets of a group in some topics. Only asks: it neither joins the group nor commits.
#[derive(Clone, Debug)]
pub struct KafkaSource {
    watched: Arc<Watched>,
    /// Held by the thread that asks; librdkafka cannot be stopped half way, so the next scrape must see that it is busy.
    asking: Arc<Mutex<()>>,
}

struct Watched {
    consumer: BaseConsumer,
    group: String,
    topics: Vec<String>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched")
            .field("group", &self.group)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

impl KafkaSource {
    /// Watches `group` in `topics` on the brokers at `brokers` (`host:port,…`).
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(brokers: &str, group: &str, topics: &[&str]) -> Result<Self, ScrapeError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("allow.auto.create.topics", "false")
            .set("client.id", "soundcheck-scrape")
            .create()
            .map_err(|source| ScrapeError::Address {
                server: SERVER,
                source: Box::new(source),
            })?;
        let watched = Watched {
            consumer,
            group: group.to_owned(),
            topics: topics.iter().map(|t| (*t).to_owned()).collect(),
        };
        Ok(Self {
            watched: Arc::new(watched),
            asking: Arc::new(Mutex::new(())),
        })
    }
}

impl Source for KafkaSource {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        let guard = Arc::clone(&self.asking)
            .try_lock_owned()
            .map_err(|_busy| ScrapeError::Busy { server: SERVER })?;
        let watched = Arc::clone(&self.watched);
        let asked = tokio::task::spawn_blocking(move || {
            let _held_until_answered = guard;
            watched.ask()
        });
        match asked.await {
            Ok(answer) => answer,
            Err(source) => Err(ScrapeError::Ask {
                server: SERVER,
                what: "offsets",
                source: Box::new(source),
            }),
        }
    }
}

impl Watched {
    fn ask(&self) -> Result<Vec<Sample>, ScrapeError> {
        let mut samples = Vec::new();
        for (at, topic) in self.topics.iter().enumerate() {
            let failed = |what| {
                move |source: KafkaError| ScrapeError::Ask {
                    server: SERVER,
                    what,
                    source: Box::new(source),
                }
            };
            let metadata = self
                .consumer
                .fetch_metadata(Some(topic), ANSWER_WITHIN)
                .map_err(failed("metadata"))?;
            if at == 0 {
                let brokers = metadata.brokers().len() as f64;
                samples.push(Sample::new("kafka_brokers", &[], SeriesKind::Gauge, brokers));
            }
            // A topic that nobody has written to does not exist, and has no partitions.
            let partitions: Vec<i32> = metadata
                .topics()
                .iter()
                .filter(|t| t.name() == topic)
                .flat_map(|t| t.partitions().iter().map(|p| p.id()))
                .collect();
            samples.push(gauge("topic_partitions", &[("topic", topic)], partitions.len() as f64));
            let mut asked = TopicPartitionList::new();
            for partition in &partitions {
                asked.add_partition(topic, *partition);
            }
            if partitions.is_empty() {
                continue;
            }
            let committed = self
                .consumer
                .committed_offsets(asked, ANSWER_WITHIN)
                .map_err(failed("committed offsets"))?;
            for element in committed.elements() {
                let partition = element.partition();
                let (oldest, newest) = self
                    .consumer
                    .fetch_watermarks(topic, partition, ANSWER_WITHIN)
                    .map_err(failed("offsets of a topic"))?;
                self.partition(topic, partition, (oldest, newest), element.offset(), &mut samples);
            }
        }
        Ok(samples)
    }

    fn partition(&self, topic: &str, partition: i32, ends: (i64, i64), committed: Offset, samples: &mut Vec<Sample>) {
        let (oldest, newest) = ends;
        let partition = partition.to_string();
        let of_topic = [("topic", topic), ("partition", partition.as_str())];
        let of_group = [("consumergroup", self.group.as_str()), of_topic[0], of_topic[1]];
        samples.push(gauge("topic_partition_current_offset", &of_topic, newest as f64));
        samples.push(gauge("topic_partition_oldest_offset", &of_topic, oldest as f64));
        // A group that never committed has no offset: how far it is behind depends on where it will begin.
        if let Offset::Offset(committed) = committed {
            samples.push(gauge("consumergroup_current_offset", &of_group, committed as f64));
            samples.push(gauge(
                "consumergroup_lag",
                &of_group,
                newest.saturating_sub(committed).max(0) as f64,
            ));
        }
    }
}

fn gauge(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
    Sample::new(format!("kafka_{name}"), labels, SeriesKind::Gauge, value)
}
