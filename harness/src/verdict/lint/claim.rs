//! Claims, the evidence for them, and the names of the rules.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::analysis::effect::Effect;
use crate::analysis::quantile::Value;
use crate::analysis::steady::Steadiness;
use crate::recording::Outcome;
use crate::units::{RatePerSec, Ratio};

/// What a claim is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Response times, from the intended start.
    Latency,
    /// Service times, from the send: what a generator that shares its processors with the service can still tell apart.
    ServiceTime,
    /// Work done in a time.
    Throughput,
    /// Failures over requests.
    FailureRatio,
    /// Hits over lookups.
    HitRatio,
    /// Counts of work, such as rows read a request.
    Work,
    /// How a statement is executed.
    Plan,
}

impl Subject {
    /// Whether the claim depends on how fast something went.
    pub(super) const fn is_timed(self) -> bool {
        matches!(
            self,
            Self::Latency | Self::ServiceTime | Self::Throughput | Self::FailureRatio
        )
    }

    /// Whether the claim rests on quantiles.
    pub(super) const fn has_quantiles(self) -> bool {
        matches!(self, Self::Latency | Self::ServiceTime)
    }
}

/// A claim with the evidence for it. `None` is evidence that nobody gathered.
#[derive(Clone, PartialEq, Debug)]
pub struct Claim {
    pub subject: Subject,
    /// The comparison; `None` for a claim about one variant alone.
    pub effect: Option<Effect>,
    /// Keys of the settings that differ between the variants.
    pub factors: Option<BTreeSet<String>>,
    pub arrivals: Option<Arrivals>,
    /// Operations under study that got what they asked for, in the variant with the fewest.
    pub successes: Option<u64>,
    pub generator: Option<Generator>,
    pub steadiness: Option<Steadiness>,
    pub throughput: Option<Throughput>,
    pub counting: Option<Counting>,
    pub hits_from: Option<HitsFrom>,
    pub quantiles_from: Option<QuantilesFrom>,
    pub pool: Option<Pool>,
    pub plan: Option<PlanEvidence>,
    /// Caches before the baseline's and before the candidate's measurement.
    pub caches: Option<(Caches, Caches)>,
}

impl Claim {
    /// A claim without any evidence.
    pub const fn about(subject: Subject) -> Self {
        Self {
            subject,
            effect: None,
            factors: None,
            arrivals: None,
            successes: None,
            generator: None,
            steadiness: None,
            throughput: None,
            counting: None,
            hits_from: None,
            quantiles_from: None,
            pool: None,
            plan: None,
            caches: None,
        }
    }
}

/// What became of the load that was to be offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Arrivals {
    pub intended: u64,
    pub dropped: u64,
    /// Sent later than the load's tolerance.
    pub late: u64,
    /// Whether the claim says so beside its number.
    pub said: bool,
}

/// How the load generator did.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Generator {
    /// Busy share of the processors that it may use; `None` when it could not be read.
    pub cpu: Option<Ratio>,
    /// 99th percentile of the time from intended start to send, in nanoseconds.
    pub lag_p99: Option<Value>,
    /// 99th percentile of response time, in nanoseconds: what the lag must be small against.
    pub response_p99: Option<Value>,
}

/// A throughput and the users who made it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Throughput {
    pub claimed: RatePerSec,
    /// How many users there were; `None` where arrivals come whatever happened to those before.
    pub users: Option<u64>,
    pub mean_response: Duration,
    pub mean_think: Duration,
}

/// Which outcomes an error rate took for success.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counting {
    pub as_success: BTreeSet<Outcome>,
    /// Outcomes that are failures of this operation, whatever their status code.
    pub are_failures: BTreeSet<Outcome>,
}

/// Where a hit ratio comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HitsFrom {
    Counters,
    Latency,
}

/// How quantiles over several slices were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuantilesFrom {
    /// Of merged histograms, or compared block by block.
    Histograms,
    /// Means of quantiles.
    Averages,
}

/// Connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// Of all instances that share the server.
    pub connections: u64,
    /// What the server allows.
    pub max_connections: Option<u64>,
}

/// What is known about an execution plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlanEvidence {
    /// Whether the explained statement has the digest that the service executed; `None` when nobody looked.
    pub is_executed_digest: Option<bool>,
    /// Whether the optimiser answered without reading: no such row, or one row read while planning.
    pub is_folded: bool,
}

/// Whether caches were filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caches {
    Cold,
    Warm,
}

/// More than this share of arrivals lost or late must be said.
pub const LOST_ARRIVALS: Ratio = Ratio(0.01);
/// A generator busier than this measures itself.
pub const GENERATOR_CPU: Ratio = Ratio(0.9);
/// A generator whose lag is a larger share of the response time, both at p99, measures itself. No fixed time would do: on
/// a busy machine timers alone are a millisecond late.
pub const GENERATOR_LAG: Ratio = Ratio(0.05);

/// The rules, by the names that reports print.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    LittlesLaw,
    LostArrivals,
    NoSuccess,
    FailuresAsSuccess,
    HitsFromLatency,
    AveragedQuantiles,
    TwoFactors,
    TooFewBlocks,
    Chance,
    NoiseFloor,
    Generator,
    SteadyState,
    Pool,
    OtherStatement,
    FoldedPlan,
    ColdAgainstWarm,
    HiddenTrend,
}

impl Rule {
    /// Every rule, in the order in which they are checked.
    pub const ALL: [Self; 17] = [
        Self::LittlesLaw,
        Self::LostArrivals,
        Self::NoSuccess,
        Self::FailuresAsSuccess,
        Self::HitsFromLatency,
        Self::AveragedQuantiles,
        Self::TwoFactors,
        Self::TooFewBlocks,
        Self::Chance,
        Self::NoiseFloor,
        Self::Generator,
        Self::SteadyState,
        Self::Pool,
        Self::OtherStatement,
        Self::FoldedPlan,
        Self::ColdAgainstWarm,
        Self::HiddenTrend,
    ];
}

/// Why a claim is not printed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Missing {
    pub rule: Rule,
    /// What stands in the claim's place; a fragment without a full stop.
    pub text: String,
}
