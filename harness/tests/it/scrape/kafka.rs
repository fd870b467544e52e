//! Consumer lag over the broker's real wire protocol, served by librdkafka's own cluster in this process.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use soundcheck::scrape::kafka::KafkaSource;
use soundcheck::scrape::{Sample, ScrapeError, Source};

const TOPIC: &str = "t.payments";
const GROUP: &str = "t.tickets";

/// The first scrape of a new client finds its way to the broker, which takes longer than later ones.
async fn scrape(source: &mut KafkaSource) -> Vec<Sample> {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        match source.scrape().await {
            Ok(samples) => return samples,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{}", error.chain()),
        }
    }
}

fn sum(samples: &[Sample], name: &str) -> Option<f64> {
    let values: Vec<f64> = samples.iter().filter(|s| s.name == name).map(|s| s.value).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_is_what_was_written_and_not_committed() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 2, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    for n in 0..10 {
        let record = FutureRecord::to(TOPIC).key("k").payload("v").partition(n % 2);
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    }
    let mut source = KafkaSource::new(&brokers, GROUP, &[TOPIC]).unwrap();
    let before = scrape(&mut source).await;
    assert_eq!(sum(&before, "kafka_brokers"), Some(1.0));
    assert_eq!(sum(&before, "kafka_topic_partitions"), Some(2.0));
    assert_eq!(sum(&before, "kafka_topic_partition_current_offset"), Some(10.0));
    // Nothing is known of a group that never committed; a lag of zero would say that it has read everything.
    assert_eq!(sum(&before, "kafka_consumergroup_lag"), None);

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", GROUP)
        .create()
        .unwrap();
    let mut read = TopicPartitionList::new();
    read.add_partition_offset(TOPIC, 0, Offset::Offset(4)).unwrap();
    read.add_partition_offset(TOPIC, 1, Offset::Offset(3)).unwrap();
    tokio::task::spawn_blocking(move || consumer.commit(&read, CommitMode::Sync))
        .await
        .unwrap()
        .unwrap();
    let after = scrape(&mut source).await;
    assert_eq!(sum(&after, "kafka_consumergroup_lag"), Some(3.0));
    assert_eq!(sum(&after, "kafka_consumergroup_current_offset"), Some(7.0));
    let lag = after.iter().find(|s| s.name == "kafka_consumergroup_lag").unwrap();
    assert_eq!(lag.labels["consumergroup"], GROUP);
    assert_eq!(lag.labels["topic"], TOPIC);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_an_error_and_one_question_at_a_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = listener.local_addr().unwrap().to_string();
    let mut source = KafkaSource::new(&brokers, GROUP, &[TOPIC]).unwrap();
    let mut again = source.clone();
    // The listener accepts and never answers.
    let (first, second) = tokio::join!(source.scrape(), again.scrape());
    assert!(
        matches!(first, Err(ScrapeError::Ask { what: "metadata", .. })),
        "{first:?}"
    );
    assert!(matches!(second, Err(ScrapeError::Busy { .. })), "{second:?}");
}
