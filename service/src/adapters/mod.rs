//! Implementations of the ports, and what else needs Redis. They know the domain and the ports, never HTTP; only
//! [`crate::app`] builds them.
//!
//! | module | what |
//! |---|---|
//! | [`redis_connection`] | the shared connection: bounded commands, reconnects, key names |
//! | [`redis_queue`] | the waiting queue, on a sorted set or a list |
//! | [`sql_queue`] | the waiting queue in tables of SQLite |
//! | [`clock`] | the wall clock, and one that tests can shift |
//! | [`local_cache`], [`redis_cache`], [`tiered_cache`] | seat maps in the process, in Redis, or both |
//! | [`breaker`], [`breaker_cache`] | when not to ask a cache, and what is owed to it after an outage |
//! | [`redis_lock`] | a lock with a lifetime and a fence number |
//! | `mutants` | defects of caches and of the stop, with the feature `mutants` alone |

pub mod breaker;
pub mod breaker_cache;
pub mod clock;
pub mod local_cache;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod redis_cache;
pub mod redis_connection;
pub mod redis_lock;
pub mod redis_queue;
pub mod sql_queue;
pub mod tiered_cache;
