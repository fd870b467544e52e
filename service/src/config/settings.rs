//! The validated configuration: what the rest of the service sees. How it is read is in [`super::read`].

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::switches::{CacheMode, EventsMode, Locking, LogTarget, Mutants, QueueMode, Stampede};

/// Text that never shows in logs or messages.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Which database, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Database {
    /// A file; one writer connection and readers beside it.
    Sqlite(PathBuf),
    /// A server; the schema is the namespace. The URL may hold a password.
    MySql(Secret),
}

/// The seat map's cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Where.
    pub mode: CacheMode,
    /// How long an entry may be served.
    pub ttl: Duration,
    /// What happens on a miss under load.
    pub stampede: Stampede,
}

/// Events of committed payments.
#[derive(Clone, Debug)]
pub struct Events {
    /// How a payment becomes an event.
    pub mode: EventsMode,
    /// Parts of the key space.
    pub shards: u32,
    /// Partitions of the topics that the service creates.
    pub partitions: u32,
    /// After how long a dead relay's shard is taken over.
    pub lease_ttl: Duration,
    /// Retries of a failed event before the dead letters.
    pub retry_attempts: u32,
    /// Wait before the first retry.
    pub retry_backoff: Duration,
}

/// The waiting room.
#[derive(Clone, Debug)]
pub struct Queue {
    /// What keeps it.
    pub mode: QueueMode,
    /// Tokens active at once.
    pub capacity: u32,
    /// How long admission lasts.
    pub active_ttl: Duration,
    /// How long a place is kept unasked.
    pub waiting_ttl: Duration,
}

/// Behaviour under overload and when a dependency is away.
#[derive(Clone, Debug)]
pub struct Resilience {
    /// Time-outs, breakers and shedding together.
    pub enabled: bool,
    /// The deadline of a request.
    pub request_timeout: Duration,
    /// Requests at once.
    pub max_in_flight: u32,
}

/// What is logged.
#[derive(Clone, Debug)]
pub struct Logging {
    /// Where lines go.
    pub to: LogTarget,
    /// A filter of `tracing-subscriber`.
    pub level: String,
    /// Request headers, masked.
    pub headers: bool,
    /// Request bodies, masked and bounded.
    pub bodies: bool,
    /// The share of requests that are logged, 0 to 1.
    pub sample_ratio: f64,
}

/// Traces.
#[derive(Clone, Debug)]
pub struct Tracing {
    /// The collector that takes spans; without one nothing is traced. May hold a password.
    pub otlp_endpoint: Option<Secret>,
    /// The share of the traces that begin here which is kept, 0 to 1.
    pub sample_ratio: f64,
}

/// The whole configuration, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// Keeps services that share servers apart.
    pub namespace: String,
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The database.
    pub database: Database,
    /// Redis, if there is one. May hold a password.
    pub redis_url: Option<Secret>,
    /// Kafka, if there is one.
    pub kafka_brokers: Option<String>,
    /// The seat map's cache.
    pub cache: Cache,
    /// How two holds are kept apart.
    pub locking: Locking,
    /// Database connections; on SQLite, of readers.
    pub pool_size: u32,
    /// Events.
    pub events: Events,
    /// The waiting room.
    pub queue: Queue,
    /// How long a hold lasts.
    pub hold_ttl: Duration,
    /// How often expired holds are swept.
    pub sweep_interval: Duration,
    /// Overload.
    pub resilience: Resilience,
    /// Signs queue tokens.
    pub token_secret: Secret,
    /// Logs.
    pub logging: Logging,
    /// Traces.
    pub tracing: Tracing,
    /// Defects that are switched on.
    pub mutants: Mutants,
}
