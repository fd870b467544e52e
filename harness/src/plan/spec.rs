//! What an experiment compares: arms with their settings and data, the load's mix, and the layout of its slices.
//!
//! An arm differs from the first arm of its group, the baseline, by one switch; a report that changed two could credit
//! neither. The last arm is a control: the baseline once more. What it seems to gain is noise, and a gain has to be
//! larger than that.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::design::{Design, DesignError};
use crate::config::JourneyKind;
use crate::units::Percent;

/// How much time a report may take, and so how far it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The fewest blocks that carry a claim, with the shortest slices: for CI.
    Smoke,
    /// All of the three main reports within six minutes on two cores.
    Quick,
    /// Longer slices, more blocks, a million rows.
    Full,
}

/// Tables to seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dataset {
    pub seed: u64,
    pub users: u32,
    pub concerts: u32,
    pub schedules_per_concert: u32,
    pub seats_per_schedule: u32,
}

impl Dataset {
    /// Rows in the table of seats.
    pub const fn seats(&self) -> u64 {
        self.concerts as u64 * self.schedules_per_concert as u64 * self.seats_per_schedule as u64
    }
}

/// One variant: a live process with a namespace of its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Arm {
    /// As in charts: `redis`, or `covering-100k`.
    pub name: String,
    /// Keys of the service's configuration that this arm sets.
    pub settings: BTreeMap<String, String>,
    /// The index to build on the table of seats, where the experiment is about one.
    pub index: Option<String>,
}

impl Arm {
    /// Whether this is the baseline run a second time.
    pub fn is_control(&self) -> bool {
        self.name.ends_with(CONTROL)
    }
}

/// Arms that are compared with each other, on equal data under equal load.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Group {
    /// What sets the group apart from the others: `10,000 rows`; empty when there is one group.
    pub name: String,
    pub arms: Vec<Arm>,
    pub dataset: Dataset,
    pub design: Design,
    /// Shares of the arrivals; they add up to 100.
    pub mix: BTreeMap<JourneyKind, Percent>,
    /// What is measured: the endpoint's name in recordings.
    pub reads: String,
    /// What pays for it.
    pub writes: String,
}

impl Group {
    /// About how long it takes to create the data of all arms, from runs on two cores.
    pub fn seeding_estimate(&self) -> Duration {
        Duration::from_millis(900 + self.dataset.seats() / 40) * self.n_arms()
    }

    /// About how long it takes to launch all arms once, one after the other.
    pub fn launch_estimate(&self) -> Duration {
        Duration::from_millis(250) * self.n_arms()
    }

    /// About how long it takes to ask every arm for `probe_ms`.
    pub fn probe_estimate(&self, probe_ms: u64) -> Duration {
        Duration::from_millis(probe_ms + 100) * self.n_arms()
    }

    /// About how long it takes to look at the plans of all arms; nothing where no arm has an index.
    pub fn plans_estimate(&self) -> Duration {
        if self.arms.iter().any(|arm| arm.index.is_some()) {
            Duration::from_secs(1) * self.n_arms()
        } else {
            Duration::ZERO
        }
    }

    fn n_arms(&self) -> u32 {
        u32::try_from(self.arms.len()).unwrap_or(u32::MAX)
    }

    /// What is asked, by shares.
    pub fn mix(&self) -> Vec<(JourneyKind, Percent)> {
        self.mix.iter().map(|(kind, share)| (*kind, *share)).collect()
    }

    /// The arm that every other is compared with.
    pub fn baseline(&self) -> Option<&Arm> {
        self.arms.first()
    }

    /// The baseline run a second time, for the noise floor.
    pub fn control(&self) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.is_control())
    }
}

/// A whole experiment, as written to `plan.yaml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExperimentPlan {
    /// `cache` or `index`.
    pub kind: String,
    pub profile: Profile,
    pub seed: u64,
    pub groups: Vec<Group>,
    /// How long each arm is asked as fast as it can answer, in all its turns, to find what the machine bears.
    pub probe_ms: u64,
    /// Which share of the slowest arm's most is offered to every arm.
    pub load: Percent,
}

impl ExperimentPlan {
    /// Checks that every group can carry a claim.
    ///
    /// # Errors
    /// The first group's fault.
    pub fn check(&self) -> Result<(), DesignError> {
        self.groups.iter().try_for_each(|group| group.design.check())
    }

    /// Expected time: the steps that a run shows, added up.
    pub fn estimate(&self) -> Duration {
        let of_group = |group: &Group| {
            group.seeding_estimate()
                + group.plans_estimate()
                + group.launch_estimate() * group.design.launches
                + group.probe_estimate(self.probe_ms)
                + group.design.measured_time()
                + FINAL_STATE
        };
        self.groups.iter().map(of_group).sum()
    }
}

/// How long a hold lasts where one service is under load alone: short enough that one which its owner left, or a fault left
/// behind, is back on sale soon after the last arrival.
pub const HOLD_TTL: Duration = Duration::from_secs(8);
/// How long after its expiry the sweeper may leave it.
pub const GRACE: Duration = Duration::from_secs(3);
/// About how long it takes to read the final state of a group, or of a drill.
pub const FINAL_STATE: Duration = Duration::from_secs(2);

/// The name of the fact in a recording that holds the rate which every arm of a group was offered.
pub fn offered_fact(group: &str) -> String {
    format!("offered rate, {group}")
}

/// What the event in a recording calls the indexes of the table of seats.
pub const INDEXES: &str = "indexes of seats";

/// Which engine the seats are in, which decides the arms that exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    MySql,
    Sqlite,
}

/// What the control's name adds to the baseline's.
const CONTROL: &str = "-again";

fn arm(name: &str, settings: &[(&str, &str)], index: Option<&str>) -> Arm {
    Arm {
        name: name.to_owned(),
        settings: settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        index: index.map(str::to_owned),
    }
}

/// The arms and, behind them, the control.
fn with_control(mut arms: Vec<Arm>) -> Vec<Arm> {
    if let Some(baseline) = arms.first() {
        let control = Arm {
            name: format!("{}{CONTROL}", baseline.name),
            ..baseline.clone()
        };
        arms.push(control);
    }
    arms
}

fn design(arms: &[Arm], profile: Profile, slice_ms: [u64; 3], seed: u64) -> Design {
    let (blocks, slice_ms) = match profile {
        Profile::Smoke => (12, slice_ms[0]),
        Profile::Quick => (12, slice_ms[1]),
        Profile::Full => (24, slice_ms[2]),
    };
    Design {
        variants: arms.iter().map(|arm| arm.name.clone()).collect(),
        blocks,
        launches: 3,
        slice_ms,
        seed,
    }
}

/// What is asked of the cache: reads of seat maps, of which some concerts are asked far more often, and holds that
/// invalidate them.
pub fn cache(engine: Engine, profile: Profile, seed: u64) -> ExperimentPlan {
    let modes: &[&str] = match engine {
        Engine::MySql => &["off", "redis", "tiered"],
        Engine::Sqlite => &["off", "local"],
    };
    let arms = with_control(
        modes
            .iter()
            .map(|mode| arm(mode, &[("cache.mode", mode)], None))
            .collect(),
    );
    let design = design(&arms, profile, [800, 1_200, 4_000], seed);
    let dataset = Dataset {
        seed,
        users: 1_000,
        concerts: 20,
        schedules_per_concert: 3,
        seats_per_schedule: 200,
    };
    let mix = BTreeMap::from([
        (JourneyKind::SeatMap, Percent(95.0)),
        (JourneyKind::HoldCycle, Percent(5.0)),
    ]);
    let group = Group {
        name: String::new(),
        arms,
        dataset,
        design,
        mix,
        reads: "seats".to_owned(),
        writes: "hold".to_owned(),
    };
    ExperimentPlan {
        kind: "cache".to_owned(),
        profile,
        seed,
        groups: vec![group],
        probe_ms: 1_200,
        load: Percent(50.0),
    }
}

/// What is asked of an index: the seat map from the database, and holds, which must keep the index up to date.
pub fn index(profile: Profile, seed: u64) -> ExperimentPlan {
    let sizes: &[u32] = match profile {
        Profile::Smoke => &[10_000],
        Profile::Quick => &[10_000, 100_000],
        Profile::Full => &[10_000, 100_000, 1_000_000],
    };
    let groups = sizes
        .iter()
        .map(|&rows| {
            let size = if rows >= 1_000_000 {
                format!("{}M", rows / 1_000_000)
            } else {
                format!("{}k", rows / 1_000)
            };
            let arms = with_control(
                ["none", "status-schedule", "schedule-status", "covering"]
                    .iter()
                    .map(|index| arm(&format!("{index}-{size}"), &[("cache.mode", "off")], Some(index)))
                    .collect(),
            );
            // A scan of more rows takes longer, so fewer requests fit into a slice.
            let quick_ms = if rows > 10_000 { 1_000 } else { 850 };
            let design = design(&arms, profile, [800, quick_ms, 3_000], seed ^ u64::from(rows));
            let dataset = Dataset {
                seed,
                users: 500,
                concerts: rows / 1_000,
                schedules_per_concert: 5,
                seats_per_schedule: 200,
            };
            let mix = BTreeMap::from([
                (JourneyKind::SeatMap, Percent(90.0)),
                (JourneyKind::HoldCycle, Percent(10.0)),
            ]);
            Group {
                name: format!("{size} rows"),
                arms,
                dataset,
                design,
                mix,
                reads: "seats".to_owned(),
                writes: "hold".to_owned(),
            }
        })
        .collect();
    ExperimentPlan {
        kind: "index".to_owned(),
        profile,
        seed,
        groups,
        probe_ms: 1_200,
        load: Percent(50.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(plan: &ExperimentPlan) {
        plan.check().unwrap();
        for group in &plan.groups {
            assert!((group.mix.values().map(|share| share.0).sum::<f64>() - 100.0).abs() < 1e-9);
            assert_eq!(group.design.variants.len(), group.arms.len());
            let first = &group.arms[0];
            assert_eq!(group.control().map(|control| &control.settings), Some(&first.settings));
            for other in group.arms[1..].iter().filter(|arm| !arm.is_control()) {
                let switched = other
                    .settings
                    .iter()
                    .filter(|(key, value)| first.settings.get(*key) != Some(value))
                    .count()
                    + usize::from(other.index != first.index);
                assert_eq!(
                    switched, 1,
                    "{} differs from {} by more than one switch",
                    other.name, first.name
                );
            }
        }
    }

    #[test]
    fn every_plan_can_carry_a_claim_and_changes_one_thing() {
        for profile in [Profile::Smoke, Profile::Quick, Profile::Full] {
            check(&cache(Engine::MySql, profile, 1));
            check(&cache(Engine::Sqlite, profile, 1));
            check(&index(profile, 1));
        }
    }

    #[test]
    fn index_sizes_are_what_their_names_say() {
        let rows: Vec<u64> = index(Profile::Full, 1)
            .groups
            .iter()
            .map(|group| group.dataset.seats())
            .collect();
        assert_eq!(rows, [10_000, 100_000, 1_000_000]);
    }
}
