//! Seat maps in the process's own memory.
//!
//! Alone (`cache.mode: local`) it is right for one instance: other instances' changes show after the lifetime.
//! [`super::tiered_cache`] puts it in front of Redis.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use moka::notification::RemovalCause;

use crate::domain::{ScheduleId, Timestamp};
use crate::ports::{FillStamp, Lookup, SeatMapCache, Unavailable};

/// Schedules share this many version counters. A shared counter makes a fill be dropped for another schedule's
/// change, which costs one more read; it never lets an outdated fill pass.
const VERSIONS: usize = 4096;

/// The bytes of bodies that an instance keeps: some thousand seat maps, and well within its memory goal.
pub const MAX_BYTES: u64 = 32 << 20;

/// A seat map and what is known about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) body: Bytes,
    /// When the body was read from the database.
    pub(crate) filled_at: Timestamp,
    pub(crate) fill_cost: Duration,
}

#[derive(Clone, Debug)]
struct Stored {
    entry: Entry,
    /// When this process stored it: later than `filled_at` for what came from Redis.
    stored_at: Timestamp,
}

/// Seat maps in memory, bounded in bytes, each for a lifetime.
#[derive(Debug)]
pub struct LocalCache {
    entries: moka::sync::Cache<ScheduleId, Stored>,
    versions: Box<[Mutex<u64>]>,
    hasher: RandomState,
    ttl: Duration,
}

impl LocalCache {
    /// At most `max_bytes` of bodies, each kept for `ttl`.
    pub fn new(ttl: Duration, max_bytes: u64) -> Self {
        Self::counting(ttl, max_bytes, || ())
    }

    /// The same, which calls `on_eviction` for every body that is dropped for want of room.
    pub fn counting(ttl: Duration, max_bytes: u64, on_eviction: impl Fn() + Send + Sync + 'static) -> Self {
        let entries = moka::sync::Cache::builder()
            .name("seat-maps")
            .max_capacity(max_bytes)
            .weigher(|_, stored: &Stored| u32::try_from(stored.entry.body.len()).unwrap_or(u32::MAX))
            // Frees memory by the process's clock; whether an entry is served is decided by the service's.
            .time_to_live(ttl)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    on_eviction();
                }
            })
            .build();
        Self {
            entries,
            versions: std::iter::repeat_with(Mutex::default).take(VERSIONS).collect(),
            hasher: RandomState::new(),
            ttl,
        }
    }

    /// The longest that an entry is served after it was stored.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// About how many entries there are; some may have expired.
    pub fn n_entries(&self) -> u64 {
        self.entries.entry_count()
    }

    pub(crate) fn lookup(&self, schedule: ScheduleId, now: Timestamp) -> Option<Entry> {
        let stored = self.entries.get(&schedule)?;
        (now.since(stored.stored_at) < self.ttl).then_some(stored.entry)
    }

    pub(crate) fn version(&self, schedule: ScheduleId) -> u64 {
        *self.lock(schedule)
    }

    /// Stores `entry` if `is_current` says so of the version; the lock keeps a change from coming between.
    pub(crate) fn store_if(
        &self,
        schedule: ScheduleId,
        is_current: impl FnOnce(u64) -> bool,
        entry: Entry,
        now: Timestamp,
    ) -> bool {
        let version = self.lock(schedule);
        let current = is_current(*version);
        if current {
            self.entries.insert(schedule, Stored { entry, stored_at: now });
        }
        current
    }

    pub(crate) fn forget(&self, schedule: ScheduleId) {
        let mut version = self.lock(schedule);
        *version = version.wrapping_add(1);
        self.entries.invalidate(&schedule);
    }

    fn lock(&self, schedule: ScheduleId) -> MutexGuard<'_, u64> {
        let at = usize::try_from(self.hasher.hash_one(schedule) % VERSIONS as u64).unwrap_or(0);
        // A counter is whole whatever happened to its last holder.
        self.versions[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeatMapCache for LocalCache {
    fn get(&self, schedule: ScheduleId, now: Timestamp) -> BoxFuture<'_, Result<Lookup, Unavailable>> {
        let lookup = match self.lookup(schedule, now) {
            Some(entry) => entry.hit("local"),
            None => Lookup::Miss(FillStamp(self.version(schedule))),
        };
        futures::future::ready(Ok(lookup)).boxed()
    }

    fn stamp(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<FillStamp, Unavailable>> {
        futures::future::ready(Ok(FillStamp(self.version(schedule)))).boxed()
    }

    fn fill(
        &self,
        schedule: ScheduleId,
        stamp: FillStamp,
        body: Bytes,
        fill_cost: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        let entry = Entry {
            body,
            filled_at: now,
            fill_cost,
        };
        let stored = self.store_if(schedule, |version| version == stamp.0, entry, now);
        futures::future::ready(Ok(stored)).boxed()
    }

    fn invalidate(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.forget(schedule);
        futures::future::ready(Ok(())).boxed()
    }
}

impl Entry {
    pub(crate) fn hit(self, layer: &'static str) -> Lookup {
        Lookup::Hit {
            body: self.body,
            filled_at: self.filled_at,
            fill_cost: self.fill_cost,
            layer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);
    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

    fn schedule(raw: i64) -> ScheduleId {
        ScheduleId::from_raw(raw).unwrap()
    }

    fn body(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    async fn missed(cache: &LocalCache, id: ScheduleId) -> FillStamp {
        match cache.get(id, NOW).await.unwrap() {
            Lookup::Miss(stamp) => stamp,
            Lookup::Hit { .. } => panic!("expected a miss"),
        }
    }

    #[tokio::test]
    async fn serves_until_its_lifetime_has_passed() {
        let cache = LocalCache::new(TTL, 1 << 20);
        let stamp = missed(&cache, schedule(1)).await;
        assert!(
            cache
                .fill(schedule(1), stamp, body("a"), Duration::ZERO, NOW)
                .await
                .unwrap()
        );
        let last = NOW.plus(TTL - Duration::from_millis(1));
        assert!(
            matches!(cache.get(schedule(1), last).await.unwrap(), Lookup::Hit { body: served, layer: "local", .. } if served == "a")
        );
        assert!(matches!(
            cache.get(schedule(1), NOW.plus(TTL)).await.unwrap(),
            Lookup::Miss(_)
        ));
    }

    #[test]
    fn a_body_that_is_dropped_for_want_of_room_is_counted() {
        let n_evicted = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counter = n_evicted.clone();
        let cache = LocalCache::counting(TTL, 8, move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        let fill = |raw, text| {
            let entry = Entry {
                body: body(text),
                filled_at: NOW,
                fill_cost: Duration::ZERO,
            };
            cache.store_if(schedule(raw), |_| true, entry, NOW);
            cache.entries.run_pending_tasks();
            n_evicted.load(std::sync::atomic::Ordering::Relaxed)
        };
        assert_eq!(fill(1, "four"), 0);
        cache.forget(schedule(1));
        assert_eq!(fill(1, "four"), 0, "a change is no want of room");
        assert_eq!(fill(2, "longer than all the room"), 1);
    }

    #[tokio::test]
    async fn a_fill_from_before_a_change_is_dropped() {
        let cache = LocalCache::new(TTL, 1 << 20);
        let stamp = missed(&cache, schedule(1)).await;
        cache.invalidate(schedule(1)).await.unwrap();
        assert!(
            !cache
                .fill(schedule(1), stamp, body("old"), Duration::ZERO, NOW)
                .await
                .unwrap()
        );
        let fresh = missed(&cache, schedule(1)).await;
        assert!(
            cache
                .fill(schedule(1), fresh, body("new"), Duration::ZERO, NOW)
                .await
                .unwrap()
        );
    }

    #[test]
    fn racing_fills_never_outlive_a_change() {
        let cache = LocalCache::new(TTL, 1 << 20);
        for round in 0..2_000 {
            let stamp = cache.version(schedule(7));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let entry = Entry {
                        body: body("old"),
                        filled_at: NOW,
                        fill_cost: Duration::ZERO,
                    };
                    cache.store_if(schedule(7), |version| version == stamp, entry, NOW)
                });
                scope.spawn(|| cache.forget(schedule(7)));
            });
            assert_eq!(cache.lookup(schedule(7), NOW), None, "round {round}");
        }
    }
}
