//! The adapters that the switches ask for, and the info series that names the switches.

use std::sync::Arc;
use std::time::Duration;

use super::start::StartError;
use crate::adapters::breaker::{BreakerLimits, BreakerState};
use crate::adapters::breaker_cache::BreakerCache;
use crate::adapters::local_cache::LocalCache;
use crate::adapters::redis_cache::RedisCache;
use crate::adapters::redis_connection::{InvalidUrl, RedisConnection};
use crate::adapters::redis_lock::RedisLocks;
use crate::adapters::redis_queue::{LineKind, QueueLimits, RedisQueue};
use crate::adapters::sql_queue::SqlQueue;
use crate::adapters::tiered_cache::TieredCache;
use crate::config::{CacheMode, Config, Locking, QueueMode, Stampede};
use crate::metrics::Metrics;
use crate::ports::{SeatMapCache, WaitingQueue};
use crate::store::Store;

/// Memory for seat maps in the process.
const LOCAL_CACHE_BYTES: u64 = 32 << 20;
/// How long another instance's change may stay unseen with `cache.mode: tiered`.
const TIERED_LOCAL_TTL: Duration = Duration::from_millis(200);

/// The queue of `queue.mode`; the second one is the same when it is in the database.
pub(super) type Queues = (Arc<dyn WaitingQueue>, Option<Arc<SqlQueue>>);

/// The queue of `queue.mode`.
pub(super) fn queue(config: &Config, store: &Store, redis: Option<&RedisConnection>) -> Result<Queues, StartError> {
    let limits = QueueLimits {
        capacity: config.queue.capacity,
        active_ttl: config.queue.active_ttl,
        waiting_ttl: config.queue.waiting_ttl,
    };
    let kind = match config.queue.mode {
        QueueMode::Sql => {
            let queue = Arc::new(SqlQueue::new(store.clone(), limits, config.mutants)?);
            return Ok((queue.clone(), Some(queue)));
        }
        QueueMode::Zset => LineKind::SortedSet,
        QueueMode::List => LineKind::List,
    };
    let redis = redis.ok_or(StartError::NoRedis("queue.mode"))?;
    let queue = RedisQueue::new(redis.clone(), &config.namespace, kind, limits, config.mutants);
    Ok((Arc::new(queue), None))
}

/// The locks of `locking: redis-lock`; `None` with any other.
pub(super) fn locks(config: &Config, redis: Option<&RedisConnection>) -> Result<Option<RedisLocks>, StartError> {
    if config.locking != Locking::RedisLock {
        return Ok(None);
    }
    let redis = redis.ok_or(StartError::NoRedis("locking"))?;
    // Longer than any transaction that a deadline allows; waited for only as long as the rest leaves time for.
    let deadline = config.resilience.request_timeout;
    Ok(Some(RedisLocks::new(
        redis.clone(),
        &config.namespace,
        deadline * 2,
        deadline / 4,
    )))
}

pub(super) fn connect_redis(config: &Config) -> Result<Option<RedisConnection>, InvalidUrl> {
    let Some(url) = &config.redis_url else { return Ok(None) };
    // Less than the deadline, so that the database can still be asked when the cache does not answer.
    let timeout = if config.resilience.enabled {
        config.resilience.request_timeout / 4
    } else {
        Duration::from_secs(30)
    };
    RedisConnection::open(url.expose(), timeout).map(Some)
}

/// The cache of `cache.mode`, behind a breaker where it is remote; `None` when it is off.
pub(super) fn cache(
    config: &Config,
    redis: Option<&RedisConnection>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<dyn SeatMapCache>>, StartError> {
    begin_cache_series(config, metrics);
    let ttl = config.cache.ttl;
    let local = |ttl| {
        let evictions = metrics.cache_evictions.clone();
        LocalCache::counting(ttl, LOCAL_CACHE_BYTES, move || evictions.inc())
    };
    let remote = || {
        let redis = redis.ok_or(StartError::NoRedis("cache.mode"))?;
        Ok::<_, StartError>(RedisCache::new(redis.clone(), &config.namespace, ttl))
    };
    let guarded = |inner: RedisCache| {
        let metrics = metrics.clone();
        let on_transition = Box::new(move |state: BreakerState| {
            metrics.breaker_state.with_label_values(&["redis"]).set(state.level());
            if state == BreakerState::Open {
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

/// Makes the series that this cache can count, so that what has not happened yet is 0, and what cannot happen is missing.
fn begin_cache_series(config: &Config, metrics: &Metrics) {
    let loads = |reason: &str| drop(metrics.cache_loads.with_label_values(&[reason]));
    let (layers, can_fail): (&[&str], bool) = match config.cache.mode {
        CacheMode::Off => return loads("off"),
        CacheMode::Local => (&["local"], false),
        CacheMode::Redis => (&["redis"], true),
        // Without its shared layer it carries on with the local one.
        CacheMode::Tiered => (&["local", "redis"], false),
    };
    for layer in layers {
        metrics.cache_requests.with_label_values(&[layer, "hit"]);
        if can_fail {
            metrics.cache_requests.with_label_values(&[layer, "error"]);
            loads("cache_error");
        }
    }
    metrics.cache_requests.with_label_values(&["database", "miss"]);
    loads("miss");
    if config.cache.stampede == Stampede::EarlyRefresh {
        loads("refresh");
    }
}

/// Sets the info series: which service this is, and which value each switch has.
pub(super) fn describe(metrics: &Metrics, config: &Config, store: &Store) {
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
