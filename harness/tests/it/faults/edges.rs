//! Proxies between the service's side and real servers.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use soundcheck::fault::edge::EdgeTrouble;
use soundcheck::fault::proxy::{Conditions, Direction, Flow, Reception};
use soundcheck::fault::{Edges, drill};
use soundcheck::plan::DrillFault;
use soundcheck::stack::{Component, Endpoints, Stack, probe};
use tokio::time::Instant;

use crate::{SHORTLY, WITHIN, check};

pub(crate) async fn each_edge_suffers_and_heals(stack: &dyn Stack, edges: &Edges, through: &Endpoints) {
    let direct = stack.direct_endpoints("a");
    assert_ne!(through.database_url, direct.database_url);
    mysql_answers_late(edges, through).await;
    mysql_is_stalled(stack, edges, through, &direct).await;
    redis_falls_silent(edges, through, &direct).await;
    kafka_is_gone(edges, through, &direct).await;
    for component in Component::ALL {
        let traffic = edges.proxy(component).unwrap().traffic();
        assert!(
            traffic.to_server.0 > 0 && traffic.to_client.0 > 0,
            "{component} was reached past its proxy"
        );
    }
}

async fn mysql_answers_late(edges: &Edges, through: &Endpoints) {
    let late = Conditions {
        latency: Duration::from_millis(100),
        ..Conditions::default()
    };
    let trouble = EdgeTrouble::Conditions(vec![(Direction::ToClient, late)]);
    let fault = edges.fault(Component::Database, trouble).unwrap();
    check(&fault, async || {
        let asked = Instant::now();
        probe::probe(Component::Database, &through.database_url, WITHIN)
            .await
            .unwrap();
        // A greeting, a handshake and an answer at least.
        asked.elapsed() >= Duration::from_millis(300)
    })
    .await;
}

/// The fault of a drill on servers that are not ours: nothing answers, and the server itself goes on.
async fn mysql_is_stalled(stack: &dyn Stack, edges: &Edges, through: &Endpoints, direct: &Endpoints) {
    let stall = drill::of(DrillFault::MysqlStall, stack, edges, "a").unwrap();
    check(stall.as_ref(), async || {
        probe::probe(Component::Database, &direct.database_url, WITHIN)
            .await
            .unwrap();
        probe::probe(Component::Database, &through.database_url, SHORTLY)
            .await
            .is_err()
    })
    .await;
    let without = drill::of(DrillFault::MysqlStall, stack, &Edges::default(), "a").unwrap_err();
    assert!(without.to_string().contains("a proxy can stand"), "{without}");
}

async fn redis_falls_silent(edges: &Edges, through: &Endpoints, direct: &Endpoints) {
    let (through, direct) = (
        through.redis_url.as_deref().unwrap(),
        direct.redis_url.as_deref().unwrap(),
    );
    let silent = |flow| Conditions {
        flow,
        ..Conditions::default()
    };
    let troubles = [
        EdgeTrouble::Conditions(vec![(Direction::ToServer, silent(Flow::Stall))]),
        EdgeTrouble::Conditions(vec![(Direction::ToClient, silent(Flow::Blackhole))]),
        EdgeTrouble::Reception(Reception::Refuse),
        EdgeTrouble::Reception(Reception::Hang),
    ];
    for trouble in troubles {
        let fault = edges.fault(Component::Redis, trouble).unwrap();
        check(&fault, async || {
            probe::probe(Component::Redis, direct, WITHIN).await.unwrap();
            probe::probe(Component::Redis, through, SHORTLY).await.is_err()
        })
        .await;
    }
    // Once, on live links: the client connects anew.
    let client = redis::Client::open(through).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let fault = edges.fault(Component::Redis, EdgeTrouble::Reset).unwrap();
    check(&fault, async || {
        redis::cmd("PING").query_async::<()>(&mut connection).await.is_err()
    })
    .await;
}

async fn kafka_is_gone(edges: &Edges, through: &Endpoints, direct: &Endpoints) {
    let (through, direct) = (
        through.kafka_brokers.as_deref().unwrap(),
        direct.kafka_brokers.as_deref().unwrap(),
    );
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", through)
        .set("message.timeout.ms", "2000")
        .set("log_level", "0")
        .create()
        .unwrap();
    let send = async || {
        producer
            .send(FutureRecord::to("edges").key("k").payload("v"), WITHIN)
            .await
    };
    // The topic is created on use, and a client waits longer and longer before it connects again.
    let until_sent = async || {
        let deadline = Instant::now() + WITHIN;
        while send().await.is_err() {
            assert!(Instant::now() < deadline, "no message went through");
        }
    };
    until_sent().await;
    let before = edges.proxy(Component::Kafka).unwrap().traffic().to_server;
    send().await.unwrap();
    assert!(
        edges.proxy(Component::Kafka).unwrap().traffic().to_server > before,
        "the message took another way"
    );
    let fault = edges.fault(Component::Kafka, EdgeTrouble::Gone).unwrap();
    check(&fault, async || {
        probe::probe(Component::Kafka, direct, WITHIN).await.unwrap();
        send().await.is_err()
    })
    .await;
    until_sent().await;
}
