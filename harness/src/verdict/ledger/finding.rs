//! What the ledger says about each invariant.

use serde::{Deserialize, Serialize};

use crate::units::Nanos;

/// The promises of the service, in the order of `drills.md` and of every report. The last three show in counters alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    SeatSoldOnce,
    Money,
    Events,
    Outbox,
    Queue,
    Expiry,
    Idempotency,
    Staleness,
    NoOrphans,
    Contention,
    Cache,
    Index,
    QueueCost,
}

impl Invariant {
    /// Every invariant, in the order of reports.
    pub const ALL: [Self; 13] = [
        Self::SeatSoldOnce,
        Self::Money,
        Self::Events,
        Self::Outbox,
        Self::Queue,
        Self::Expiry,
        Self::Idempotency,
        Self::Staleness,
        Self::NoOrphans,
        Self::Contention,
        Self::Cache,
        Self::Index,
        Self::QueueCost,
    ];

    /// The short name: `I1` to `I13`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::SeatSoldOnce => "I1",
            Self::Money => "I2",
            Self::Events => "I3",
            Self::Outbox => "I4",
            Self::Queue => "I5",
            Self::Expiry => "I6",
            Self::Idempotency => "I7",
            Self::Staleness => "I8",
            Self::NoOrphans => "I9",
            Self::Contention => "I10",
            Self::Cache => "I11",
            Self::Index => "I12",
            Self::QueueCost => "I13",
        }
    }

    /// The promise in words.
    pub const fn promise(self) -> &'static str {
        match self {
            Self::SeatSoldOnce => "a seat is sold once, and no two holds of it overlap",
            Self::Money => "every balance is what it began with, plus charges, minus payments",
            Self::Events => "every payment has one event, and every event one ticket",
            Self::Outbox => "the outbox drains, and only planted poison ends among the dead letters",
            Self::Queue => "the queue keeps its order, its capacity and everyone in it",
            Self::Expiry => "nothing is paid after its expiry, expired seats return, sold ones never do",
            Self::Idempotency => "one key has one answer and one effect",
            Self::Staleness => "the seat map shows a seat once, and never one that is gone for longer than promised",
            Self::NoOrphans => "no seat is unavailable without an owner, and no hold outlives its expiry",
            Self::Contention => "contention never becomes a server error",
            Self::Cache => "what was cached is found again, sold out or not, and without a database connection",
            Self::Index => "the seat map that is executed reads little more than it returns",
            Self::QueueCost => "a place in a long queue costs no more than one in a short queue",
        }
    }
}

/// One invariant, judged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Finding {
    pub invariant: Invariant,
    pub verdict: Verdict,
    /// What the judgement rests on: `1,204 holds of 800 seats`.
    pub basis: String,
}

/// Three values. What nothing could have broken is unknown too, but casts no doubt on the rest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    Valid,
    Invalid {
        reason: String,
        /// At most five steps, by time: enough to see the violation, and no more.
        witness: Vec<Step>,
    },
    Unknown {
        reason: String,
        /// False when nothing was done that could have broken the invariant.
        exercised: bool,
    },
}

/// One line of a witness.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// When the operation was invoked and when it returned; `None` for a line of the final state.
    pub during: Option<(Nanos, Nanos)>,
    /// The operation's number in the history.
    pub operation: Option<u64>,
    pub text: String,
}

/// Everything about one variant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct VariantLedger {
    pub variant: u16,
    pub name: String,
    pub operations: u64,
    /// Operations of which nobody knows whether they happened.
    pub unsettled: u64,
    pub findings: Vec<Finding>,
    /// Why the whole may say too little even where every single invariant holds.
    pub doubts: Vec<String>,
}

/// The ledger of a recording.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LedgerReport {
    pub variants: Vec<VariantLedger>,
}

/// The sum of all findings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    Valid,
    Invalid,
    Unknown,
}

impl VariantLedger {
    /// Invalid beats unknown, and unknown beats valid.
    pub fn overall(&self) -> Overall {
        let verdicts = || self.findings.iter().map(|finding| &finding.verdict);
        if verdicts().any(|verdict| matches!(verdict, Verdict::Invalid { .. })) {
            Overall::Invalid
        } else if !self.doubts.is_empty()
            || verdicts().any(|verdict| matches!(verdict, Verdict::Unknown { exercised: true, .. }))
            || !verdicts().any(|verdict| *verdict == Verdict::Valid)
        {
            Overall::Unknown
        } else {
            Overall::Valid
        }
    }
}

impl LedgerReport {
    /// Over all variants; a recording without any is unknown.
    pub fn overall(&self) -> Overall {
        let overall = |wanted| self.variants.iter().any(|variant| variant.overall() == wanted);
        if overall(Overall::Invalid) {
            Overall::Invalid
        } else if self.variants.is_empty() || overall(Overall::Unknown) {
            Overall::Unknown
        } else {
            Overall::Valid
        }
    }

    /// Broken invariants, with the variant's name.
    pub fn broken(&self) -> impl Iterator<Item = (&str, &Finding)> {
        self.variants.iter().flat_map(|variant| {
            let broken = variant
                .findings
                .iter()
                .filter(|finding| matches!(finding.verdict, Verdict::Invalid { .. }));
            broken.map(|finding| (variant.name.as_str(), finding))
        })
    }
}

/// A judgement as a checker makes it: operations by number, to be looked up once it is certain.
#[derive(Clone, PartialEq, Debug)]
pub enum Judgement {
    Valid,
    Invalid(Evidence),
    Unknown(String),
    /// Nothing was done that could have broken the invariant.
    Idle(String),
}

/// What convicts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Evidence {
    pub(super) reason: String,
    pub(super) operations: Vec<u32>,
    /// Lines of the final state.
    pub(super) rows: Vec<String>,
}

impl Evidence {
    /// The most steps that a witness has.
    pub(super) const MOST_STEPS: usize = 5;

    pub(super) fn new(reason: String) -> Self {
        Self {
            reason,
            ..Self::default()
        }
    }

    pub(super) fn operations(mut self, operations: impl IntoIterator<Item = u32>) -> Self {
        self.operations.extend(operations);
        self
    }

    pub(super) fn row(mut self, row: String) -> Self {
        self.rows.push(row);
        self
    }
}

impl From<Option<Evidence>> for Judgement {
    /// Valid unless something convicts.
    fn from(evidence: Option<Evidence>) -> Self {
        evidence.map_or(Self::Valid, Self::Invalid)
    }
}
