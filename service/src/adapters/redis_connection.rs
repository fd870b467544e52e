//! The connection to Redis that queue, cache and locks share: reconnects by itself, and never keeps a caller waiting
//! longer than the command timeout.
//!
//! What is stored under which key belongs to the adapters; every key starts with [`key`]'s prefix.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Arg, Client, Cmd, FromRedisValue, IntoConnectionInfo as _, ProtocolVersion, RedisError, ScriptInvocation};

use crate::ports::Unavailable;
use crate::trace::{Span, spans};

/// The name that [`Unavailable`] carries.
pub const DEPENDENCY: &str = "redis";

/// How many commands may wait to be written. Small values make concurrent requests wait for each other.
const PIPELINE_BUFFER: usize = 1024;

/// The URL cannot be used; found at the start, before anything is sent.
#[derive(Debug, thiserror::Error)]
#[error("the redis url cannot be used; expected redis://host:port/database")]
pub struct InvalidUrl(#[source] RedisError);

/// No answer in time. Redis may still carry the command out later.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {}", humantime::format_duration(*.0))]
pub struct NoAnswer(Duration);

/// A key of `namespace`. The braces make it a hash tag, so that a cluster keeps all keys of a script in one slot.
pub fn key(namespace: &str, name: impl fmt::Display) -> String {
    format!("{{{namespace}}}:{name}")
}

/// Marks an error of Redis as [`Unavailable`].
pub(crate) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Unavailable {
    Unavailable {
        dependency: DEPENDENCY,
        source: Box::new(error),
    }
}

/// A connection that many tasks share; clones use the same socket.
#[derive(Clone)]
pub struct RedisConnection {
    manager: ConnectionManager,
    command_timeout: Duration,
}

impl fmt::Debug for RedisConnection {
    // The manager's own form shows the URL, and with it the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnection")
            .field("command_timeout", &self.command_timeout)
            .finish_non_exhaustive()
    }
}

impl RedisConnection {
    /// Prepares a connection; the first command opens it, so that the service starts while Redis is away.
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When `url` is not a Redis URL.
    pub fn open(url: &str, command_timeout: Duration) -> Result<Self, InvalidUrl> {
        let info = url.into_connection_info().map_err(InvalidUrl)?;
        // Protocol 3 tells the manager about a lost connection while no command is under way. The user timeout ends
        // a connection whose peer has vanished without a word, which no amount of waiting would mend.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(command_timeout.saturating_mul(20).max(Duration::from_secs(5)));
        let client = Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp)).map_err(InvalidUrl)?;
        // One attempt a time: while Redis refuses connections, callers learn so at once instead of queueing behind
        // a manager that keeps trying. Every command starts another attempt.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(command_timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
        Ok(Self {
            manager: ConnectionManager::new_lazy_with_config(client, config).map_err(InvalidUrl)?,
            command_timeout,
        })
    }

    /// Sends one command; traces name it by its `purpose`.
    ///
    /// # Errors
    /// When Redis is away, does not answer in time, or refuses the command.
    pub async fn query<T: FromRedisValue>(&self, purpose: &'static str, command: &Cmd) -> Result<T, Unavailable> {
        let (mut first, mut again) = (self.manager.clone(), self.manager.clone());
        let span = spans::redis_call(purpose, || name_of(command));
        self.bounded(span, command.query_async(&mut first), command.query_async(&mut again))
            .await
    }

    /// Runs a script, loading it when Redis does not know it yet.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn run<T: FromRedisValue>(
        &self,
        purpose: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Unavailable> {
        let (mut first, mut again) = (self.manager.clone(), self.manager.clone());
        let span = spans::redis_call(purpose, || "EVALSHA".to_owned());
        self.bounded(span, script.invoke_async(&mut first), script.invoke_async(&mut again))
            .await
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Unavailable> {
        self.query("ping", &redis::cmd("PING")).await
    }

    async fn bounded<T>(
        &self,
        mut span: Option<Span>,
        first: impl Future<Output = Result<T, RedisError>>,
        again: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Unavailable> {
        let attempts = async {
            match first.await {
                // The manager hands out the outcome of its latest connection attempt, which may be from before Redis
                // came back. Nothing was sent then, so trying once more is safe for every command. A timeout can
                // only be one of connecting, since answers have none at that level.
                Err(error) if error.is_connection_refusal() || error.is_timeout() => again.await,
                outcome => outcome,
            }
        };
        let answered = tokio::time::timeout(self.command_timeout, attempts).await;
        if let Some(span) = &mut span {
            match &answered {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => span.fail("refused"),
                Err(_) => span.fail("timeout"),
            }
        }
        answered
            .map_err(|_| unavailable(NoAnswer(self.command_timeout)))?
            .map_err(unavailable)
    }
}

/// The name of a command, without what it is about.
fn name_of(command: &Cmd) -> String {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_listening_is_unavailable_at_once() {
        // Bound, so that nobody else is, and never listening.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("redis://{}", socket.local_addr().unwrap());
        let connection = RedisConnection::open(&url, Duration::from_secs(5)).unwrap();
        let started = std::time::Instant::now();
        let error = connection.ping().await.unwrap_err();
        assert_eq!(error.dependency, DEPENDENCY);
        assert!(started.elapsed() < Duration::from_secs(4), "a refusal needs no timeout");
    }

    #[tokio::test]
    async fn a_silent_server_is_unavailable_after_the_timeout() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let connection = RedisConnection::open(&url, Duration::from_millis(50)).unwrap();
        let error = connection.ping().await.unwrap_err();
        assert!(error.source.is::<NoAnswer>(), "{error:?}");
    }

    #[tokio::test]
    async fn debug_form_and_errors_hide_the_password() {
        let connection = RedisConnection::open("redis://:hunter2@127.0.0.1:1", Duration::from_millis(50)).unwrap();
        assert!(!format!("{connection:?}").contains("hunter2"));
        assert!(
            !format!(
                "{:?}",
                RedisConnection::open("redis//:hunter2@", Duration::ZERO).unwrap_err()
            )
            .contains("hunter2")
        );
    }
}
