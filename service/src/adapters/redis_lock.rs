//! A lock in Redis with a lifetime, a bounded wait and a fence number.
//!
//! It keeps most contenders away from the database; it does not make anything safe by itself, since a holder may
//! pause for longer than the lifetime. The statement that it protects must still be conditional, or must check the
//! fence number, which grows with every holder.

use std::time::Duration;

use rand::Rng as _;
use redis::Script;
use tokio::time::Instant;

use super::redis_connection::{RedisConnection, key};
use crate::ports::Unavailable;
use crate::trace;

/// The first pause between two attempts; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause, so that a free lock is not left lying.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Locks of one namespace.
#[derive(Clone, Debug)]
pub struct RedisLocks {
    connection: RedisConnection,
    namespace: String,
    acquire: Script,
    release: Script,
    ttl: Duration,
    wait: Duration,
}

/// What came of waiting for a lock.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours until the guard is released, dropped, or its lifetime has passed.
    Held(LockGuard),
    /// Others held it for as long as we wished to wait: contention, not a failure.
    Busy,
}

impl RedisLocks {
    /// Locks that end by themselves after `ttl`, and for which a caller waits at most `wait`.
    pub fn new(connection: RedisConnection, namespace: &str, ttl: Duration, wait: Duration) -> Self {
        Self {
            connection,
            namespace: namespace.to_owned(),
            acquire: Script::new(include_str!("scripts/lock_acquire.lua")),
            release: Script::new(include_str!("scripts/lock_release.lua")),
            ttl,
            wait,
        }
    }

    /// Whether locks can be had at all.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn ping(&self) -> Result<(), Unavailable> {
        self.connection.ping().await
    }

    /// Waits for the lock called `name`.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn acquire(&self, name: &str) -> Result<Acquired, Unavailable> {
        let fences = key(&self.namespace, "lock:fence");
        // The guard exists before the first attempt: one that was not answered may still be carried out, and dropping
        // the guard takes that back.
        let mut guard = LockGuard {
            connection: self.connection.clone(),
            release: self.release.clone(),
            key: key(&self.namespace, format_args!("lock:{name}")),
            token: format!("{:032x}", rand::rng().random::<u128>()),
            fence: 0,
            is_armed: true,
        };
        let ttl_ms = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let give_up_at = Instant::now() + self.wait;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut call = self.acquire.key(&guard.key);
            call.key(&fences).arg(&guard.token).arg(ttl_ms);
            guard.fence = self.connection.run("lock acquire", &call).await?;
            if guard.fence != 0 {
                return Ok(Acquired::Held(guard));
            }
            let left = give_up_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                guard.is_armed = false;
                return Ok(Acquired::Busy);
            }
            // Between half and all of the pause, so that contenders who started together drift apart.
            let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            tokio::time::sleep(jittered.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The lock, held. Dropping it releases in the background; [`Self::release`] waits for that.
#[must_use = "dropping the guard releases the lock"]
#[derive(Debug)]
pub struct LockGuard {
    connection: RedisConnection,
    release: Script,
    key: String,
    token: String,
    fence: u64,
    is_armed: bool,
}

impl LockGuard {
    /// Larger than every earlier holder's, whichever lock of the namespace it held.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Releases the lock; false when its lifetime had passed and another may hold it.
    ///
    /// # Errors
    /// When Redis does not answer. The lock then ends with its lifetime.
    pub async fn release(mut self) -> Result<bool, Unavailable> {
        let mut call = self.release.key(&self.key);
        call.arg(&self.token);
        let released = self.connection.run("lock release", &call).await;
        self.is_armed = released.is_err();
        released
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        // Outside a runtime (at the end of the process) nobody can wait for it: the lifetime ends it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (connection, release) = (self.connection.clone(), self.release.clone());
        let (key, token) = (std::mem::take(&mut self.key), std::mem::take(&mut self.token));
        runtime.spawn(trace::inherited(async move {
            let mut call = release.key(key);
            call.arg(token);
            if let Err(error) = connection.run::<bool>("lock release", &call).await {
                let cause: &dyn std::error::Error = &*error.source;
                tracing::debug!(error = cause, "a lock was not released, it ends with its lifetime");
            }
        }));
    }
}
