//! The defects D7, D8, D12 and D15 as far as they concern Redis and the caches. Compiled in with the feature
//! `mutants` alone; those of the queue are in `scripts/mutants`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

use super::redis_connection::{RedisConnection, key};
use crate::config::{Mutant, Mutants};
use crate::domain::{ScheduleId, Timestamp};
use crate::ports::{FillStamp, Lookup, SeatMapCache, Unavailable};

/// Any cache, with the defects of `mutants`.
#[derive(Debug)]
pub struct MutantCache {
    inner: Arc<dyn SeatMapCache>,
    mutants: Mutants,
}

impl MutantCache {
    /// `inner` as it is when none of its mutants is on.
    pub fn new(inner: Arc<dyn SeatMapCache>, mutants: Mutants) -> Self {
        Self { inner, mutants }
    }
}

/// The seats of both maps, one after the other.
fn appended(old: &Bytes, new: &Bytes) -> Option<Bytes> {
    let mut old: Value = serde_json::from_slice(old).ok()?;
    let mut new: Value = serde_json::from_slice(new).ok()?;
    let more = new.get_mut("seats")?.as_array_mut()?;
    old.get_mut("seats")?.as_array_mut()?.append(more);
    serde_json::to_vec(&old).ok().map(Bytes::from)
}

fn is_sold_out(body: &Bytes) -> bool {
    serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|map| map.get("seats")?.as_array().map(Vec::is_empty))
        .unwrap_or(false)
}

impl SeatMapCache for MutantCache {
    fn get(&self, schedule: ScheduleId, now: Timestamp) -> BoxFuture<'_, Result<Lookup, Unavailable>> {
        async move {
            let lookup = self.inner.get(schedule, now).await?;
            // D8: no seats are taken for no entry.
            match &lookup {
                Lookup::Hit { body, .. } if self.mutants.has(Mutant::D8) && is_sold_out(body) => {
                    self.inner.stamp(schedule).await.map(Lookup::Miss)
                }
                _ => Ok(lookup),
            }
        }
        .boxed()
    }

    fn stamp(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<FillStamp, Unavailable>> {
        self.inner.stamp(schedule)
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
            // D12: claims to have filled.
            if self.mutants.has(Mutant::D12) {
                return Ok(true);
            }
            if !self.mutants.has(Mutant::D7) {
                return self.inner.fill(schedule, stamp, body, fill_cost, now).await;
            }
            // D7: appends to what another reader has filled meanwhile, and looks at no stamp.
            let body = match self.inner.get(schedule, now).await? {
                Lookup::Hit { body: old, .. } => appended(&old, &body).unwrap_or(body),
                Lookup::Miss(_) => body,
            };
            let stamp = self.inner.stamp(schedule).await?;
            self.inner.fill(schedule, stamp, body, fill_cost, now).await
        }
        .boxed()
    }

    fn invalidate(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.inner.invalidate(schedule)
    }
}

/// D15: what an instance does at its end, as if nobody else were using the queue and the locks. Returns the number of
/// keys removed.
///
/// # Errors
/// When Redis does not answer.
pub async fn wipe_at_stop(connection: &RedisConnection, namespace: &str, mutants: Mutants) -> Result<u64, Unavailable> {
    let mut removed = 0;
    if !mutants.has(Mutant::D15) {
        return Ok(removed);
    }
    for pattern in ["queue:*", "lock:*"] {
        let mut cursor: u64 = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(key(namespace, pattern))
                .arg("COUNT")
                .arg(500);
            let (next, keys): (u64, Vec<String>) = connection.query("wipe", &scan).await?;
            if !keys.is_empty() {
                removed += connection.query::<u64>("wipe", redis::cmd("DEL").arg(keys)).await?;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::super::local_cache::LocalCache;
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

    fn cache(mutant: Option<Mutant>) -> MutantCache {
        let inner = LocalCache::new(Duration::from_secs(60), 1 << 20);
        MutantCache::new(Arc::new(inner), mutant.into_iter().collect())
    }

    /// Two readers miss at once, then both fill. Returns what a third one gets.
    async fn two_fills(cache: &MutantCache, body: &'static str) -> Option<Bytes> {
        let schedule = ScheduleId::from_raw(1).unwrap();
        let stamp = cache.stamp(schedule).await.unwrap();
        for _ in 0..2 {
            let body = Bytes::from_static(body.as_bytes());
            cache.fill(schedule, stamp, body, Duration::ZERO, NOW).await.unwrap();
        }
        match cache.get(schedule, NOW).await.unwrap() {
            Lookup::Hit { body, .. } => Some(body),
            Lookup::Miss(_) => None,
        }
    }

    #[tokio::test]
    async fn each_cache_defect_shows_and_none_shows_without() {
        let map = r#"{"seats":[{"number":1}]}"#;
        assert_eq!(two_fills(&cache(None), map).await.unwrap(), map);
        let doubled = r#"{"seats":[{"number":1},{"number":1}]}"#;
        assert_eq!(two_fills(&cache(Some(Mutant::D7)), map).await.unwrap(), doubled);
        assert_eq!(two_fills(&cache(Some(Mutant::D12)), map).await, None);
        let sold_out = r#"{"seats":[]}"#;
        assert_eq!(two_fills(&cache(None), sold_out).await.unwrap(), sold_out);
        assert_eq!(two_fills(&cache(Some(Mutant::D8)), sold_out).await, None);
        assert_eq!(two_fills(&cache(Some(Mutant::D8)), map).await.unwrap(), map);
    }
}
