//! The parts that all use cases share. Built by [`crate::app`] alone.

use std::fmt;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::admit::{SeenActive, TotalsSeen, WaitEstimate};
use super::seat_map::Flights;
use crate::adapters::redis_lock::RedisLocks;
use crate::config::{Config, Locking, Mutant};
use crate::domain::ids::IdSource;
use crate::domain::{PaymentCompleted, Timestamp};
use crate::metrics::Metrics;
use crate::ports::{Clock, SeatMapCache, WaitingQueue};
use crate::store::Store;
use crate::trace::Tracer;

/// Told of every committed payment, with its trace context: wakes the relay, or sends the event.
pub struct OnPaid(pub Box<dyn Fn(PaymentCompleted, Option<String>) + Send + Sync>);

impl fmt::Debug for OnPaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnPaid")
    }
}

/// What [`Booking`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The database.
    pub store: Store,
    /// The waiting room.
    pub queue: Arc<dyn WaitingQueue>,
    /// The seat map's cache; `None` with `cache.mode: off`.
    pub cache: Option<Arc<dyn SeatMapCache>>,
    /// Locks, with `locking: redis-lock`.
    pub locks: Option<RedisLocks>,
    /// What follows a committed payment. Must not block.
    pub on_paid: OnPaid,
    /// Begins the spans of requests.
    pub tracer: Tracer,
    /// Separates the ids of instances that share a database.
    pub instance: u64,
}

/// The use cases. Each is a method, in the file of its subject.
#[derive(Debug)]
pub struct Booking {
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Store,
    pub(crate) queue: Arc<dyn WaitingQueue>,
    pub(crate) cache: Option<Arc<dyn SeatMapCache>>,
    pub(crate) locks: Option<RedisLocks>,
    pub(crate) on_paid: OnPaid,
    pub(crate) tracer: Tracer,
    pub(crate) ids: IdSource,
    pub(crate) flights: Flights,
    pub(crate) wait: WaitEstimate,
    pub(crate) totals_seen: TotalsSeen,
    pub(crate) seen_active: SeenActive,
    /// Changes under way; the graceful shutdown waits for them.
    pub(crate) work: TaskTracker,
}

impl Booking {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Arc<Self> {
        parts.metrics.queue_capacity.set(parts.config.queue.capacity.into());
        Arc::new(Self {
            config: parts.config,
            metrics: parts.metrics,
            clock: parts.clock,
            store: parts.store,
            queue: parts.queue,
            cache: parts.cache,
            locks: parts.locks,
            on_paid: parts.on_paid,
            tracer: parts.tracer,
            ids: IdSource::new(parts.instance),
            flights: Flights::default(),
            wait: WaitEstimate::default(),
            totals_seen: TotalsSeen::default(),
            seen_active: SeenActive::default(),
            work: TaskTracker::new(),
        })
    }

    /// The current moment on the service's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits for the changes under way; new ones are no longer expected.
    pub async fn drain(&self) {
        self.work.close();
        self.work.wait().await;
    }

    pub(crate) fn mutant(&self, mutant: Mutant) -> bool {
        self.config.mutants.has(mutant)
    }

    pub(crate) fn locking(&self) -> Locking {
        self.config.locking
    }
}
