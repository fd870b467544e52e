//! Redis' statistics, from a real server.

use soundcheck::scrape::redis::RedisSource;
use soundcheck::scrape::{Sample, Source};

use crate::support::redis_server::RedisServer;

fn value(samples: &[Sample], name: &str, command: Option<&str>) -> f64 {
    let found = samples
        .iter()
        .find(|s| s.name == name && command.is_none_or(|c| s.labels["cmd"] == c));
    found.map_or(0.0, |sample| sample.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_misses_and_commands_are_counted() {
    let Some(server) = RedisServer::start().await else {
        return;
    };
    let mut source = RedisSource::new(&server.url()).unwrap();
    let before = source.scrape().await.unwrap();
    assert_eq!(value(&before, "redis_up", None), 1.0);
    assert!(value(&before, "redis_memory_used_bytes", None) > 100_000.0);

    let mut connection = redis::Client::open(server.url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    for key in ["a", "a", "missing"] {
        let mut ask = redis::pipe();
        ask.set("a", 1).ignore().get(key).ignore();
        ask.exec_async(&mut connection).await.unwrap();
    }
    let after = source.scrape().await.unwrap();
    let rose = |name: &str, command| value(&after, name, command) - value(&before, name, command);
    assert_eq!(rose("redis_keyspace_hits_total", None), 2.0);
    assert_eq!(rose("redis_keyspace_misses_total", None), 1.0);
    assert_eq!(rose("redis_commands_total", Some("set")), 3.0);
    assert_eq!(rose("redis_commands_total", Some("get")), 3.0);
    assert_eq!(value(&after, "redis_db_keys", None), 1.0);
}
