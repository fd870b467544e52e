//! HTTP as users speak it: pooled connections that all users share, whole answers, and a typed end of every request.
//!
//! Nothing is ever sent twice, no redirect is followed and no proxy of the environment is used: what is timed is one
//! request to one target.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use rustix::io::Errno;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::recording::RunClock;
use crate::units::Nanos;

/// An answer longer than this is not one that the service gives: it is cut off there, and is no answer.
pub(crate) const MAX_BODY_BYTES: usize = 8 << 20;
/// Users are spread over this many pools: one pool's lock would be shared by all otherwise.
const POOLS: usize = 4;
/// Fewer connections than this make one pool: in one of several, users would wait while another has connections left.
const WORTH_SPREADING: u32 = 256;
const QUEUE_TOKEN: HeaderName = HeaderName::from_static("queue-token");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no base of a URL.
    #[error("`{0}` is not the address of a service; expected something like `http://127.0.0.1:8080`")]
    Address(String),
    /// The library refused.
    #[error("cannot set up an HTTP client")]
    Build(#[source] reqwest::Error),
}

/// Sends requests to one target.
#[derive(Debug)]
pub(crate) struct Client {
    base: Url,
    is_secure: bool,
    pools: Vec<Pool>,
    timeout: Duration,
    clock: RunClock,
}

/// Connections that some of the users share.
#[derive(Debug)]
struct Pool {
    client: reqwest::Client,
    /// One permit a connection; `None` lets every request under way have one.
    connections: Option<Semaphore>,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// From the root, as in `/v1/queue/token`.
    pub(crate) path: String,
    pub(crate) token: Option<&'a str>,
    pub(crate) key: Option<u64>,
    pub(crate) body: Option<serde_json::Value>,
}

/// By what a request is found again in the service's log and traces.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// W3C trace id: one a journey.
    pub(crate) trace: u128,
    /// W3C span id: one a request.
    pub(crate) span: u64,
    /// Names the arrival and the step, as in `4f01d2aa-1723-2`.
    pub(crate) request_id: String,
}

/// Leave to send one request; its connection is free for others once it is dropped.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    client: &'a reqwest::Client,
    _permit: Option<SemaphorePermit<'a>>,
    /// Whether all connections of its pool were taken at first.
    pub(crate) waited: bool,
}

/// What came back, and when.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) sent: Nanos,
    pub(crate) done: Nanos,
    pub(crate) result: Result<Answer, Failure>,
}

/// An answer, read to its last byte.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// None in time.
    TimeOut,
    /// Nobody listens there: nothing was sent.
    Refused,
    /// This machine has no descriptor or port left for a connection: nothing was sent, and the target is not to blame.
    NoSocket(String),
    /// No connection for another reason: nothing was sent.
    Unreachable(String),
    /// No secure connection: nothing was sent.
    Tls(String),
    /// The other side threw the connection away.
    Reset,
    /// What came is no HTTP.
    NoHttp(String),
    /// The connection ended before the answer did.
    Broken(String),
    /// More than a service of this kind would say.
    TooLong,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            token: None,
            key: None,
            body: None,
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: serde_json::Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new(Method::POST, path)
        }
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn token(self, token: &'a str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    pub(crate) fn key(self, key: u64) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl Client {
    /// At most so many requests are under way at once as there are `connections`, where that is given; a connection that is
    /// just being given back may make one more for a moment.
    ///
    /// # Errors
    /// When the address is none, or the library cannot be set up.
    pub(crate) fn new(
        address: &str,
        timeout: Duration,
        connections: Option<u32>,
        clock: RunClock,
    ) -> Result<Self, ClientError> {
        let base = Url::parse(address)
            .ok()
            .filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| ClientError::Address(address.to_owned()))?;
        let n_pools = if connections.is_some_and(|all| all < WORTH_SPREADING) {
            1
        } else {
            POOLS
        };
        let share = |n: usize| connections.map(|all| (all.max(1) as usize + n) / n_pools);
        let pools = (0..n_pools)
            .map(|n| {
                let client = reqwest::Client::builder()
                    .user_agent(concat!("soundcheck/", env!("CARGO_PKG_VERSION")))
                    .no_proxy()
                    .redirect(reqwest::redirect::Policy::none())
                    .retry(reqwest::retry::never())
                    .tcp_nodelay(true)
                    .pool_max_idle_per_host(usize::MAX)
                    .build()
                    .map_err(ClientError::Build)?;
                Ok(Pool {
                    client,
                    connections: share(n).map(Semaphore::new),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            is_secure: base.scheme() == "https",
            base,
            pools,
            timeout,
            clock,
        })
    }

    /// Waits until a connection is free. `user` picks the pool. Before anything is sent, so that who waits holds no request.
    pub(crate) async fn connection(&self, user: usize) -> Connection<'_> {
        self.pools[user % self.pools.len()].connection().await
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(&self, connection: Connection<'_>, call: &Call<'_>, trace: Trace) -> Exchange {
        let mut url = self.base.clone();
        let (path, query) = call
            .path
            .split_once('?')
            .map_or((call.path.as_str(), None), |(p, q)| (p, Some(q)));
        url.set_path(path);
        url.set_query(query);
        let mut request = connection.client.request(call.method.clone(), url);
        let text = format!("00-{:032x}-{:016x}-01", trace.trace, trace.span);
        request = request.header(TRACEPARENT, text).header(REQUEST_ID, trace.request_id);
        if let Some(token) = call.token.and_then(|token| HeaderValue::from_str(token).ok()) {
            request = request.header(QUEUE_TOKEN, token);
        }
        if let Some(key) = call.key {
            request = request.header(IDEMPOTENCY_KEY, format!("{key:016x}"));
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let sent = self.clock.now();
        let result = match tokio::time::timeout(self.timeout, exchange(request)).await {
            Ok(result) => result.map_err(|broken| broken.failure(self.is_secure)),
            Err(_) => Err(Failure::TimeOut),
        };
        Exchange {
            sent,
            done: self.clock.now(),
            result,
        }
    }
}

impl Pool {
    async fn connection(&self) -> Connection<'_> {
        let (permit, waited) = match &self.connections {
            None => (None, false),
            Some(connections) => match connections.try_acquire() {
                Ok(permit) => (Some(permit), false),
                // It is never closed, so there is always a permit in the end.
                Err(_) => (connections.acquire().await.ok(), true),
            },
        };
        Connection {
            client: &self.client,
            _permit: permit,
            waited,
        }
    }
}

/// How an exchange ended without an answer, before anybody has looked into it.
enum Broken {
    Error(reqwest::Error),
    TooLong,
}

impl From<reqwest::Error> for Broken {
    fn from(error: reqwest::Error) -> Self {
        Self::Error(error)
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Answer, Broken> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Broken::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

impl Broken {
    fn failure(self, is_secure: bool) -> Failure {
        use std::io::ErrorKind;
        let error = match self {
            Self::Error(error) if error.is_timeout() => return Failure::TimeOut,
            Self::Error(error) => error,
            Self::TooLong => return Failure::TooLong,
        };
        // The innermost cause says what happened; the layers above repeat the address.
        let causes = || std::iter::successors(Some(&error as &dyn std::error::Error), |cause| cause.source());
        let text = causes().last().map(ToString::to_string).unwrap_or_default();
        let io = causes().find_map(|cause| cause.downcast_ref()).map(innermost);
        if error.is_connect() {
            return unconnected(io, text, is_secure);
        }
        let kind = io.map(std::io::Error::kind);
        let is_no_http = causes()
            .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
            .any(|error| error.is_parse() || error.is_parse_too_large());
        match kind {
            Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted) => Failure::Reset,
            _ if is_no_http => Failure::NoHttp(text),
            _ => Failure::Broken(text),
        }
    }
}

/// Why there is no connection.
fn unconnected(io: Option<&std::io::Error>, text: String, is_secure: bool) -> Failure {
    use std::io::ErrorKind;
    let code = io.and_then(std::io::Error::raw_os_error);
    let is_ours =
        [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS].map(|code| Some(code.raw_os_error()));
    match io.map(std::io::Error::kind) {
        _ if is_ours.contains(&code) => Failure::NoSocket(text),
        Some(ErrorKind::ConnectionRefused) => Failure::Refused,
        // The connection stands by then, and what comes through it is no handshake, or one that is not trusted.
        Some(ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) if is_secure => {
            Failure::Tls(text)
        }
        _ => Failure::Unreachable(text),
    }
}

/// Layers wrap errors of theirs in errors of the same type, of which the outer kind says nothing.
fn innermost(mut error: &std::io::Error) -> &std::io::Error {
    while let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        error = inner;
    }
    error
}

impl Answer {
    pub(crate) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The `code` of a problem document, if the answer is one.
    pub(crate) fn problem_code(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Problem {
            code: String,
        }
        serde_json::from_slice::<Problem>(&self.body)
            .ok()
            .map(|problem| problem.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_sockets_is_told_apart_from_a_target_that_is_away() {
        use std::io::{Error, ErrorKind};
        let of = |code: Errno| {
            let wrapped = Error::other(Error::from_raw_os_error(code.raw_os_error()));
            unconnected(Some(innermost(&wrapped)), "why".to_owned(), true)
        };
        for code in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS] {
            assert_eq!(of(code), Failure::NoSocket("why".to_owned()), "{code:?}");
        }
        assert_eq!(of(Errno::CONNREFUSED), Failure::Refused);
        assert_eq!(of(Errno::HOSTUNREACH), Failure::Unreachable("why".to_owned()));
        let plain = |kind: ErrorKind| unconnected(Some(&kind.into()), "why".to_owned(), false);
        assert_eq!(plain(ErrorKind::UnexpectedEof), Failure::Unreachable("why".to_owned()));
        assert_eq!(
            unconnected(None, "why".to_owned(), true),
            Failure::Unreachable("why".to_owned())
        );
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_an_example() {
        for address in ["", "127.0.0.1:80", "ftp://host", "http://"] {
            let error = Client::new(address, Duration::from_secs(1), None, RunClock::start())
                .err()
                .map(|e| e.to_string());
            assert!(
                error.is_some_and(|error| error.contains("http://127.0.0.1:8080")),
                "{address}"
            );
        }
    }
}
