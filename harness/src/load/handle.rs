//! The handle by which others watch a run and end it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::feed::RanDry;
use crate::recording::Outcome;
use crate::units::Nanos;

/// Watches one attack and ends it. Copies belong to the same attack.
#[derive(Clone, Debug)]
pub struct LoadHandle {
    /// No more arrivals.
    pub(crate) soft: CancellationToken,
    /// No more anything.
    pub(crate) hard: CancellationToken,
    counts: Arc<Counts>,
    begun: Arc<watch::Sender<Option<Nanos>>>,
    dry: Arc<watch::Sender<Option<RanDry>>>,
    /// When the arrivals were ended. What became due until then, and was not taken, is dropped; nothing later is.
    stopped: Arc<OnceLock<Instant>>,
}

/// Running counts.
#[derive(Debug, Default)]
struct Counts {
    scheduled: AtomicU64,
    started: AtomicU64,
    ok: AtomicU64,
    failed: AtomicU64,
}

/// The counts of a moment. Each is right by itself; together they may be a few arrivals apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Arrivals that became due.
    pub scheduled: u64,
    pub started: u64,
    pub ok: u64,
    pub failed: u64,
}

impl Progress {
    /// Journeys under way.
    pub const fn under_way(self) -> u64 {
        self.started.saturating_sub(self.ok + self.failed)
    }
}

impl Default for LoadHandle {
    fn default() -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            counts: Arc::default(),
            begun: Arc::new(watch::Sender::new(None)),
            dry: Arc::new(watch::Sender::new(None)),
            stopped: Arc::default(),
        }
    }
}

impl LoadHandle {
    /// A handle for one attack to come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the arrivals; journeys under way go on until they end or the scenario's drain is over.
    pub fn stop(&self) {
        self.stopped.get_or_init(Instant::now);
        self.soft.cancel();
    }

    /// Ends everything at once; journeys under way are counted as unfinished.
    pub fn stop_now(&self) {
        self.stop();
        self.hard.cancel();
    }

    /// When the arrivals were ended, if they were.
    pub(crate) fn stopped_at(&self) -> Option<Instant> {
        self.stopped.get().copied()
    }

    /// The counts of now.
    pub fn progress(&self) -> Progress {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        // In the order in which an arrival is counted, backwards: what ended is never more than what started.
        let (failed, ok) = (read(&self.counts.failed), read(&self.counts.ok));
        let started = read(&self.counts.started);
        Progress {
            scheduled: read(&self.counts.scheduled),
            started,
            ok,
            failed,
        }
    }

    /// Waits until all users stand ready and the schedule begins; its zero on the run's clock. `None` when the attack
    /// was ended before.
    pub async fn begun(&self) -> Option<Nanos> {
        let mut begun = self.begun.subscribe();
        tokio::select! {
            begun = begun.wait_for(Option::is_some) => begun.ok().and_then(|begun| *begun),
            () = self.soft.cancelled() => *self.begun.borrow(),
        }
    }

    /// The feeder that ended the arrivals, if one did.
    pub fn dry(&self) -> Option<RanDry> {
        self.dry.borrow().clone()
    }

    /// Ends when a feeder has run dry.
    pub async fn ran_dry(&self) {
        let mut dry = self.dry.subscribe();
        // The sender lives as long as this.
        let _dry = dry.wait_for(Option::is_some).await;
    }

    /// Ends the arrivals; the first feeder that runs dry is the one that is told of.
    pub(crate) fn run_dry(&self, dry: RanDry) {
        self.dry.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(dry);
            is_first
        });
        self.stop();
    }

    pub(crate) fn begin(&self, zero: Nanos) {
        self.begun.send_replace(Some(zero));
    }

    /// Arrivals that became due, and those that were started.
    pub(crate) fn counted(&self, (scheduled, started): (u64, u64)) {
        // Users report out of order.
        self.counts.scheduled.fetch_max(scheduled, Ordering::Relaxed);
        self.counts.started.fetch_max(started, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        let count = if outcome.is_served() {
            &self.counts.ok
        } else {
            &self.counts.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
