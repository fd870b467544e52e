//! Seat maps in Redis, shared by all instances.
//!
//! An entry is one string: when it was filled, what the fill cost, and the body. Beside it stands a version, which
//! every change moves and every fill must match. A lookup reads both in one command.
//!
//! Staleness: a change that has been invalidated is never served again. When Redis loses versions but not entries,
//! or an invalidation cannot be sent ([`super::breaker_cache`] repeats those), an entry is served until its lifetime
//! has passed.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use redis::Script;

use super::local_cache::Entry;
use super::redis_connection::{RedisConnection, key};
use crate::domain::{ScheduleId, Timestamp};
use crate::ports::{FillStamp, Lookup, SeatMapCache, Unavailable};

/// Versions are kept this long after the last change, so that they do not pile up. No reader's query is as old.
const VERSION_TTL: Duration = Duration::from_hours(24);
/// `filled_at` in milliseconds and `fill_cost` in microseconds, eight bytes each.
const HEADER_BYTES: usize = 16;

/// The cache of one namespace.
#[derive(Debug)]
pub struct RedisCache {
    connection: RedisConnection,
    namespace: String,
    ttl: Duration,
    fill: Script,
    invalidate: Script,
}

impl RedisCache {
    /// Entries of `namespace`, each for `ttl`.
    pub fn new(connection: RedisConnection, namespace: &str, ttl: Duration) -> Self {
        Self {
            connection,
            namespace: namespace.to_owned(),
            ttl,
            fill: Script::new(include_str!("scripts/cache_fill.lua")),
            invalidate: Script::new(include_str!("scripts/cache_invalidate.lua")),
        }
    }

    /// The longest that an entry is served after it was filled.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    fn entry_key(&self, schedule: ScheduleId) -> String {
        key(&self.namespace, format_args!("seats:{}", schedule.raw()))
    }

    fn version_key(&self, schedule: ScheduleId) -> String {
        key(&self.namespace, format_args!("seats:{}:version", schedule.raw()))
    }
}

fn encode(entry: &Entry) -> BytesMut {
    let mut value = BytesMut::with_capacity(HEADER_BYTES + entry.body.len());
    value.put_i64(entry.filled_at.unix_ms());
    value.put_u64(u64::try_from(entry.fill_cost.as_micros()).unwrap_or(u64::MAX));
    value.put_slice(&entry.body);
    value
}

/// `None` for what no version of ours has written: it is then a miss, and the next fill overwrites it.
fn decode(value: Vec<u8>) -> Option<Entry> {
    let mut value = Bytes::from(value);
    (value.len() >= HEADER_BYTES).then(|| Entry {
        filled_at: Timestamp::from_unix_ms(value.get_i64()),
        fill_cost: Duration::from_micros(value.get_u64()),
        body: value,
    })
}

impl SeatMapCache for RedisCache {
    fn get(&self, schedule: ScheduleId, now: Timestamp) -> BoxFuture<'_, Result<Lookup, Unavailable>> {
        async move {
            let mut command = redis::cmd("MGET");
            command.arg(self.entry_key(schedule)).arg(self.version_key(schedule));
            let (value, version): (Option<Vec<u8>>, Option<u64>) = self.connection.query("cache get", &command).await?;
            // Redis expires by its own clock; the service's decides when the two differ.
            let entry = value
                .and_then(decode)
                .filter(|entry| now.since(entry.filled_at) < self.ttl);
            Ok(match entry {
                Some(entry) => entry.hit("redis"),
                None => Lookup::Miss(FillStamp(version.unwrap_or(0))),
            })
        }
        .boxed()
    }

    fn stamp(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<FillStamp, Unavailable>> {
        async move {
            let mut command = redis::cmd("GET");
            command.arg(self.version_key(schedule));
            let version: Option<u64> = self.connection.query("cache stamp", &command).await?;
            Ok(FillStamp(version.unwrap_or(0)))
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
            let entry = Entry {
                body,
                filled_at: now,
                fill_cost,
            };
            let mut call = self.fill.key(self.entry_key(schedule));
            call.key(self.version_key(schedule))
                .arg(stamp.0)
                .arg(&encode(&entry)[..])
                // Redis refuses a lifetime of zero.
                .arg(u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX).max(1));
            self.connection.run("cache fill", &call).await
        }
        .boxed()
    }

    fn invalidate(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<(), Unavailable>> {
        async move {
            let mut call = self.invalidate.key(self.entry_key(schedule));
            call.key(self.version_key(schedule))
                .arg(u64::try_from(VERSION_TTL.as_millis()).unwrap_or(u64::MAX));
            self.connection.run("cache invalidate", &call).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_its_encoding() {
        let entry = Entry {
            body: Bytes::from_static(b"{\"seats\":[]}"),
            filled_at: Timestamp::from_unix_ms(1_800_000_000_123),
            fill_cost: Duration::from_micros(4_321),
        };
        assert_eq!(decode(encode(&entry).to_vec()), Some(entry));
    }

    #[test]
    fn foreign_values_are_misses() {
        assert_eq!(decode(Vec::new()), None);
        assert_eq!(decode(vec![0; HEADER_BYTES - 1]), None);
    }
}
