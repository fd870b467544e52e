//! Traits with two real implementations each: the waiting queue, the cache of seat maps, and the clock.
//!
//! What has one implementation is a concrete type: the database is [`crate::store::Store`], Kafka is in
//! [`crate::messaging`].

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::domain::{QueueToken, ScheduleId, Timestamp, TokenId, UserId};

/// Where "now" comes from.
pub trait Clock: Send + Sync + Debug {
    /// The current moment.
    fn now(&self) -> Timestamp;
}

/// A dependency that a port needs did not do its work. The use cases turn it into overload (503), never into a refusal.
#[derive(Debug, thiserror::Error)]
#[error("{dependency} did not answer")]
pub struct Unavailable {
    /// Which one, for the operator: `redis`, `database`.
    pub dependency: &'static str,
    /// What it said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where a token stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// In line; `ahead` are admitted before it.
    Waiting {
        /// How many tokens are admitted before this one.
        ahead: u64,
        /// When the place is given up if nobody asks for it again.
        expires_at: Timestamp,
    },
    /// Admitted.
    Active {
        /// When admission ends by itself.
        expires_at: Timestamp,
    },
    /// Never seen, left, paid or expired.
    Gone,
}

/// What a round of admission did, and what the queue holds after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueCounts {
    /// Tokens in line.
    pub waiting: u64,
    /// Tokens admitted and alive.
    pub active: u64,
    /// Tokens admitted since the last round of any instance, by whichever call: rounds together count each once.
    pub admitted: u64,
    /// Tokens found expired since the last round of any instance, waiting or active.
    pub expired: u64,
}

/// What has happened in a queue since it began, over all instances.
///
/// `entered = waiting + active + left + expired`, where waiting and active include what is about to expire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueTotals {
    /// Places taken.
    pub entered: u64,
    /// Tokens admitted.
    pub admitted: u64,
    /// Places given up or finished.
    pub left: u64,
    /// Tokens expired, waiting or active.
    pub expired: u64,
}

/// The waiting room: first come, first admitted; never more than `capacity` active; nobody lost.
///
/// Every method first lets expired tokens go and admits into free places, in one atomic step, so that any number of
/// service instances may share a queue. Capacity and lifetimes are given at construction.
pub trait WaitingQueue: Send + Sync + Debug {
    /// Takes a place for `user`, or finds the one that it has. `candidate` is used when it has none.
    fn enter(
        &self,
        user: UserId,
        candidate: TokenId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(TokenId, Standing), Unavailable>>;

    /// Where the token stands; a waiting place is kept alive by asking.
    fn standing(&self, token: QueueToken, now: Timestamp) -> BoxFuture<'_, Result<Standing, Unavailable>>;

    /// Gives the place up; false when it had none.
    fn leave(&self, token: QueueToken, now: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>>;

    /// One round of expiry and admission, for the background task and for the gauges.
    fn tick(&self, now: Timestamp) -> BoxFuture<'_, Result<QueueCounts, Unavailable>>;

    /// What has happened since the queue began.
    fn totals(&self) -> BoxFuture<'_, Result<QueueTotals, Unavailable>>;
}

/// What a cache said about a seat map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// Present; the fields serve early refresh.
    Hit {
        /// The rendered body.
        body: Bytes,
        /// When the entry was filled.
        filled_at: Timestamp,
        /// How long the fill took at the database.
        fill_cost: Duration,
        /// Which layer answered: `local` or `redis`.
        layer: &'static str,
    },
    /// Absent. The stamp must be handed to [`SeatMapCache::fill`].
    Miss(FillStamp),
}

/// The version of a key when a reader missed it. A fill with an outdated stamp is dropped, since a write has
/// invalidated the key between the reader's query and its fill.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FillStamp(pub u64);

/// A cache of rendered seat maps, keyed by schedule. Changed after commit only.
pub trait SeatMapCache: Send + Sync + Debug {
    /// Looks a schedule up.
    fn get(&self, schedule: ScheduleId, now: Timestamp) -> BoxFuture<'_, Result<Lookup, Unavailable>>;

    /// The stamp for a refresh of a key that is present.
    fn stamp(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<FillStamp, Unavailable>>;

    /// Stores a body read from the database after `stamp` was taken; false when the stamp is outdated.
    fn fill(
        &self,
        schedule: ScheduleId,
        stamp: FillStamp,
        body: Bytes,
        fill_cost: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>>;

    /// Forgets a schedule after a committed change, and outdates every stamp handed out for it.
    fn invalidate(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<(), Unavailable>>;
}

impl<C: SeatMapCache + ?Sized> SeatMapCache for std::sync::Arc<C> {
    fn get(&self, schedule: ScheduleId, now: Timestamp) -> BoxFuture<'_, Result<Lookup, Unavailable>> {
        (**self).get(schedule, now)
    }

    fn stamp(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<FillStamp, Unavailable>> {
        (**self).stamp(schedule)
    }

    fn fill(
        &self,
        schedule: ScheduleId,
        stamp: FillStamp,
        body: Bytes,
        fill_cost: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        (**self).fill(schedule, stamp, body, fill_cost, now)
    }

    fn invalidate(&self, schedule: ScheduleId) -> BoxFuture<'_, Result<(), Unavailable>> {
        (**self).invalidate(schedule)
    }
}
