//! The outbox relay: shares the shards with the other instances, and finds new work for their pumps.
//!
//! Safety rests on the fence in the lease: a mark counts only under the fence with which its shard was taken. Leases,
//! members and shares are there for liveness; a wrong clock or a lost heartbeat costs duplicates, never an event and
//! never the order in which events first appear.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::lease;
use super::pump::{Ended, Parts, Pump};
use crate::metrics::Metrics;
use crate::ports::Clock;
use crate::store::outbox::{ShardHead, Tenure};
use crate::store::{Store, StoreError};

/// How long an event of another instance's commit may lie before it is seen. One small query each time.
const POLL: Duration = Duration::from_millis(50);
/// Commits that come faster than this share a look.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const OBSERVE: Duration = Duration::from_secs(1);
/// Heartbeats in the life of a lease, so that one that is late does not cost the shards.
const BEATS_PER_LEASE: u32 = 4;

/// Tells the relay of this process that a payment was committed.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Never blocks. Many calls before the relay looks are one.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Publishes what the outbox holds.
pub struct Relay {
    parts: Arc<Parts>,
    owner: String,
    lease_ttl: Duration,
    wake: Arc<Notify>,
    holdings: HashMap<u32, Holding>,
    pumps: JoinSet<(u32, Ended)>,
    was_failing: bool,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

fn observe_pending(heads: &[ShardHead], metrics: &Metrics) {
    let pending = heads
        .iter()
        .map(|head| head.last_seq.saturating_sub(head.published_seq).max(0));
    metrics.outbox_pending.set(pending.sum());
}

async fn observe_oldest(store: &Store, clock: &dyn Clock, metrics: &Metrics) -> Result<(), StoreError> {
    let oldest = store.outbox_oldest().await?;
    let age = oldest.map(|moment| clock.now().since(moment));
    metrics.outbox_oldest_age.set(age.unwrap_or_default().as_secs_f64());
    Ok(())
}

/// Keeps the gauges of the outbox true where nobody publishes.
pub(super) async fn only_observe(store: Store, clock: Arc<dyn Clock>, metrics: Arc<Metrics>, stop: CancellationToken) {
    let look = async || {
        observe_pending(&store.outbox_heads().await?, &metrics);
        observe_oldest(&store, &*clock, &metrics).await
    };
    let mut timer = tokio::time::interval(OBSERVE);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(timer.tick()).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(look()).await {
            tracing::debug!(%error, "the outbox could not be looked at");
        }
    }
}

/// A shard of ours, with its pump.
struct Holding {
    fence: i64,
    head: watch::Sender<i64>,
    finish: CancellationToken,
}

impl Relay {
    /// `owner` must be unique: no two processes, and no process after its restart, may share one.
    pub(super) fn new(parts: Parts, owner: String, lease_ttl: Duration) -> Self {
        Self {
            parts: Arc::new(parts),
            owner,
            lease_ttl,
            wake: Arc::new(Notify::new()),
            holdings: HashMap::new(),
            pumps: JoinSet::new(),
            was_failing: false,
        }
    }

    /// Wakes this relay.
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// Publishes until `stop`; then publishes what is committed, within the patience, and gives the shards back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut beat = tokio::time::interval(self.lease_ttl / BEATS_PER_LEASE);
        let mut poll = tokio::time::interval(POLL);
        let mut observe = tokio::time::interval(OBSERVE);
        for timer in [&mut beat, &mut poll, &mut observe] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let wake = self.wake.clone();
        let mut last_look = Instant::now();
        loop {
            // A database that is away must not keep a stop waiting, so work on it is dropped at once then.
            let done = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.pumps.join_next() => {
                    if !self.note_end(ended) {
                        return;
                    }
                    continue;
                }
                _ = beat.tick() => match stop.run_until_cancelled(self.keep_leases()).await {
                    Some(done) => done,
                    None => break,
                },
                () = wake.notified() => {
                    tokio::time::sleep_until(last_look + LOOK_AGAIN).await;
                    last_look = Instant::now();
                    match stop.run_until_cancelled(self.spread_heads()).await {
                        Some(done) => done,
                        None => break,
                    }
                }
                _ = poll.tick() => match stop.run_until_cancelled(self.spread_heads()).await {
                    Some(done) => done,
                    None => break,
                },
                _ = observe.tick() => match stop.run_until_cancelled(self.observe_oldest()).await {
                    Some(done) => done,
                    None => break,
                },
            };
            self.note(done);
        }
        self.drain().await;
    }

    fn note(&mut self, done: Result<(), StoreError>) {
        match done {
            Ok(()) => self.was_failing = false,
            Err(error) => {
                self.parts
                    .metrics
                    .outbox_publish_errors
                    .with_label_values(&["database"])
                    .inc();
                // Once for each outage: the polls would fill the log.
                if !std::mem::replace(&mut self.was_failing, true) {
                    tracing::warn!(%error, "the relay cannot reach the outbox; it goes on trying");
                }
            }
        }
    }

    /// False when the whole relay should end on the spot, as in a crash.
    fn note_end(&mut self, ended: Result<(u32, Ended), tokio::task::JoinError>) -> bool {
        match ended {
            Ok((_, Ended::Crashed)) => return false,
            Ok((shard, _)) => {
                self.holdings.remove(&shard);
            }
            // A pump that panicked leaves its holding; its shard is ours by its row, and adopted anew by the next beat.
            Err(error) => {
                tracing::error!(%error, "a pump of the relay died");
                self.holdings.retain(|_, holding| !holding.head.is_closed());
            }
        }
        self.observe_holdings();
        true
    }

    fn observe_holdings(&self) {
        let n_holdings = i64::try_from(self.holdings.len()).unwrap_or(i64::MAX);
        self.parts.metrics.outbox_leases.set(n_holdings);
    }

    /// One heartbeat: extends what is ours, drops what no longer is, and moves towards a fair share.
    async fn keep_leases(&mut self) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        let until = now.plus(self.lease_ttl);
        let store = self.parts.store.clone();
        store.outbox_beat(&self.owner, now, until).await?;
        let members = store.outbox_members(now).await?;
        let leases = store.outbox_leases().await?;

        for lease in &leases {
            let is_mine = lease.owner.as_deref() == Some(self.owner.as_str());
            let held = self.holdings.get(&lease.shard).map(|holding| holding.fence);
            match held {
                // Taken by a statement whose answer was lost, or left by a pump that died.
                None if is_mine => {
                    let (shard, owner, fence) = (lease.shard, self.owner.clone(), lease.fence);
                    self.begin(Tenure { shard, owner, fence }, lease.published_seq);
                }
                // It lapsed while we were away, and somebody took it.
                Some(fence) if !is_mine || fence != lease.fence => self.finish(lease.shard),
                _ => {}
            }
        }
        let changes = lease::plan(&leases, &members, &self.owner, now);
        for shard in changes.give {
            self.finish(shard);
        }
        for (shard, fence) in changes.take {
            if self.holdings.contains_key(&shard) {
                // An earlier tenure is still ending.
                continue;
            }
            if let Some((tenure, published)) = store.outbox_take(shard, fence, &self.owner, now, until).await? {
                self.begin(tenure, published);
            }
        }
        self.observe_holdings();
        Ok(())
    }

    fn begin(&mut self, tenure: Tenure, published: i64) {
        let (head, watched) = watch::channel(published);
        let finish = CancellationToken::new();
        let holding = Holding {
            fence: tenure.fence,
            head,
            finish: finish.clone(),
        };
        self.holdings.insert(tenure.shard, holding);
        let pump = Pump::new(self.parts.clone(), tenure, published, watched, finish);
        self.pumps.spawn(pump.run());
        // Its events may have waited for this.
        self.wake.notify_one();
    }

    fn finish(&self, shard: u32) {
        if let Some(holding) = self.holdings.get(&shard) {
            holding.finish.cancel();
        }
    }

    /// Tells each pump how far its shard is committed.
    async fn spread_heads(&mut self) -> Result<(), StoreError> {
        let heads = self.parts.store.outbox_heads().await?;
        observe_pending(&heads, &self.parts.metrics);
        for head in heads {
            if let Some(holding) = self.holdings.get(&head.shard) {
                holding.head.send_if_modified(|known| {
                    let is_news = head.last_seq > *known;
                    *known = head.last_seq.max(*known);
                    is_news
                });
            }
        }
        Ok(())
    }

    async fn observe_oldest(&mut self) -> Result<(), StoreError> {
        observe_oldest(&self.parts.store, &*self.parts.clock, &self.parts.metrics).await
    }

    async fn drain(mut self) {
        let patience = self.parts.patience;
        match tokio::time::timeout(patience, self.spread_heads()).await {
            Ok(Ok(())) => {}
            _ => tracing::warn!("the relay stops without a last look at the outbox; its events wait for another relay"),
        }
        for holding in self.holdings.values() {
            holding.finish.cancel();
        }
        while let Some(ended) = self.pumps.join_next().await {
            if !self.note_end(ended) {
                return;
            }
        }
        let left = tokio::time::timeout(patience, self.parts.store.outbox_leave(&self.owner)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::warn!("the relay could not take itself off the list of the living; its entry will lapse");
        }
    }
}
