//! A scenario: who arrives when, to do what. Raw YAML → [`ScenarioConfig`], validated.
//!
//! What is *not* here: the target, the stack, objectives and faults; a scenario says only what users do.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::feeder::{self, Feeder, FeederSource, ReadFile};
use super::scenario_yaml::{self, RawScenario};
use super::strict::ConfigError;
use crate::units::{Percent, RatePerSec};

/// How the arrivals of a stage are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrivalKind {
    /// Independent of each other, as people are.
    #[default]
    Poisson,
    /// At equal distances.
    Even,
}

/// What a user does on arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JourneyKind {
    /// Token, wait, dates, seats, leave.
    Browse,
    /// Token, wait, dates, seats, hold, pay.
    Book,
    /// Token, wait, dates, seats, hold, leave without paying.
    Abandon,
    /// Token, then look at the place in the queue a few times.
    Position,
    /// One seat map, by a user admitted before the run.
    SeatMap,
    /// One hold and its cancellation, by a user admitted before the run.
    HoldCycle,
}

impl JourneyKind {
    /// Whether the journey needs users who were admitted before the run.
    pub const fn needs_admitted(self) -> bool {
        matches!(self, Self::SeatMap | Self::HoldCycle)
    }
}

/// A stretch of the run in which the rate is constant or changes evenly.
#[derive(Clone, PartialEq, Debug)]
pub struct Stage {
    pub name: String,
    pub length: Duration,
    pub from: RatePerSec,
    pub to: RatePerSec,
    /// Virtual users of the closed model at the beginning and at the end, beside the arrivals.
    pub virtual_users: (u32, u32),
    /// Whether figures leave this stage out, since the load is not what is to be measured yet.
    pub is_warm_up: bool,
    /// The same, since it is not any more.
    pub is_cool_down: bool,
}

impl Stage {
    /// Whether figures hold this stage.
    pub const fn is_measured(&self) -> bool {
        !self.is_warm_up && !self.is_cool_down
    }

    /// Whether anybody comes by the schedule; otherwise only virtual users do.
    pub const fn has_arrivals(&self) -> bool {
        self.from.0 > 0.0 || self.to.0 > 0.0
    }
}

/// How long users and the engine wait for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For one request, until the last byte of its answer.
    pub request: Duration,
    /// In the waiting room, before a user gives up.
    pub admission: Duration,
    /// After the last arrival, before journeys still under way are cut off and counted as unfinished.
    pub drain: Duration,
}

/// A length of time drawn evenly from a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub from: Duration,
    pub to: Duration,
}

/// How strongly choices prefer the first: exponents of Zipf's law, 0 is even. Users without skew come in turn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Skew {
    pub users: f64,
    pub concerts: f64,
    pub schedules: f64,
    pub seats: f64,
}

/// What there is to buy, and who could.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data {
    pub users: u32,
    pub concerts: u32,
    pub schedules_per_concert: u32,
    pub seats_per_schedule: u32,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            users: 5_000,
            concerts: 20,
            schedules_per_concert: 5,
            seats_per_schedule: 200,
        }
    }
}

/// A validated scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct ScenarioConfig {
    pub name: String,
    /// One sentence for lists and reports.
    pub about: String,
    pub arrivals: ArrivalKind,
    /// How late an arrival may start before it is dropped; `None` runs it however late.
    pub max_late: Option<Duration>,
    /// How many journeys can be under way at once.
    pub users: u32,
    /// How many connections the users share at most; `None` is one for each who has a request under way. Whoever finds
    /// all of them taken waits: with its first request that counts as waiting for a free user does, and shows in the
    /// response of the journey with the later ones.
    pub connections: Option<u32>,
    /// How many users are admitted before the run, for journeys that need them.
    pub admitted: u32,
    pub stages: Vec<Stage>,
    /// Shares of the arrivals; they add up to 100 %.
    pub journeys: BTreeMap<JourneyKind, Percent>,
    /// Between the steps of a journey, and between two journeys of a virtual user.
    pub think: Range,
    /// Between two looks at the place in the queue.
    pub poll: Duration,
    pub timeouts: Timeouts,
    pub skew: Skew,
    /// Only the first so many concerts are asked for; `None` is all.
    pub concerts: Option<u32>,
    /// Whether a user whose balance does not suffice charges it and pays then.
    pub tops_up: bool,
    /// Whether the load goes on only until an objective is broken, which is then no failure but what was looked for.
    pub until_broken: bool,
    /// What gives journeys their users, concerts, dates and seats, where [`Self::skew`] does not.
    pub feeders: Vec<Feeder>,
    /// What a run of it creates.
    pub data: Data,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(5),
            admission: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

impl Default for Skew {
    fn default() -> Self {
        Self {
            users: 0.0,
            concerts: 1.1,
            schedules: 0.8,
            seats: 0.8,
        }
    }
}

impl ScenarioConfig {
    /// A constant rate of one mix, even arrivals and defaults for the rest; for experiments, which vary from there.
    pub fn constant(name: &str, rate: RatePerSec, length: Duration, journeys: &[(JourneyKind, Percent)]) -> Self {
        let stage = Stage {
            name: name.to_owned(),
            length,
            from: rate,
            to: rate,
            virtual_users: (0, 0),
            is_warm_up: false,
            is_cool_down: false,
        };
        let timeouts = Timeouts::default();
        Self {
            name: name.to_owned(),
            about: String::new(),
            arrivals: ArrivalKind::Poisson,
            max_late: None,
            users: default_users(std::slice::from_ref(&stage), timeouts),
            connections: None,
            admitted: 0,
            stages: vec![stage],
            journeys: journeys.iter().copied().collect(),
            think: Range {
                from: Duration::ZERO,
                to: Duration::ZERO,
            },
            poll: Duration::from_millis(250),
            timeouts,
            skew: Skew::default(),
            concerts: None,
            tops_up: false,
            until_broken: false,
            feeders: Vec::new(),
            data: Data::default(),
        }
        .with_default_admitted()
    }

    /// `users` who are never idle: far more arrives than they can serve, and what finds nobody free at once is dropped.
    /// What they end in a second is the most that the target can bear from so many at once. For probes, not for
    /// latencies.
    pub fn saturating(name: &str, users: u32, length: Duration, journeys: &[(JourneyKind, Percent)]) -> Self {
        let scenario = Self::constant(name, RatePerSec(10_000.0), length, journeys);
        Self {
            arrivals: ArrivalKind::Even,
            max_late: Some(Duration::from_millis(1)),
            users,
            admitted: 0,
            ..scenario
        }
        .with_default_admitted()
    }

    pub(super) fn with_default_admitted(mut self) -> Self {
        if self.needs_admitted() && self.admitted == 0 {
            self.admitted = self.users.min(200);
        }
        self
    }

    /// Reads a scenario that names no file beside itself, as recordings hold it; `file` names it in errors.
    ///
    /// # Errors
    /// With every problem of the file.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        scenario_yaml::parse(file, text, &feeder::no_file)
    }

    /// Reads a scenario and the files that it names, by paths relative to its own; `read` reads one of them.
    ///
    /// # Errors
    /// With every problem of the file, and of those that it names.
    pub fn parse_with(file: &str, text: &str, read: ReadFile<'_>) -> Result<Self, ConfigError> {
        scenario_yaml::parse(file, text, read)
    }

    /// The scenario as [`Self::parse`] reads it, every default written out.
    ///
    /// # Errors
    /// Never in practice: every part has a text.
    pub fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        serde_yaml::to_string(&RawScenario::from(self))
    }

    /// How long the arrivals last.
    pub fn length(&self) -> Duration {
        self.stages.iter().map(|stage| stage.length).sum()
    }

    /// The highest rate of any stage.
    pub fn peak(&self) -> RatePerSec {
        RatePerSec(
            self.stages
                .iter()
                .map(|stage| stage.from.0.max(stage.to.0))
                .fold(0.0, f64::max),
        )
    }

    /// The stage so many seconds after the beginning of the first one; `None` when the last one is over.
    pub fn stage_at(&self, at: f64) -> Option<&Stage> {
        self.locate(at).map(|(stage, _)| stage)
    }

    /// Whether figures hold what ended so many seconds after the beginning. What ended after the last stage came in it.
    pub fn is_measured_at(&self, at: f64) -> bool {
        let stage = self.stage_at(at).or(self.stages.last());
        at >= 0.0 && stage.is_some_and(Stage::is_measured)
    }

    /// Whether anybody comes by the schedule in any stage; otherwise only virtual users do.
    pub fn has_arrivals(&self) -> bool {
        self.stages.iter().any(Stage::has_arrivals)
    }

    /// The rate that is planned so many seconds after the beginning; `None` when the schedule is over.
    pub fn planned_at(&self, at: f64) -> Option<RatePerSec> {
        let (stage, part) = self.locate(at)?;
        Some(RatePerSec(stage.from.0 + (stage.to.0 - stage.from.0) * part))
    }

    /// A stage, and what part of it is over.
    fn locate(&self, at: f64) -> Option<(&Stage, f64)> {
        let mut begin = 0.0;
        for stage in &self.stages {
            let length = stage.length.as_secs_f64();
            if at < begin + length {
                return Some((stage, ((at - begin) / length).max(0.0)));
            }
            begin += length;
        }
        None
    }

    /// The most virtual users of any stage.
    pub fn most_virtual_users(&self) -> u32 {
        let users = self
            .stages
            .iter()
            .map(|stage| stage.virtual_users.0.max(stage.virtual_users.1));
        users.max().unwrap_or(0)
    }

    /// The users of the waiting room; those admitted before the run come after them.
    pub fn queue_users(&self) -> u32 {
        let admitted = if self.needs_admitted() { self.admitted } else { 0 };
        self.data.users.saturating_sub(admitted)
    }

    /// How a journey's choices are drawn, where no row makes them.
    pub fn skew_of(&self, journey: JourneyKind) -> Skew {
        let own = self.feeders.iter().find_map(|feeder| match &feeder.source {
            FeederSource::Generated(skew) if feeder.journeys.contains(&journey) => Some(*skew),
            _ => None,
        });
        own.unwrap_or(self.skew)
    }

    /// The most connections that can be open at once.
    pub fn most_connections(&self) -> u32 {
        let users = self.users.saturating_add(self.most_virtual_users());
        self.connections.map_or(users, |connections| connections.min(users))
    }

    /// Whether any journey needs users who were admitted before the run.
    pub fn needs_admitted(&self) -> bool {
        self.journeys
            .iter()
            .any(|(kind, share)| kind.needs_admitted() && share.0 > 0.0)
    }
}

/// Room for every arrival to take a second, twice over: more is said to be needed when users run out.
pub(super) fn default_users(stages: &[Stage], timeouts: Timeouts) -> u32 {
    let peak = stages
        .iter()
        .map(|stage| stage.from.0.max(stage.to.0))
        .fold(0.0, f64::max);
    let users = (peak * timeouts.request.as_secs_f64().min(2.0))
        .ceil()
        .clamp(20.0, 4_000.0);
    // Clamped to a range that u32 holds.
    users as u32
}
