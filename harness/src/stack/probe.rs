//! Asks a component whether it is there and what it is: for external stacks, for readiness, and after a heal.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use redis::AsyncConnectionConfig;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::component::{Component, address_of, without_password};
use super::error::{ProbeFailure, StackError};

/// How long a component that runs may take to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// To tell a server that says nothing from one that is not there.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
const POLL_EVERY: Duration = Duration::from_millis(50);

type Source = Option<Box<dyn StdError + Send + Sync>>;
type Answer = Result<Option<String>, (ProbeFailure, Source)>;

/// Asks `component` at `address` and returns its version, if it tells.
///
/// # Errors
/// [`StackError::Probe`] says in which way it failed; [`StackError::BadUrl`] when the address cannot be read.
pub async fn probe(component: Component, address: &str, within: Duration) -> Result<Option<String>, StackError> {
    let asked = async {
        match component {
            Component::Database => mysql(address).await,
            Component::Redis => redis(address).await,
            Component::Kafka => kafka(address, within).await,
        }
    };
    let answer = match timeout(within, asked).await {
        Ok(answer) => answer?,
        Err(_elapsed) if component == Component::Database && takes_connections(address).await => {
            Err((ProbeFailure::NoGreeting(within), None))
        }
        Err(_elapsed) => Err((ProbeFailure::Silent(within), None)),
    };
    answer.map_err(|(what, source)| StackError::Probe {
        component,
        address: without_password(address),
        what,
        source,
    })
}

/// Probes until it succeeds: for a component that is known to be starting.
///
/// # Errors
/// The last failure, when `within` is over.
pub async fn until_ready(component: Component, address: &str, within: Duration) -> Result<Option<String>, StackError> {
    let deadline = Instant::now() + within;
    loop {
        match probe(component, address, ANSWER_WITHIN.min(within)).await {
            Err(error @ StackError::Probe { .. }) if Instant::now() >= deadline => return Err(error),
            Err(StackError::Probe { .. }) => tokio::time::sleep(POLL_EVERY).await,
            decided => return decided,
        }
    }
}

async fn mysql(url: &str) -> Result<Answer, StackError> {
    let options = MySqlConnectOptions::from_str(url)
        .ok()
        .filter(|_| url.starts_with("mysql://"));
    let Some(options) = options else {
        return Err(bad(Component::Database, url, "mysql://USER[:PASSWORD]@HOST:PORT"));
    };
    let ask = async {
        let mut connection: MySqlConnection = options.disable_statement_logging().connect().await?;
        let version: String = sqlx::query_scalar("SELECT VERSION()")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(version)
    };
    Ok(ask.await.map(Some).map_err(|error| {
        let what = match &error {
            sqlx::Error::Io(io) => of_io(io),
            sqlx::Error::Database(refusal) => return (ProbeFailure::Rejected(refusal.message().to_owned()), None),
            sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => ProbeFailure::OtherProtocol,
            _ => ProbeFailure::Other("no connection".to_owned()),
        };
        (what, Some(error.into()))
    }))
}

async fn redis(url: &str) -> Result<Answer, StackError> {
    let Ok(client) = redis::Client::open(url) else {
        return Err(bad(Component::Redis, url, "redis://HOST:PORT"));
    };
    let ask = async {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER_WITHIN));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("PING").query_async::<()>(&mut connection).await?;
        redis::cmd("INFO")
            .arg("server")
            .query_async::<String>(&mut connection)
            .await
    };
    Ok(ask
        .await
        .map(|info| line_value(&info, "redis_version:"))
        .map_err(|error| {
            let what = match error.kind() {
                redis::ErrorKind::Io if error.is_connection_refusal() => ProbeFailure::Refused,
                // The server hung up in the middle of its greeting: nobody that speaks Redis does.
                redis::ErrorKind::Io if error.is_connection_dropped() => ProbeFailure::OtherProtocol,
                redis::ErrorKind::Parse => ProbeFailure::OtherProtocol,
                redis::ErrorKind::AuthenticationFailed | redis::ErrorKind::Server(_) => {
                    return (ProbeFailure::Rejected(error.to_string()), None);
                }
                _ => ProbeFailure::Other("no connection".to_owned()),
            };
            (what, Some(error.into()))
        }))
}

async fn kafka(brokers: &str, within: Duration) -> Result<Answer, StackError> {
    let expected = "HOST:PORT[,HOST:PORT…]";
    for broker in brokers.split(',') {
        let is_address = broker
            .trim()
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok());
        if !is_address {
            return Err(bad(Component::Kafka, brokers, expected));
        }
    }
    // The client library tells every failure as one and goes on trying; a plain question tells them apart.
    if let Err(io) = greet_any(brokers.split(',').map(str::trim)).await {
        return Ok(Err((of_io(&io), Some(io.into()))));
    }
    let brokers = brokers.to_owned();
    // The library blocks, so the time-out is its own, a little under ours.
    let asked = tokio::task::spawn_blocking(move || advertised(&brokers, within.mul_f64(0.9))).await;
    let advertised = match asked {
        Ok(Ok(advertised)) => advertised,
        Ok(Err(error)) => return Ok(Err((ProbeFailure::Silent(within), Some(error.into())))),
        Err(error) => {
            return Ok(Err((
                ProbeFailure::Other("the probe failed".to_owned()),
                Some(error.into()),
            )));
        }
    };
    for broker in advertised {
        if let Err(error) = TcpStream::connect(&broker).await {
            let what = format!("it advertises {broker}, which cannot be reached from here; check advertised.listeners");
            return Ok(Err((ProbeFailure::Other(what), Some(error.into()))));
        }
    }
    Ok(Ok(None))
}

/// The brokers that the cluster tells its clients to use.
fn advertised(brokers: &str, within: Duration) -> rdkafka::error::KafkaResult<Vec<String>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("log_level", "0");
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer.fetch_metadata(None, within)?;
    Ok(metadata
        .brokers()
        .iter()
        .map(|broker| format!("{}:{}", broker.host(), broker.port()))
        .collect())
}

/// Finds one that speaks Kafka.
async fn greet_any(addresses: impl Iterator<Item = &str>) -> std::io::Result<()> {
    let mut last = std::io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match greet(address).await {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Asks for the versions of the protocol, in the one form that every broker answers before anything else.
async fn greet(address: &str) -> std::io::Result<()> {
    const API_VERSIONS: [u8; 4] = [0, 18, 0, 0];
    const QUESTION_ID: [u8; 4] = *b"snd?";
    const CLIENT: [u8; 7] = *b"\0\x05probe";
    let question = [&API_VERSIONS[..], &QUESTION_ID, &CLIENT].concat();
    let length = u32::try_from(question.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[&length[..], &question].concat()).await?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await?;
    // After its length, an answer repeats the question's number.
    if answer[4..] == QUESTION_ID {
        Ok(())
    } else {
        Err(std::io::Error::new(ErrorKind::InvalidData, "the answer is not Kafka's"))
    }
}

/// Whether anything listens at a server's URL.
async fn takes_connections(url: &str) -> bool {
    let Some(address) = address_of(url) else { return false };
    matches!(timeout(CONNECT_WITHIN, TcpStream::connect(address)).await, Ok(Ok(_)))
}

fn of_io(error: &std::io::Error) -> ProbeFailure {
    match error.kind() {
        ErrorKind::ConnectionRefused => ProbeFailure::Refused,
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::ConnectionReset => ProbeFailure::OtherProtocol,
        _ => ProbeFailure::Other("no connection".to_owned()),
    }
}

fn bad(component: Component, address: &str, expected: &'static str) -> StackError {
    StackError::BadUrl {
        component,
        address: without_password(address),
        expected,
    }
}

fn line_value(text: &str, prefix: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(prefix))
        .map(|value| value.trim().to_owned())
}
