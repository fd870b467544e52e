//! Seats on sale, through the cache: get or load, with the switch `cache.stampede`.
//!
//! The body is cached as it is sent, so that a hit costs neither a query nor a serialisation. A load takes its stamp
//! before it reads, and the cache drops a fill whose stamp a write has outdated; so a hold that commits while a load is
//! under way cannot be hidden by it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

use super::{Booking, Failure, work};
use crate::config::{CacheMode, Stampede};
use crate::domain::{QueueToken, ScheduleId, Timestamp};
use crate::ports::{FillStamp, Lookup};
use crate::store::StoreError;
use crate::store::connect::counting_connections;
use crate::store::seats::SeatLine;
use crate::trace;

/// The share of its time to live after which one reader refreshes an entry, with `early-refresh`.
const REFRESH_AFTER: f64 = 0.8;

/// A load that several readers wait for. `None` is an unknown schedule.
type Flight = Shared<BoxFuture<'static, Result<Option<Bytes>, Arc<StoreError>>>>;

/// Who answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answered {
    Cache,
    Database,
}

/// Loads under way in this process.
#[derive(Debug, Default)]
pub struct Flights {
    /// By schedule and stamp: a reader that comes after a write has another stamp, and so does not join a load that
    /// may have read before that write.
    flying: Mutex<HashMap<(ScheduleId, Option<FillStamp>), Flight>>,
    n_loaders: Mutex<HashMap<ScheduleId, u32>>,
}

/// Counts a loader of a key for as long as it lives.
struct Loader<'a> {
    booking: &'a Booking,
    schedule: ScheduleId,
}

impl<'a> Loader<'a> {
    fn begin(booking: &'a Booking, schedule: ScheduleId) -> Self {
        let mut loaders = booking.flights.n_loaders.lock().unwrap_or_else(PoisonError::into_inner);
        let n = loaders.entry(schedule).or_insert(0);
        *n += 1;
        booking.metrics.cache_loader_concurrency.observe(f64::from(*n));
        booking.metrics.cache_loaders.inc();
        drop(loaders);
        Self { booking, schedule }
    }
}

impl Drop for Loader<'_> {
    fn drop(&mut self) {
        self.booking.metrics.cache_loaders.dec();
        let mut loaders = self
            .booking
            .flights
            .n_loaders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = loaders.get_mut(&self.schedule) {
            *n -= 1;
            if *n == 0 {
                loaders.remove(&self.schedule);
            }
        }
    }
}

impl Booking {
    /// The seats of a date that are on sale, as JSON, for a token that is admitted. An answer from the cache should
    /// borrow no database connection from check to body; the metrics tell whether it did.
    ///
    /// # Errors
    /// When the token is not admitted, there is no such date, or the database is away. A cache that is away is passed
    /// by.
    pub async fn seat_map(self: &Arc<Self>, token: QueueToken, schedule: ScheduleId) -> Result<Bytes, Failure> {
        let (served, n_borrowed) = counting_connections(Box::pin(async {
            self.require_admission_to_read(token).await?;
            self.find_seat_map(schedule).await
        }))
        .await;
        let (body, answered) = served?;
        if answered == Answered::Cache {
            self.metrics.cache_hit_connections.inc_by(n_borrowed.into());
        }
        Ok(body)
    }

    async fn find_seat_map(self: &Arc<Self>, schedule: ScheduleId) -> Result<(Bytes, Answered), Failure> {
        let Some(cache) = &self.cache else {
            return self.load_for(schedule, None, "off").await;
        };
        let now = self.now();
        match cache.get(schedule, now).await {
            Ok(Lookup::Hit {
                body, filled_at, layer, ..
            }) => {
                self.metrics.cache_requests.with_label_values(&[layer, "hit"]).inc();
                if self.is_due(filled_at, now) {
                    self.refresh_behind(schedule);
                }
                Ok((body, Answered::Cache))
            }
            Ok(Lookup::Miss(stamp)) => {
                self.metrics
                    .cache_requests
                    .with_label_values(&["database", "miss"])
                    .inc();
                work::after_miss(&self.config.namespace);
                self.load_for(schedule, Some(stamp), "miss").await
            }
            Err(error) => {
                self.metrics
                    .cache_requests
                    .with_label_values(&[error.dependency, "error"])
                    .inc();
                self.metrics
                    .dependency_errors
                    .with_label_values(&[error.dependency])
                    .inc();
                self.load_for(schedule, None, "cache_error").await
            }
        }
    }

    fn is_due(&self, filled_at: Timestamp, now: Timestamp) -> bool {
        self.config.cache.stampede == Stampede::EarlyRefresh
            && now.since(filled_at) >= self.config.cache.ttl.mul_f64(REFRESH_AFTER)
    }

    /// Loads in the background; readers meanwhile take what is there. A second reader finds the flight and does nothing.
    fn refresh_behind(self: &Arc<Self>, schedule: ScheduleId) {
        let is_flying = {
            let flying = self.flights.flying.lock().unwrap_or_else(PoisonError::into_inner);
            flying.keys().any(|(key, _)| *key == schedule)
        };
        if is_flying {
            return;
        }
        let Some(cache) = self.cache.clone() else { return };
        let this = self.clone();
        self.work.spawn(trace::inherited(async move {
            let Ok(stamp) = cache.stamp(schedule).await else { return };
            // A failure shows in the metrics of the load; the entry is served until its end.
            let _refreshed = this.fly(schedule, Some(stamp), "refresh").await;
        }));
    }

    async fn load_for(
        self: &Arc<Self>,
        schedule: ScheduleId,
        stamp: Option<FillStamp>,
        reason: &'static str,
    ) -> Result<(Bytes, Answered), Failure> {
        let is_shared = self.config.cache.stampede != Stampede::None && self.config.cache.mode != CacheMode::Off;
        let loaded = if is_shared {
            self.fly(schedule, stamp, reason).await
        } else {
            self.load(schedule, stamp, reason).await.map_err(Arc::new)
        };
        match loaded {
            Ok(Some(body)) => Ok((body, Answered::Database)),
            Ok(None) => Err(Failure::NotFound("schedule")),
            // The kind is what callers decide by; the error itself is shared with the other readers.
            Err(error) => Err(match &*error {
                StoreError::PoolTimeout(_) => Failure::Overloaded,
                StoreError::Unreachable(_) | StoreError::NoSpace(_) => Failure::Unavailable {
                    dependency: "database",
                    source: Box::new(error),
                },
                StoreError::Contended { .. } => Failure::Conflict,
                _ => Failure::Internal(Box::new(error)),
            }),
        }
    }

    /// Joins the load of this schedule and stamp, or begins it.
    async fn fly(
        self: &Arc<Self>,
        schedule: ScheduleId,
        stamp: Option<FillStamp>,
        reason: &'static str,
    ) -> Result<Option<Bytes>, Arc<StoreError>> {
        let key = (schedule, stamp);
        let flight = {
            let mut flying = self.flights.flying.lock().unwrap_or_else(PoisonError::into_inner);
            flying
                .entry(key)
                .or_insert_with(|| {
                    let this = self.clone();
                    // A task of its own: it goes on although the reader that began it hangs up. Whoever joins it finds its
                    // spans in that reader's trace.
                    let task = self.work.spawn(trace::inherited(async move {
                        let loaded = match this.filled_meanwhile(schedule, reason).await {
                            Some(body) => Ok(Some(body)),
                            None => this.load(schedule, stamp, reason).await.map_err(Arc::new),
                        };
                        this.flights
                            .flying
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .remove(&key);
                        loaded
                    }));
                    async move {
                        task.await.unwrap_or_else(|panic| {
                            tracing::error!(error = %panic, "a load of a seat map panicked");
                            Err(Arc::new(StoreError::Corrupt("seats")))
                        })
                    }
                    .boxed()
                    .shared()
                })
                .clone()
        };
        flight.await
    }

    /// What another flight has brought since this one's reader found nothing: it may have landed between that look and the
    /// beginning of this one. A look costs less than a load.
    async fn filled_meanwhile(&self, schedule: ScheduleId, reason: &str) -> Option<Bytes> {
        let cache = self.cache.as_ref().filter(|_| reason == "miss")?;
        match cache.get(schedule, self.now()).await {
            Ok(Lookup::Hit { body, .. }) => Some(body),
            // A cache that went away meanwhile is passed by; its next reader counts that.
            Ok(Lookup::Miss(_)) | Err(_) => None,
        }
    }

    async fn load(
        &self,
        schedule: ScheduleId,
        stamp: Option<FillStamp>,
        reason: &'static str,
    ) -> Result<Option<Bytes>, StoreError> {
        let _loader = Loader::begin(self, schedule);
        self.metrics.cache_loads.with_label_values(&[reason]).inc();
        let begun = Instant::now();
        let found = self.transaction("seat_map", || self.store.seat_map(schedule)).await?;
        let Some(seats) = found else { return Ok(None) };
        if seats.is_empty() {
            self.metrics.cache_loads_sold_out.inc();
        }
        let body = render(schedule, &seats);
        if let (Some(cache), Some(stamp)) = (&self.cache, stamp) {
            let cost: Duration = begun.elapsed();
            let filled = cache.fill(schedule, stamp, body.clone(), cost, self.now()).await;
            let result = match filled {
                Ok(true) => "stored",
                Ok(false) => "outdated",
                Err(_) => "error",
            };
            self.metrics.cache_fills.with_label_values(&[result]).inc();
        }
        Ok(Some(body))
    }
}

/// The body by hand: a seat map has hundreds of lines, and nothing in them needs escaping.
fn render(schedule: ScheduleId, seats: &[SeatLine]) -> Bytes {
    let mut body = String::with_capacity(64 + seats.len() * 80);
    // Writing to a string cannot fail.
    let _ = write!(body, r#"{{"schedule_id":"{schedule}","seats":["#);
    for (n, seat) in seats.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let (id, number, price) = (seat.id, seat.number, seat.price.minor());
        let _ = write!(body, r#"{comma}{{"seat_id":"{id}","number":{number},"price":{price}}}"#);
    }
    body.push_str("]}");
    Bytes::from(body)
}
