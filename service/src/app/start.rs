//! Puts the service together, serves, and stops it in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use rand::Rng as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{background, build};
use crate::adapters::clock::{ShiftedClock, SystemClock};
use crate::adapters::redis_connection::{InvalidUrl, RedisConnection};
use crate::adapters::sql_queue::{NotSqlite, SqlQueue};
use crate::config::Config;
use crate::http::layers::RequestIds;
use crate::http::{HttpState, router};
use crate::messaging::Messaging;
use crate::messaging::client::Told;
use crate::metrics::{Metrics, RuntimeWatch};
use crate::ports::Clock;
use crate::store::{Store, StoreError};
use crate::trace::{self, Exporter};
use crate::usecase::{Booking, OnPaid, Parts};

/// How long requests under way may take to end, and how long each part of the messaging.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// How long connections to the database may take to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

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
    Kafka(#[source] Told),
    /// `tracing.otlp_endpoint` is no address; the configuration has checked.
    #[error(transparent)]
    Trace(#[from] trace::StartError),
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
    exporter: Option<Exporter>,
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
        let (tracer, exporter) = trace::start(&config.tracing, &config.namespace, &metrics)?;
        let redis = build::connect_redis(&config)?;
        let (queue, sql_queue) = build::queue(&config, &store, redis.as_ref())?;
        let locks = build::locks(&config, redis.as_ref())?;
        build::describe(&metrics, &config, &store);
        let messaging = Messaging::start(&config, &store, &clock, &metrics, &tracer, DRAIN_PATIENCE)
            .map_err(|error| StartError::Kafka(Told(error)))?;
        let publisher = messaging.publisher();
        let booking = Booking::new(Parts {
            cache: build::cache(&config, redis.as_ref(), &metrics)?,
            config: config.clone(),
            metrics,
            clock,
            store,
            queue,
            locks,
            on_paid: OnPaid(Box::new(move |event, trace_parent| {
                publisher.committed(event, trace_parent)
            })),
            tracer,
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
            exporter,
        };
        // Before the first request, since what the queue counted until now is not this instance's to tell.
        if let Err(failure) = app.booking.tick_queue().await {
            let cause = crate::http::error::chain(&failure);
            tracing::warn!(cause, "the queue is away, the service starts without it");
        }
        background::start(&app.booking, &app.background, &app.stop_background);
        let state = HttpState {
            booking,
            shifted_clock,
            runtime: RuntimeWatch::default(),
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
        if let Some(exporter) = self.exporter {
            exporter.stop().await;
        }
        // A server that hangs may keep a connection; the process's end closes it.
        if tokio::time::timeout(CLOSE_PATIENCE, self.booking.store.close())
            .await
            .is_err()
        {
            tracing::warn!("some database connections did not close in time");
        }
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
}
