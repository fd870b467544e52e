//! A small cache in the process in front of a shared one.
//!
//! Staleness: this instance's own changes show at once. Another instance's change shows when the local lifetime has
//! passed, [`TieredCache::max_staleness`], since it empties the shared layer but cannot reach this memory.
//! While the shared layer is away, the local one carries on alone within the same bound.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::local_cache::{Entry, LocalCache};
use crate::domain::{ScheduleId, Timestamp};
use crate::ports::{FillStamp, Lookup, SeatMapCache, Unavailable};

/// The local layer's lifetime: long enough to take a rush on one schedule off Redis, short enough that a seat shown as
/// free has been so half a second ago.
pub const LOCAL_TTL: Duration = Duration::from_millis(500);

/// A local layer in front of `S`.
#[derive(Debug)]
pub struct TieredCache<S> {
    local: LocalCache,
    shared: S,
}

/// Both layers' versions in one stamp: bit 63 says whether the shared one is known, 31 bits are the local version,
/// the low 32 the shared one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamps {
    local: u32,
    shared: Option<u32>,
}

const LOCAL_MASK: u32 = u32::MAX >> 1;
const SHARED_KNOWN: u64 = 1 << 63;

impl Stamps {
    fn new(local: u64, shared: Option<FillStamp>) -> Self {
        Self {
            local: local_part(local),
            // A version that does not fit is treated as unknown: then the shared layer is not filled, which is safe.
            shared: shared.and_then(|stamp| u32::try_from(stamp.0).ok()),
        }
    }

    fn pack(self) -> FillStamp {
        let shared = self.shared.map_or(0, |shared| SHARED_KNOWN | u64::from(shared));
        FillStamp(shared | u64::from(self.local) << 32)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is cut to its own bits")]
    fn unpack(stamp: FillStamp) -> Self {
        Self {
            local: (stamp.0 >> 32) as u32 & LOCAL_MASK,
            shared: (stamp.0 & SHARED_KNOWN != 0).then_some(stamp.0 as u32),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low bits tell versions apart that are close"
)]
fn local_part(version: u64) -> u32 {
    version as u32 & LOCAL_MASK
}

impl<S: SeatMapCache> TieredCache<S> {
    /// `local`'s lifetime should be short: it bounds how long another instance's change stays unseen.
    pub fn new(local: LocalCache, shared: S) -> Self {
        Self { local, shared }
    }

    /// The layer in the process, for its gauges.
    pub fn local(&self) -> &LocalCache {
        &self.local
    }

    /// How long another instance's change may stay unseen here.
    pub fn max_staleness(&self) -> Duration {
        self.local.ttl()
    }
}

impl<S: SeatMapCache> SeatMapCache for TieredCache<S> {
    fn get(&self, schedule: ScheduleId, now: Timestamp) -> BoxFuture<'_, Result<Lookup, Unavailable>> {
        async move {
            if let Some(entry) = self.local.lookup(schedule, now) {
                return Ok(entry.hit("local"));
            }
            // Taken before the shared layer is read, so that a change in between keeps the copy out.
            let version = self.local.version(schedule);
            match self.shared.get(schedule, now).await {
                Ok(Lookup::Hit {
                    body,
                    filled_at,
                    fill_cost,
                    layer,
                }) => {
                    let entry = Entry {
                        body,
                        filled_at,
                        fill_cost,
                    };
                    self.local
                        .store_if(schedule, |current| current == version, entry.clone(), now);
                    Ok(entry.hit(layer))
                }
                Ok(Lookup::Miss(stamp)) => Ok(Lookup::Miss(Stamps::new(version, Some(stamp)).pack())),
                // The breaker below has counted it; here it only means that the local layer is alone.
                Err(_) => Ok(Lookup::Miss(Stamps::new(version, None).pack())),
            }
        }
        .boxed()
    }

    fn stamp(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<FillStamp, Unavailable>> {
        async move {
            let version = self.local.version(schedule);
            let shared = self.shared.stamp(schedule).await.ok();
            Ok(Stamps::new(version, shared).pack())
        }
        .boxed()
    }

    fn fill(
        &self,
        schedule: ScheduleId,
        stamp: FillStamp,
        body: Bytes,
        fill_cost: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        async move {
            let stamps = Stamps::unpack(stamp);
            if let Some(shared) = stamps.shared {
                let shared = FillStamp(u64::from(shared));
                // Dropped there means that some instance has changed the schedule: the local layer must not keep it
                // either. A failure leaves only this instance's changes known, as while the layer is away.
                if let Ok(false) = self.shared.fill(schedule, shared, body.clone(), fill_cost, now).await {
                    return Ok(false);
                }
            }
            let entry = Entry {
                body,
                filled_at: now,
                fill_cost,
            };
            let is_current = |version| local_part(version) == stamps.local;
            Ok(self.local.store_if(schedule, is_current, entry, now))
        }
        .boxed()
    }

    fn invalidate(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<(), Unavailable>> {
        async move {
            // Before, so that nothing old is served while the shared layer answers; and after, so that a copy taken
            // from the shared layer just before it was emptied does not stay.
            self.local.forget(schedule);
            let outcome = self.shared.invalidate(schedule).await;
            self.local.forget(schedule);
            outcome
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);
    const LOCAL_TTL: Duration = Duration::from_secs(1);
    const SHARED_TTL: Duration = Duration::from_secs(60);

    /// Two instances' caches over one shared layer, which another process's cache stands for.
    fn two_instances() -> [TieredCache<std::sync::Arc<LocalCache>>; 2] {
        let shared = std::sync::Arc::new(LocalCache::new(SHARED_TTL, 1 << 20));
        [(); 2].map(|()| TieredCache::new(LocalCache::new(LOCAL_TTL, 1 << 20), shared.clone()))
    }

    fn schedule() -> ScheduleId {
        ScheduleId::from_raw(5).unwrap()
    }

    async fn get(cache: &impl SeatMapCache, now: Timestamp) -> Result<Bytes, FillStamp> {
        match cache.get(schedule(), now).await.unwrap() {
            Lookup::Hit { body, .. } => Ok(body),
            Lookup::Miss(stamp) => Err(stamp),
        }
    }

    #[tokio::test]
    async fn another_instances_change_shows_within_the_stated_time() {
        let [here, there] = two_instances();
        let stamp = get(&here, NOW).await.unwrap_err();
        assert!(
            here.fill(schedule(), stamp, Bytes::from_static(b"old"), Duration::ZERO, NOW)
                .await
                .unwrap()
        );
        assert_eq!(get(&there, NOW).await.unwrap(), "old");
        here.invalidate(schedule()).await.unwrap();
        assert!(
            get(&here, NOW).await.is_err(),
            "an instance sees its own change at once"
        );
        assert_eq!(get(&there, NOW).await.unwrap(), "old", "the other may lag");
        assert!(
            get(&there, NOW.plus(there.max_staleness())).await.is_err(),
            "but not longer than stated"
        );
    }

    #[tokio::test]
    async fn a_fill_from_before_another_instances_change_is_dropped_in_both_layers() {
        let [here, there] = two_instances();
        let stamp = get(&here, NOW).await.unwrap_err();
        there.invalidate(schedule()).await.unwrap();
        assert!(
            !here
                .fill(schedule(), stamp, Bytes::from_static(b"old"), Duration::ZERO, NOW)
                .await
                .unwrap()
        );
        assert!(get(&here, NOW).await.is_err());
        assert!(get(&there, NOW).await.is_err());
    }

    proptest! {
        #[test]
        fn stamps_survive_packing(local in any::<u64>(), shared in proptest::option::of(any::<u32>())) {
            let stamps = Stamps::new(local, shared.map(|shared| FillStamp(u64::from(shared))));
            prop_assert_eq!(Stamps::unpack(stamps.pack()), stamps);
            prop_assert_eq!(stamps.shared, shared);
        }
    }
}
