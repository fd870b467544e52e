//! One stack of containers: opened, used as an external one too, its namespaces removed, a container restarted.

use std::time::Duration;

use redis::AsyncCommands;
use soundcheck::stack::{self, Component, Endpoints, Stack, StackChoice, StackKind, probe};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

use crate::containers::can_open_a_stack;
use crate::options;

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn containers_open_answer_and_are_gone_when_closed() {
    if !can_open_a_stack().await {
        return;
    }
    // With the components side by side, `auto` must find them too.
    let stack = stack::open(&options(StackChoice::Auto, &Component::ALL)).await.unwrap();
    assert_eq!(stack.kind(), StackKind::Containers);
    for engine in stack.engines() {
        assert!(
            engine.version.is_some() && engine.image.is_some() && engine.image_digest.is_some(),
            "{engine:?}"
        );
    }
    let endpoints = stack.direct_endpoints("a");
    answers(&endpoints).await;
    // Nothing stands in front, so that the service's own listener answers as well.
    answers(&stack.service_endpoints("a")).await;

    an_external_stack_uses_them(&endpoints).await;
    a_namespace_is_removed(stack.as_ref(), &endpoints).await;
    a_restart_keeps_the_port(stack.as_ref()).await;

    let names: Vec<_> = Component::ALL
        .iter()
        .map(|component| stack.container(*component).unwrap().name)
        .collect();
    let daemon = stack.container(Component::Redis).unwrap().daemon;
    stack.close().await.unwrap();
    for name in names {
        assert!(
            daemon.api().inspect_container(&name, None).await.is_err(),
            "{name} is left"
        );
    }
}

async fn answers(endpoints: &Endpoints) {
    let addresses = [
        (Component::Database, Some(&endpoints.database_url)),
        (Component::Redis, endpoints.redis_url.as_ref()),
        (Component::Kafka, endpoints.kafka_brokers.as_ref()),
    ];
    for (component, address) in addresses {
        probe::probe(component, address.unwrap(), WITHIN).await.unwrap();
    }
}

async fn an_external_stack_uses_them(endpoints: &Endpoints) {
    let mut options = options(StackChoice::External, &Component::ALL);
    // A slash at the end is a habit, not a schema.
    options.external.mysql = Some(format!("{}/", endpoints.database_url));
    options.external.redis.clone_from(&endpoints.redis_url);
    options.external.kafka.clone_from(&endpoints.kafka_brokers);
    let external = stack::open(&options).await.unwrap();
    assert_eq!(external.kind(), StackKind::External);
    assert_eq!(&external.service_endpoints("a"), endpoints);
    external.close().await.unwrap();
    answers(endpoints).await;
}

async fn a_namespace_is_removed(stack: &dyn Stack, endpoints: &Endpoints) {
    let mut mysql = MySqlConnection::connect(&endpoints.database_url).await.unwrap();
    for schema in ["a", "a_b"] {
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {schema}")))
            .execute(&mut mysql)
            .await
            .unwrap();
    }
    let client = redis::Client::open(endpoints.redis_url.as_deref().unwrap()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    for key in ["{a}:x", "{a_b}:x"] {
        redis.set::<_, _, ()>(key, 1).await.unwrap();
    }
    stack.remove_namespace("a").await.unwrap();
    stack.remove_namespace("never_was").await.unwrap();
    let schemas: Vec<String> = sqlx::query_scalar("SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata")
        .fetch_all(&mut mysql)
        .await
        .unwrap();
    assert!(
        !schemas.contains(&"a".to_owned()) && schemas.contains(&"a_b".to_owned()),
        "{schemas:?}"
    );
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    assert_eq!(keys, ["{a_b}:x"], "a namesake's keys stay");
}

async fn a_restart_keeps_the_port(stack: &dyn Stack) {
    let container = stack.container(Component::Redis).unwrap();
    container
        .daemon
        .api()
        .restart_container(&container.name, None)
        .await
        .unwrap();
    probe::until_ready(Component::Redis, &container.address, WITHIN)
        .await
        .unwrap();
}
