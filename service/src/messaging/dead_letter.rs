//! Dead letters: what `dlt list` shows and `dlt replay` sends again.
//!
//! Needs the broker alone, so that an operator can look while the database is away.

use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{self, Told};
use super::producer::{Outgoing, Producer};
use super::record::{self, Source};
use super::topics::Topics;
use crate::trace::Tracer;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a record for so long, although the broker says that there are more, the reading has failed.
const STALL: Duration = Duration::from_secs(15);

/// Why the dead letters could not be read or sent again.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The broker did not answer a question about the topic.
    #[error("cannot read topic {topic}: check kafka.brokers")]
    Read {
        /// Which one.
        topic: String,
        /// What librdkafka says.
        #[source]
        source: Told,
    },
    /// Reading stopped before the end.
    #[error("topic {topic} stalled after {read} of {expected} records: is the broker up?")]
    Stalled {
        /// Which one.
        topic: String,
        /// Read so far.
        read: usize,
        /// What the broker's offsets promise.
        expected: i64,
    },
    /// A dead letter was not accepted by the main topic; those before it were.
    #[error("dead letter {partition}/{offset} was not sent again")]
    Replay {
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// What librdkafka says.
        #[source]
        source: Told,
    },
    /// The task that reads was cut off.
    #[error("reading the dead letters was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// One record that was given up.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeadLetter {
    /// Where it lies in the dead-letter topic.
    pub partition: i32,
    /// Where it lies in the dead-letter topic.
    pub offset: i64,
    /// `unparsable` or `handler`.
    pub kind: Option<String>,
    /// Why the last attempt failed.
    pub cause: Option<String>,
    /// Failed attempts.
    pub attempts: u32,
    /// Where the record arrived first; `None` when its headers do not say.
    pub source: Option<Source>,
    /// The event's id as its producer gave it.
    pub event_id: Option<String>,
    /// The record's text; bytes that are no UTF-8 are replaced.
    pub payload: String,
    /// Whether it was sent again.
    pub replayed: bool,
    #[serde(skip)]
    message: OwnedMessage,
}

impl DeadLetter {
    fn new(message: OwnedMessage, replayed: bool) -> Self {
        let text = |name| record::header(&message, name).map(str::to_owned);
        Self {
            partition: message.partition(),
            offset: message.offset(),
            kind: text(record::CAUSE_KIND),
            cause: text(record::CAUSE),
            attempts: record::History::of(&message).attempts,
            source: Source::first(&message),
            event_id: text(record::EVENT_ID),
            payload: String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned(),
            replayed,
            message,
        }
    }
}

/// Every dead letter that the broker still has, by partition and offset.
///
/// # Errors
/// When the broker does not answer.
pub async fn list(brokers: &str, topics: &Topics) -> Result<Vec<DeadLetter>, DeadLetterError> {
    let reader = Reader::open(brokers, topics)?;
    on_thread(move || reader.read()).await
}

/// Sends every dead letter that was not sent again yet to the main topic, and remembers that. Returns them.
///
/// # Errors
/// When the broker does not answer; what was sent until then stays sent, and is remembered.
pub async fn replay(brokers: &str, topics: &Topics) -> Result<Vec<DeadLetter>, DeadLetterError> {
    let producer = Producer::in_order(brokers, &Tracer::off()).map_err(|source| DeadLetterError::Read {
        topic: topics.main.clone(),
        source: Told(source),
    })?;
    let reader = Reader::open(brokers, topics)?;
    let (reader, letters) = on_thread(move || {
        let letters = reader.read()?;
        Ok((reader, letters))
    })
    .await?;

    let mut sent = Vec::new();
    let mut failure = None;
    for letter in letters.into_iter().filter(|letter| !letter.replayed) {
        let outgoing = Outgoing {
            topic: &topics.main,
            key: letter.message.key().unwrap_or_default(),
            payload: letter.message.payload().unwrap_or_default(),
            headers: record::replayed_headers(&letter.message),
            trace_parent: record::header(&letter.message, record::TRACE_PARENT),
            timestamp_ms: None,
        };
        // The producer never gives up by itself; a person at a terminal does.
        let delivered = match tokio::time::timeout(STALL, producer.send(outgoing)).await {
            Ok(delivered) => delivered,
            Err(_) => Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)),
        };
        if let Err(source) = delivered {
            failure = Some(DeadLetterError::Replay {
                partition: letter.partition,
                offset: letter.offset,
                source: Told(source),
            });
            break;
        }
        sent.push(letter);
    }
    let upto: Vec<(i32, i64)> = sent.iter().map(|letter| (letter.partition, letter.offset)).collect();
    on_thread(move || reader.remember(&upto)).await?;
    failure.map_or(Ok(sent), Err)
}

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeadLetterError> + Send + 'static,
) -> Result<T, DeadLetterError> {
    // librdkafka's questions block.
    tokio::task::spawn_blocking(work)
        .await
        .map_err(DeadLetterError::Interrupted)?
}

struct Reader {
    consumer: BaseConsumer<client::QuietContext>,
    topic: String,
}

impl Reader {
    fn open(brokers: &str, topics: &Topics) -> Result<Self, DeadLetterError> {
        let topic = topics.dead.clone();
        let consumer = client::common(brokers)
            .set("group.id", &topics.replay_group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            // So that the topic is there on a broker that makes topics on use.
            .set("allow.auto.create.topics", "true")
            .create_with_context(client::QuietContext);
        match consumer {
            Ok(consumer) => Ok(Self { consumer, topic }),
            Err(source) => Err(DeadLetterError::Read {
                topic,
                source: Told(source),
            }),
        }
    }

    fn failed(&self, source: KafkaError) -> DeadLetterError {
        DeadLetterError::Read {
            topic: self.topic.clone(),
            source: Told(source),
        }
    }

    fn partitions(&self) -> Result<Vec<i32>, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), REQUEST_TIMEOUT)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let partitions = topic.map_or(&[][..], |topic| topic.partitions());
        Ok(partitions
            .iter()
            .map(rdkafka::metadata::MetadataPartition::id)
            .collect())
    }

    /// Reads each partition up to where it ended when the reading began.
    fn read(&self) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let fail = |source| self.failed(source);
        let mut assignment = TopicPartitionList::new();
        let mut ends = std::collections::HashMap::new();
        let mut expected = 0;
        for partition in self.partitions().map_err(fail)? {
            let (low, high) = self
                .consumer
                .fetch_watermarks(&self.topic, partition, REQUEST_TIMEOUT)
                .map_err(fail)?;
            if low < high {
                assignment
                    .add_partition_offset(&self.topic, partition, Offset::Offset(low))
                    .map_err(fail)?;
                ends.insert(partition, high);
                expected += high - low;
            }
        }
        if ends.is_empty() {
            return Ok(Vec::new());
        }
        let replayed = self
            .consumer
            .committed_offsets(assignment.clone(), REQUEST_TIMEOUT)
            .map_err(fail)?;
        let is_replayed = |partition, offset| {
            let committed = replayed
                .find_partition(&self.topic, partition)
                .map(|element| element.offset());
            matches!(committed, Some(Offset::Offset(next)) if offset < next)
        };

        self.consumer.assign(&assignment).map_err(fail)?;
        let mut letters = Vec::new();
        let mut last = Instant::now();
        while !ends.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    last = Instant::now();
                    let (partition, offset) = (message.partition(), message.offset());
                    let Some(end) = ends.get(&partition).copied() else {
                        continue;
                    };
                    if offset + 1 >= end {
                        ends.remove(&partition);
                    }
                    if offset < end {
                        letters.push(DeadLetter::new(message.detach(), is_replayed(partition, offset)));
                    }
                }
                // A transport error is temporary; a lasting one is a stall.
                Some(Err(error)) => tracing::debug!(%error, "reading dead letters"),
                None if last.elapsed() > STALL => {
                    return Err(DeadLetterError::Stalled {
                        topic: self.topic.clone(),
                        read: letters.len(),
                        expected,
                    });
                }
                None => {}
            }
        }
        letters.sort_by_key(|letter| (letter.partition, letter.offset));
        Ok(letters)
    }

    /// Commits the offsets after the ones sent again.
    fn remember(&self, sent: &[(i32, i64)]) -> Result<(), DeadLetterError> {
        let mut next = TopicPartitionList::new();
        for partition in sent
            .iter()
            .map(|(partition, _)| *partition)
            .collect::<std::collections::BTreeSet<_>>()
        {
            let last = sent
                .iter()
                .filter(|(other, _)| *other == partition)
                .map(|(_, offset)| *offset)
                .max();
            if let Some(last) = last {
                next.add_partition_offset(&self.topic, partition, Offset::Offset(last + 1))
                    .map_err(|source| self.failed(source))?;
            }
        }
        if next.count() == 0 {
            return Ok(());
        }
        self.consumer
            .commit(&next, CommitMode::Sync)
            .map_err(|source| self.failed(source))
    }
}
