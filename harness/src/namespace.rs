//! Removes a namespace from servers: the schema, the keys and the topics that carry its name.

use std::str::FromStr;
use std::time::Duration;

use futures::future::OptionFuture;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use serde::{Deserialize, Serialize};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const N_KEYS_AT_ONCE: usize = 1_000;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Where a namespace may have left something; `None` where nothing was used.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Servers {
    /// `mysql://…` without a schema.
    pub mysql: Option<String>,
    pub redis: Option<String>,
    /// `HOST:PORT,…`.
    pub kafka: Option<String>,
}

/// One of [`Servers`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    MySql,
    Redis,
    Kafka,
}

/// What stays of a namespace, and where.
#[derive(Debug, thiserror::Error)]
#[error("{namespace} stays on {server:?}")]
pub struct NamespaceError {
    pub server: Server,
    pub namespace: String,
    #[source]
    pub source: Source,
}

/// Removes `namespace` from each of `servers`; one that cannot be reached does not keep it on the others.
///
/// # Errors
/// The first server that refuses, or a name that could not stand in a statement.
pub async fn remove(servers: &Servers, namespace: &str) -> Result<(), NamespaceError> {
    let failed = |server: Server| {
        let namespace = namespace.to_owned();
        move |source: Source| NamespaceError {
            server,
            namespace,
            source,
        }
    };
    check_plain(namespace).map_err(failed(Server::MySql))?;
    let (mysql, redis, kafka) = futures::join!(
        OptionFuture::from(servers.mysql.as_ref().map(|url| in_time(drop_schema(url, namespace)))),
        OptionFuture::from(servers.redis.as_ref().map(|url| in_time(delete_keys(url, namespace)))),
        OptionFuture::from(
            servers
                .kafka
                .as_ref()
                .map(|brokers| in_time(delete_topics(brokers, namespace)))
        ),
    );
    mysql.transpose().map_err(failed(Server::MySql))?;
    redis.transpose().map_err(failed(Server::Redis))?;
    kafka.transpose().map_err(failed(Server::Kafka))?;
    Ok(())
}

/// Whether there is a schema of this name.
///
/// # Errors
/// The server does not tell, or the name could not stand in a statement.
pub async fn has_schema(mysql: &str, namespace: &str) -> Result<bool, NamespaceError> {
    let ask = async {
        check_plain(namespace)?;
        let mut connection = connect(mysql).await?;
        let asked = sqlx::query_scalar("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?");
        let count: i64 = asked.bind(namespace).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(count > 0)
    };
    in_time(ask).await.map_err(|source| NamespaceError {
        server: Server::MySql,
        namespace: namespace.to_owned(),
        source,
    })
}

/// A server that is gone may not answer at all.
async fn in_time<T>(work: impl Future<Output = Result<T, Source>>) -> Result<T, Source> {
    let in_time = tokio::time::timeout(ANSWER_WITHIN, work).await;
    in_time.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs()).into()))
}

fn check_plain(namespace: &str) -> Result<(), Source> {
    if is_plain(namespace) {
        return Ok(());
    }
    Err(format!("`{namespace}` is no namespace; expected 1 to 48 of [a-z0-9_]").into())
}

/// As the service defines a namespace; nothing else may get into a statement.
fn is_plain(namespace: &str) -> bool {
    (1..=48).contains(&namespace.len())
        && namespace
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

async fn connect(url: &str) -> Result<MySqlConnection, sqlx::Error> {
    let options = MySqlConnectOptions::from_str(url)?;
    options.disable_statement_logging().connect().await
}

async fn drop_schema(url: &str, namespace: &str) -> Result<(), Source> {
    let mut connection = connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE IF EXISTS `{namespace}`")))
        .execute(&mut connection)
        .await?;
    Ok(connection.close().await?)
}

async fn delete_keys(url: &str, namespace: &str) -> Result<(), Source> {
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

async fn delete_topics(brokers: &str, namespace: &str) -> Result<(), Source> {
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
            Err((_, code)) => return Err(KafkaError::AdminOp(code).into()),
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
