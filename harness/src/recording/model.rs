//! `manifest.json`: under which conditions a recording was made. Nothing measured belongs here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Nanos};

/// The format that this version writes, and the newest that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that a reader needs in order to judge, or repeat, a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub schema_version: u32,
    /// What was done: `run`, `cache`, `index`, `incident`, …
    pub kind: String,
    pub tool: Tool,
    /// The command line that repeats the run, with the program's name first and secrets masked by the caller.
    pub command: Vec<String>,
    /// The command line as it was typed, secrets masked by the caller; older recordings do not tell.
    #[serde(default)]
    pub typed: Vec<String>,
    pub seed: u64,
    pub profile: Option<String>,
    /// Which stack carried the run: `containers`, `external` or `embedded`.
    pub stack: Option<String>,
    /// Why that stack.
    pub stack_reason: Option<String>,
    pub environment: Environment,
    pub dependencies: Vec<Dependency>,
    /// What the tables held at the start, of each set of variants that were given the same.
    #[serde(default)]
    pub datasets: Vec<DataFacts>,
    /// The same in a recording from before there were several: of its last variants, and perhaps of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataFacts>,
    /// The builds or configurations compared; a plain run has one. Their position is their number everywhere else.
    pub variants: Vec<Variant>,
    pub clock: ClockAnchor,
}

impl Manifest {
    /// A manifest of this version with nothing but what must be known.
    pub fn new(kind: &str, tool: Tool, seed: u64, environment: Environment, clock: ClockAnchor) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            kind: kind.to_owned(),
            tool,
            command: Vec::new(),
            typed: Vec::new(),
            seed,
            profile: None,
            stack: None,
            stack_reason: None,
            environment,
            dependencies: Vec::new(),
            datasets: Vec::new(),
            data: None,
            variants: Vec::new(),
            clock,
        }
    }

    /// What a variant's tables held at the start; `None` where nobody wrote it down.
    pub fn data_of(&self, variant: u16) -> Option<&DataFacts> {
        let own = self.datasets.iter().find(|data| data.variants.contains(&variant));
        own.or(self.data.as_ref())
    }

    /// The name of a variant; its number where the manifest does not know it.
    pub fn variant_name(&self, variant: u16) -> String {
        self.variants
            .get(usize::from(variant))
            .map_or_else(|| format!("variant {variant}"), |v| v.name.clone())
    }
}

/// Which build of soundcheck wrote the recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tool {
    pub version: String,
    /// As baked in by the build: with `-dirty` where the sources had been changed since, and `-unchecked` where git did
    /// not say. `None` where it was built outside of a work tree.
    pub commit: Option<String>,
}

/// The machine. `None` is "could not be read here", never a default.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Environment {
    pub cpu_model: Option<String>,
    /// Logical processors that the system shows.
    pub cores: Option<u32>,
    pub memory: Option<Bytes>,
    pub kernel: Option<String>,
    pub system: Option<String>,
    pub architecture: Option<String>,
    /// Processors that the control group allows; `None` also when it sets no limit.
    pub cgroup_cpus: Option<f64>,
    /// Memory that the control group allows; `None` also when it sets no limit.
    pub cgroup_memory: Option<Bytes>,
    pub open_files_limit: Option<u64>,
    /// The one-minute load average before the run: somebody else may be using the machine.
    pub load_before: Option<f64>,
    pub clock_source: Option<String>,
    pub virtualised: Option<bool>,
}

/// A server that the service needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dependency {
    /// `mysql`, `redis`, `kafka`, `sqlite`, …
    pub name: String,
    pub version: Option<String>,
    pub image: Option<String>,
    pub image_digest: Option<String>,
}

/// What the tables held at the start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DataFacts {
    /// The variants that were given it, by their numbers.
    #[serde(default)]
    pub variants: Vec<u16>,
    pub seed: u64,
    pub users: u64,
    pub concerts: u64,
    pub schedules: u64,
    pub seats: u64,
    /// Of every row, as the service's own seeding wrote it down; equal for all of these variants.
    pub hash: String,
}

/// One side of a comparison. It keeps its data over all of its launches, so that it has one history and one audit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Variant {
    pub name: String,
    /// The settings that differ from the service's defaults.
    pub settings: BTreeMap<String, String>,
    /// Which build, where it is not this executable.
    pub build: Option<String>,
    pub rules: Rules,
}

impl Variant {
    /// A variant by name, with neither settings nor rules.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            settings: BTreeMap::new(),
            build: None,
            rules: Rules::default(),
        }
    }
}

/// What the service promised under this configuration, for the ledger to hold it to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rules {
    /// How many tokens may be active at once.
    pub queue_capacity: Option<u32>,
    pub hold_ttl_ms: Option<u64>,
    pub active_ttl_ms: Option<u64>,
    /// How long after an expiry the sweeper may leave a seat or a token as it is.
    pub grace_ms: Option<u64>,
    /// How long after the heal (or the end) the outbox may take to drain.
    pub drain_ms: Option<u64>,
    /// How long a seat map may show a seat that is gone.
    pub staleness_ms: Option<u64>,
    /// Whether events pass through the outbox; without it, losses are possible and only tickets can be counted.
    pub outbox: Option<bool>,
}

/// Ties the run's monotonic clock to the calendar.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// Unix time, in nanoseconds, at which the run's clock showed zero.
    pub unix_ns: i64,
    /// How far other clocks were from ours.
    pub offsets: Vec<ClockOffset>,
}

impl ClockAnchor {
    /// Unix time in milliseconds of a moment of the run, rounded down.
    pub fn unix_ms(&self, at: Nanos) -> i64 {
        self.unix_ns.saturating_add_unsigned(at.0).div_euclid(1_000_000)
    }

    /// The offset measured for one clock.
    pub fn offset_of(&self, name: &str) -> Option<&ClockOffset> {
        self.offsets.iter().find(|offset| offset.of == name)
    }
}

/// Another clock, as seen from ours: it showed `offset_ns` more than ours did, give or take `uncertainty_ns`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClockOffset {
    pub of: String,
    pub offset_ns: i64,
    pub uncertainty_ns: u64,
}
