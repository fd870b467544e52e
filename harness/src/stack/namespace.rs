//! Removes a namespace from servers: the schema, the keys and the topics that carry its name.

use std::str::FromStr;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::component::{Component, Endpoints};
use super::error::StackError;

const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const N_KEYS_AT_ONCE: usize = 1_000;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Removes `namespace` wherever `endpoints` lead.
///
/// # Errors
/// A component refuses, or the name is none that could stand in a statement.
pub(super) async fn remove(endpoints: &Endpoints, namespace: &str) -> Result<(), StackError> {
    let failed = |component: Component| {
        let namespace = namespace.to_owned();
        move |source: Source| StackError::Namespace {
            component,
            namespace,
            source,
        }
    };
    if !is_plain(namespace) {
        let source = format!("`{namespace}` is no namespace; expected 1 to 48 of [a-z0-9_]").into();
        return Err(failed(Component::Database)(source));
    }
    if !endpoints.database_url.is_empty() {
        drop_schema(&endpoints.database_url, namespace)
            .await
            .map_err(failed(Component::Database))?;
    }
    if let Some(url) = &endpoints.redis_url {
        delete_keys(url, namespace)
            .await
            .map_err(|error| failed(Component::Redis)(error.into()))?;
    }
    if let Some(brokers) = &endpoints.kafka_brokers {
        delete_topics(brokers, namespace)
            .await
            .map_err(|error| failed(Component::Kafka)(error.into()))?;
    }
    Ok(())
}

/// As the service defines a namespace; nothing else may get into a statement.
fn is_plain(namespace: &str) -> bool {
    (1..=48).contains(&namespace.len())
        && namespace
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

async fn drop_schema(url: &str, namespace: &str) -> Result<(), Source> {
    let mut connection = MySqlConnectOptions::from_str(url)?
        .disable_statement_logging()
        .connect()
        .await?;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE IF EXISTS `{namespace}`")))
        .execute(&mut connection)
        .await?;
    Ok(connection.close().await?)
}

async fn delete_keys(url: &str, namespace: &str) -> redis::RedisResult<()> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{{{namespace}}}:*"))
            .arg("COUNT")
            .arg(N_KEYS_AT_ONCE)
            .query_async(&mut connection)
            .await?;
        if !keys.is_empty() {
            redis::cmd("UNLINK")
                .arg(keys)
                .query_async::<()>(&mut connection)
                .await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

async fn delete_topics(brokers: &str, namespace: &str) -> Result<(), KafkaError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("log_level", "0");
    let client: AdminClient<DefaultClientContext> = config.create()?;
    let topics = ["payments", "payments.retry", "payments.dlt"].map(|topic| format!("{namespace}.{topic}"));
    let topics = topics.each_ref().map(String::as_str);
    let options = AdminOptions::new()
        .operation_timeout(Some(ANSWER_WITHIN))
        .request_timeout(Some(ANSWER_WITHIN));
    for result in client.delete_topics(&topics, &options).await? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_plain_names_get_into_statements() {
        for name in ["a", "run_7", &"x".repeat(48)] {
            assert!(super::is_plain(name), "{name}");
        }
        for name in ["", "A", "a`b", "a b", "a*", &"x".repeat(49)] {
            assert!(!super::is_plain(name), "{name}");
        }
    }
}
