//! The embedded stack: a broker that speaks Kafka, goes down and comes back, and files that are gone afterwards.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use soundcheck::stack::{self, Component, StackChoice, StackKind};

use crate::options;

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_embedded_stack_opens_and_leaves_nothing() {
    let stack = stack::open(&options(StackChoice::Embedded, &Component::ALL))
        .await
        .unwrap();
    assert_eq!(stack.kind(), StackKind::Embedded);
    let (a, b) = (stack.service_endpoints("a"), stack.service_endpoints("b"));
    assert!(a.is_sqlite() && a.redis_url.is_none());
    assert_ne!(a.database_url, b.database_url, "each namespace has a file of its own");
    let engines: Vec<_> = stack.engines().iter().map(|engine| engine.engine.as_str()).collect();
    assert_eq!(engines, ["SQLite", "librdkafka mock cluster"]);
    assert!(stack.engines().iter().all(|engine| engine.version.is_some()));

    let path = a.database_url.strip_prefix("sqlite://").unwrap().to_owned();
    for suffix in ["", "-wal", "-shm"] {
        std::fs::write(format!("{path}{suffix}"), "x").unwrap();
    }
    let folder = std::path::Path::new(&path).parent().unwrap().to_owned();
    stack.remove_namespace("a").await.unwrap();
    stack.remove_namespace("never_was").await.unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    stack.close().await.unwrap();
    assert!(!folder.exists());
}

#[tokio::test]
async fn the_mock_broker_goes_down_and_comes_back() {
    let stack = stack::open(&options(StackChoice::Embedded, &Component::ALL))
        .await
        .unwrap();
    let broker = stack.mock_broker().unwrap();
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.brokers())
        .set("message.timeout.ms", "1000")
        .set("log_level", "0")
        .create()
        .unwrap();
    let send = async || {
        let record = FutureRecord::to("a.payments").key("k").payload("v");
        producer.send(record, WITHIN).await.map_err(|(error, _)| error)
    };
    let sent = async || {
        let deadline = tokio::time::Instant::now() + WITHIN;
        loop {
            match send().await {
                Ok(delivery) => break delivery,
                Err(error) => assert!(
                    tokio::time::Instant::now() < deadline,
                    "the broker did not take it: {error}"
                ),
            }
        }
    };
    let before = sent().await.offset;
    broker.take_down().unwrap();
    let refused = send().await;
    assert!(matches!(refused, Err(KafkaError::MessageProduction(_))), "{refused:?}");
    broker.bring_up().unwrap();
    assert!(sent().await.offset > before, "what it held before is still there");
    stack.close().await.unwrap();
}
