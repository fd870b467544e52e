//! The only place where adapters are built; start and graceful shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use rand::Rng as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters::breaker::BreakerLimits;
use crate::adapters::breaker_cache::BreakerCache;
use crate::adapters::clock::{ShiftedClock, SystemClock};
use crate::adapters::local_cache::LocalCache;
use crate::adapters::redis_cache::RedisCache;
use crate::adapters::redis_connection::{InvalidUrl, RedisConnection};
use crate::adapters::redis_lock::RedisLocks;
use crate::adapters::redis_queue::{LineKind, QueueLimits, RedisQueue};
use crate::adapters::sql_queue::{NotSqlite, SqlQueue};
use crate::adapters::tiered_cache::TieredCache;
use crate::config::{CacheMode, Config, Locking, QueueMode};
use crate::http::layers::RequestIds;
use crate::http::{HttpState, router};
use crate::messaging::Messaging;
use crate::metrics::Metrics;
use crate::ports::{Clock, SeatMapCache, WaitingQueue};
use crate::store::{Store, StoreError};
use crate::usecase::expire::Sweeper;
use crate::usecase::{Booking, Failure, OnPaid, Parts};

/// Memory for seat maps in the process.
const LOCAL_CACHE_BYTES: u64 = 32 << 20;
/// How long another instance's change may stay unseen with `cache.mode: tiered`.
const TIERED_LOCAL_TTL: Duration = Duration::from_millis(200);
/// How often tokens expire and are admitted although nobody asks, and how old the queue's gauges may be.
const QUEUE_TICK: Duration = Duration::from_millis(250);
/// How long requests under way may take to end, and how long each part of the messaging.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: choose another `listen`, or port 0 for a free one")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The database is away, or its schema is another one.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// Redis's URL cannot be read.
    #[error("cannot use `redis.url`")]
    Redis(#[from] InvalidUrl),
    /// No Redis for a switch that needs it; the configuration has checked.
    #[error("`{0}` needs redis.url")]
    NoRedis(&'static str),
    /// No SQLite for a switch that needs it; the configuration has checked.
    #[error("cannot build the queue")]
    Queue(#[from] NotSqlite),
    /// librdkafka refuses the settings.
    #[error("cannot use `kafka.brokers`")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// A metric's definition is broken.
    #[error("cannot define the metrics")]
    Metrics(#[from] prometheus::Error),
}

/// A running service.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    booking: Arc<Booking>,
    stop_http: CancellationToken,
    http: TaskTracker,
    stop_background: CancellationToken,
    background: TaskTracker,
    sql_queue: Option<Arc<SqlQueue>>,
    redis: Option<RedisConnection>,
    messaging: Messaging,
}

impl App {
    /// Builds the parts that `config` asks for and begins to serve.
    ///
    /// # Errors
    /// When the address is taken, the database is away, or its schema is not this build's.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let metrics = Arc::new(Metrics::new()?);
        // Bound first, so that a port in use is found before anything is touched.
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| StartError::Listen {
                address: config.listen,
                source,
            })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen {
            address: config.listen,
            source,
        })?;
        let store = Store::connect(&config, metrics.clone()).await?;
        store.check_schema().await?;
        store.ensure_shards(config.events.shards).await?;

        let shifted_clock = cfg!(feature = "failpoints").then(|| Arc::new(ShiftedClock::default()));
        let clock: Arc<dyn Clock> = match &shifted_clock {
            Some(shifted) => shifted.clone(),
            None => Arc::new(SystemClock),
        };
        let redis = connect_redis(&config)?;
        let limits = QueueLimits {
            capacity: config.queue.capacity,
            active_ttl: config.queue.active_ttl,
            waiting_ttl: config.queue.waiting_ttl,
        };
        let sql_queue = match config.queue.mode {
            QueueMode::Sql => Some(Arc::new(SqlQueue::new(store.clone(), limits, config.mutants)?)),
            QueueMode::Zset | QueueMode::List => None,
        };
        let queue: Arc<dyn WaitingQueue> = match (&sql_queue, &redis) {
            (Some(queue), _) => queue.clone(),
            (None, Some(redis)) => {
                let kind = if config.queue.mode == QueueMode::List {
                    LineKind::List
                } else {
                    LineKind::SortedSet
                };
                Arc::new(RedisQueue::new(
                    redis.clone(),
                    &config.namespace,
                    kind,
                    limits,
                    config.mutants,
                ))
            }
            (None, None) => return Err(StartError::NoRedis("queue.mode")),
        };
        let locks = match (config.locking, &redis) {
            (Locking::RedisLock, Some(redis)) => {
                let patience = config.resilience.request_timeout;
                Some(RedisLocks::new(
                    redis.clone(),
                    &config.namespace,
                    patience * 2,
                    patience / 4,
                ))
            }
            (Locking::RedisLock, None) => return Err(StartError::NoRedis("locking")),
            _ => None,
        };
        describe(&metrics, &config, &store);
        let messaging = Messaging::start(&config, &store, &clock, &metrics, DRAIN_PATIENCE)?;
        let publisher = messaging.publisher();
        let booking = Booking::new(Parts {
            cache: build_cache(&config, redis.as_ref(), &metrics)?,
            config: config.clone(),
            metrics,
            clock,
            store,
            queue,
            locks,
            on_paid: OnPaid(Box::new(move |event, trace_parent| {
                publisher.committed(event, trace_parent)
            })),
            instance: rand::rng().random(),
        });

        let app = Self {
            address,
            booking: booking.clone(),
            stop_http: CancellationToken::new(),
            http: TaskTracker::new(),
            stop_background: CancellationToken::new(),
            background: TaskTracker::new(),
            sql_queue,
            redis,
            messaging,
        };
        app.start_background();
        let state = HttpState {
            booking,
            shifted_clock,
            request_ids: RequestIds::default(),
        };
        app.start_http(listener, Arc::new(state));
        Ok(app)
    }

    /// Where the service listens; with port 0, the port that it was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new requests, ends those under way, publishes what they caused, and leaves.
    pub async fn stop(self) {
        self.stop_http.cancel();
        self.http.close();
        if tokio::time::timeout(DRAIN_PATIENCE, self.http.wait()).await.is_err() {
            tracing::warn!("some connections did not end in time and are cut");
        }
        if tokio::time::timeout(DRAIN_PATIENCE, self.booking.drain())
            .await
            .is_err()
        {
            tracing::warn!("some changes did not end in time; their clients find out by their idempotency keys");
        }
        self.stop_background.cancel();
        self.background.close();
        self.background.wait().await;
        self.wipe().await;
        self.messaging.stop().await;
        self.booking.store.close().await;
    }

    /// D15; nothing without the mutant.
    async fn wipe(&self) {
        let wiped = match (&self.sql_queue, &self.redis) {
            (Some(queue), _) => queue.wipe_at_stop().await,
            #[cfg(feature = "mutants")]
            (None, Some(redis)) => {
                let config = &self.booking.config;
                crate::adapters::mutants::wipe_at_stop(redis, &config.namespace, config.mutants)
                    .await
                    .map(|_| ())
            }
            _ => Ok(()),
        };
        if let Err(error) = wiped {
            tracing::warn!(%error, "the queue was not reached at the end");
        }
    }

    fn start_http(&self, listener: TcpListener, state: Arc<HttpState>) {
        let listener = listener.tap_io(|stream| {
            // Answers are small; waiting to fill a segment would cost up to 40 ms each.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection was gone before its options were set");
            }
        });
        let stop = self.stop_http.clone();
        self.http.spawn(async move {
            let served = axum::serve(listener, router(state))
                .with_graceful_shutdown(stop.cancelled_owned())
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
    }

    fn start_background(&self) {
        let booking = self.booking.clone();
        let stop = self.stop_background.clone();
        let mut sweeper = Sweeper::default();
        self.background.spawn(async move {
            let mut watch = Watch::new("sweeper");
            let mut beat = beat(booking.config.sweep_interval);
            while stop.run_until_cancelled(beat.tick()).await.is_some() {
                watch.note(sweeper.round(&booking).await.map(|_| ()));
            }
        });
        let booking = self.booking.clone();
        let stop = self.stop_background.clone();
        self.background.spawn(async move {
            let mut watch = Watch::new("queue");
            let mut beat = beat(QUEUE_TICK);
            while stop.run_until_cancelled(beat.tick()).await.is_some() {
                watch.note(booking.tick_queue().await);
            }
        });
    }
}

fn beat(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// Logs a background task's trouble once when it begins and once when it ends.
struct Watch {
    task: &'static str,
    is_failing: bool,
}

impl Watch {
    const fn new(task: &'static str) -> Self {
        Self {
            task,
            is_failing: false,
        }
    }

    fn note(&mut self, result: Result<(), Failure>) {
        match result {
            Ok(()) => {
                if std::mem::replace(&mut self.is_failing, false) {
                    tracing::info!(task = self.task, "background task works again");
                }
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let cause = crate::http::error::chain(&failure);
                    tracing::warn!(task = self.task, cause, "background task failed, it goes on trying");
                }
            }
        }
    }
}

fn connect_redis(config: &Config) -> Result<Option<RedisConnection>, InvalidUrl> {
    let Some(url) = &config.redis_url else { return Ok(None) };
    // Less than the deadline, so that the database can still be asked when the cache does not answer.
    let timeout = if config.resilience.enabled {
        config.resilience.request_timeout / 4
    } else {
        Duration::from_secs(30)
    };
    RedisConnection::open(url.expose(), timeout).map(Some)
}

fn build_cache(
    config: &Config,
    redis: Option<&RedisConnection>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<dyn SeatMapCache>>, StartError> {
    let ttl = config.cache.ttl;
    let local = |ttl| LocalCache::new(ttl, LOCAL_CACHE_BYTES);
    let remote = || {
        let redis = redis.ok_or(StartError::NoRedis("cache.mode"))?;
        Ok::<_, StartError>(RedisCache::new(redis.clone(), &config.namespace, ttl))
    };
    let guarded = |inner: RedisCache| {
        let metrics = metrics.clone();
        let on_transition = Box::new(move |state: crate::adapters::breaker::BreakerState| {
            metrics.breaker_state.with_label_values(&["redis"]).set(state.level());
            if state == crate::adapters::breaker::BreakerState::Open {
                metrics.breaker_opened.with_label_values(&["redis"]).inc();
            }
        });
        BreakerCache::new(inner, BreakerLimits::default(), on_transition)
    };
    let is_guarded = config.resilience.enabled;
    let cache: Arc<dyn SeatMapCache> = match config.cache.mode {
        CacheMode::Off => return Ok(None),
        CacheMode::Local => Arc::new(local(ttl)),
        CacheMode::Redis if is_guarded => Arc::new(guarded(remote()?)),
        CacheMode::Redis => Arc::new(remote()?),
        CacheMode::Tiered if is_guarded => {
            Arc::new(TieredCache::new(local(ttl.min(TIERED_LOCAL_TTL)), guarded(remote()?)))
        }
        CacheMode::Tiered => Arc::new(TieredCache::new(local(ttl.min(TIERED_LOCAL_TTL)), remote()?)),
    };
    #[cfg(feature = "mutants")]
    let cache: Arc<dyn SeatMapCache> = Arc::new(crate::adapters::mutants::MutantCache::new(cache, config.mutants));
    Ok(Some(cache))
}

/// Sets the info series: which service this is, and which value each switch has.
fn describe(metrics: &Metrics, config: &Config, store: &Store) {
    let engine = store.engine().name();
    metrics
        .info
        .with_label_values(&[env!("CARGO_PKG_VERSION"), &config.namespace, engine])
        .set(1);
    let set = |switch: &str, value: &str| metrics.switch_info.with_label_values(&[switch, value]).set(1);
    set("cache.mode", config.cache.mode.name());
    set("cache.ttl", &humantime::format_duration(config.cache.ttl).to_string());
    set("cache.stampede", config.cache.stampede.name());
    set("locking", config.locking.name());
    set("pool.size", &config.pool_size.to_string());
    set("events.mode", config.events.mode.name());
    set("queue.mode", config.queue.mode.name());
    set("resilience.mode", if config.resilience.enabled { "on" } else { "off" });
    for mutant in config.mutants.iter() {
        set("mutants", mutant.name());
    }
}
