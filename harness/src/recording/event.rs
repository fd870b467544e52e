//! `events.jsonl`: what happened when, one JSON object a line. Numbers that come every second belong into the series.

use serde::{Deserialize, Serialize};

use super::sample::{Endpoint, Outcome};
use crate::units::{Bytes, Nanos, RatePerSec};

/// One line of the file. The kind stands inside `what`, so that each kind has exactly its own fields.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    pub t: Nanos,
    pub what: What,
}

/// The kinds of events.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A stage of the run begins or ends: `warm-up`, `measure`, `drain`, …
    Phase { name: String, edge: Edge },
    /// A target answered for the first time.
    Launch {
        launch: u32,
        variant: u16,
        pid: Option<u32>,
        version: Option<String>,
        /// From the start of the process to its ready line.
        ready_after: Option<Nanos>,
    },
    /// One variant's turn in a block of an experiment.
    Slice(Slice),
    /// A fault's life: injected, healed, verified.
    Fault {
        name: String,
        target: String,
        step: FaultStep,
        detail: Option<String>,
    },
    /// A rule changed its state.
    Alert {
        name: String,
        severity: String,
        state: AlertState,
        value: Option<f64>,
    },
    /// The load was ended before its schedule was over, for a reason of the run's own.
    EndedEarly { reason: String },
    /// A feeder had no row for the next arrival, which ended the load.
    RanDry {
        feeder: String,
        /// How many rows it had.
        rows: u64,
    },
    /// So many requests were never sent, since the generator's machine had no descriptor or port left.
    OutOfSockets { requests: u64, reason: String },
    /// So many requests failed in the same way and for the same reason.
    Failed {
        variant: u16,
        endpoint: Endpoint,
        outcome: Outcome,
        /// The code of the problem, or what happened to the connection.
        cause: String,
        count: u64,
    },
    /// One of the slowest requests of its kind in a stage. It ended at this event's moment.
    Slow(Slow),
    /// Something that a reader of the report must know.
    Note { level: NoteLevel, text: String },
    /// One step of the search for what this machine can bear.
    Probe {
        variant: u16,
        offered: RatePerSec,
        achieved: Option<RatePerSec>,
        p99: Option<Nanos>,
        held: bool,
    },
    /// What became of every arrival.
    Accounting {
        variant: u16,
        slice: Option<u32>,
        counts: Accounting,
    },
    /// A statement's plan, tied to the digest that the service executed.
    Plan {
        variant: u16,
        statement: String,
        digest: Option<String>,
        text: String,
    },
    /// How large a table or an index is.
    Size {
        variant: u16,
        of: String,
        rows: Option<u64>,
        size: Option<Bytes>,
    },
    /// A single measured number that has no time series, with its unit.
    Fact {
        variant: Option<u16>,
        name: String,
        value: f64,
        unit: String,
    },
    /// A message that must end among the dead letters was produced on purpose.
    Planted { variant: u16, key: String },
    /// The dead letters at the end.
    DeadLetters { variant: u16, listed: Vec<DeadLetter> },
    /// Load has stopped; the run waited for the outbox to empty.
    Drained {
        variant: u16,
        pending: Option<u64>,
        waited: Nanos,
    },
    /// The service wrote down its final state (or could not).
    FinalAudit { variant: u16, error: Option<String> },
}

/// Begin or end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    Begin,
    End,
}

/// One variant's turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Slice {
    /// Unique in the recording; samples refer to it. 0 is never used.
    pub slice: u32,
    pub block: u32,
    pub launch: u32,
    pub variant: u16,
    /// The place of this turn inside its block, from 0.
    pub order: u16,
    /// When arrivals began to count.
    pub start: Nanos,
    /// When arrivals stopped counting.
    pub end: Nanos,
}

/// A request that took long, and by what it is found in the service's log and traces.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Slow {
    pub variant: u16,
    pub endpoint: Endpoint,
    pub outcome: Outcome,
    pub sent: Nanos,
    /// From the send to the end of the answer, or to the moment that it was given up.
    pub took: Nanos,
    /// W3C trace id, in hexadecimal; all requests of a journey share it.
    pub trace: String,
    /// W3C span id, in hexadecimal: the parent of the service's own span.
    pub span: String,
}

/// The steps of a fault's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultStep {
    Injecting,
    Injected,
    Healing,
    /// The undo ran without an error.
    Healed,
    /// The target was seen to work again.
    Verified,
    Failed,
}

/// The states of an alert, as Prometheus names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertState {
    Pending,
    Firing,
    Resolved,
}

/// How much a note matters: a warning casts doubt on numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteLevel {
    Info,
    Warning,
}

/// What became of every arrival. `scheduled = started + dropped` and `started = ok + failed + unfinished`, exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Accounting {
    pub scheduled: u64,
    pub started: u64,
    /// Never sent, since nobody was free before they were too late.
    pub dropped: u64,
    /// Of the dropped: a user stood ready, and the load generator woke it too late.
    #[serde(default)]
    pub dropped_by_generator: u64,
    pub ok: u64,
    pub failed: u64,
    /// Still under way when the run was over.
    pub unfinished: u64,
    /// Started later than the tolerance; a part of `started`.
    pub late: u64,
    /// Of the late: the load generator itself overslept.
    pub late_by_generator: u64,
    /// Of the late: every user was busy, or every connection, which is the service's doing or a shortage of users.
    pub late_by_busy_users: u64,
    /// Of the scheduled: visits of virtual users, which are due when these come back. None of them is among the late.
    #[serde(default)]
    pub visits: u64,
    /// Of the visits: the load generator overslept the end of the pause before them.
    #[serde(default)]
    pub late_visits: u64,
}

impl Accounting {
    /// Adds up turns or targets. A damaged recording may hold any numbers: where they are too large, the sum is the largest
    /// there is, and then the books do not balance.
    pub fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.scheduled, other.scheduled);
        add(&mut self.started, other.started);
        add(&mut self.dropped, other.dropped);
        add(&mut self.dropped_by_generator, other.dropped_by_generator);
        add(&mut self.ok, other.ok);
        add(&mut self.failed, other.failed);
        add(&mut self.unfinished, other.unfinished);
        add(&mut self.late, other.late);
        add(&mut self.late_by_generator, other.late_by_generator);
        add(&mut self.late_by_busy_users, other.late_by_busy_users);
        add(&mut self.visits, other.visits);
        add(&mut self.late_visits, other.late_visits);
    }

    /// Arrivals of the open model, which come by the schedule.
    pub const fn arrivals(&self) -> u64 {
        self.scheduled.saturating_sub(self.visits)
    }

    /// The identities that do not hold, in words; empty when the books balance.
    pub fn imbalances(&self) -> Vec<String> {
        let mut found = Vec::new();
        // Sums in 128 bits: a damaged recording may hold any numbers.
        let sum = |parts: &[u64]| parts.iter().map(|&part| u128::from(part)).sum::<u128>();
        if u128::from(self.scheduled) != sum(&[self.started, self.dropped]) {
            found.push(format!(
                "{} arrivals were scheduled, but {} started and {} were dropped",
                self.scheduled, self.started, self.dropped
            ));
        }
        if u128::from(self.started) != sum(&[self.ok, self.failed, self.unfinished]) {
            found.push(format!(
                "{} arrivals started, but {} ended well, {} failed and {} were unfinished",
                self.started, self.ok, self.failed, self.unfinished
            ));
        }
        found
    }
}

/// A message that the consumer gave up on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The message's key, or the planted key.
    pub key: String,
    pub cause: Option<String>,
    pub attempts: Option<u32>,
    /// Topic, partition and offset from which it came.
    pub source: Option<String>,
}
