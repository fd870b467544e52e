//! Objectives: what a run is held to, from one file. Each is one sentence with one limit, so that each has one verdict.
//!
//! A window that slides second by second decides: one window beyond the limit is a miss, however good the rest was. Work
//! counts where it ended. Journeys are timed from when their users wanted to start, single requests from the send.
//!
//! What does *not* belong here: drills, whose promises also say how fast to recover.

mod judge;
#[cfg(test)]
mod judge_tests;
mod ruling;
mod window;
mod yaml;
#[cfg(test)]
mod yaml_tests;

use std::fmt;
use std::time::Duration;

pub use judge::{Judge, Second};
pub use ruling::{Ruling, Worst};

use crate::config::{ConfigError, ScenarioConfig};
use crate::recording::{Clock, Endpoint};
use crate::units::{Percent, Ratio};

/// What a run is held to.
#[derive(Clone, PartialEq, Debug)]
pub struct Objective {
    pub name: String,
    pub of: Subject,
    /// Only while this stage lasts; otherwise in every stage that is neither warm-up nor cool-down.
    pub stage: Option<String>,
    /// In every window of this length; otherwise once, over all of it.
    pub over: Option<Duration>,
    pub limit: Limit,
    /// The run is ended when the limit was exceeded for so long without a break.
    pub abort_after: Option<Duration>,
}

/// Whose times and failures are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// Every journey, whatever it does.
    Journeys,
    /// One kind of journey or of request.
    Endpoint(Endpoint),
}

impl Subject {
    /// Whether an endpoint is meant.
    pub fn is(self, endpoint: Endpoint) -> bool {
        match self {
            Self::Journeys => endpoint.is_journey(),
            Self::Endpoint(own) => endpoint == own,
        }
    }

    /// The clock that times it: journeys from when their users wanted to start, requests from the send.
    pub const fn clock(self) -> Clock {
        match self {
            Self::Journeys => Clock::Response,
            Self::Endpoint(endpoint) if endpoint.is_journey() => Clock::Response,
            Self::Endpoint(_) => Clock::Service,
        }
    }
}

/// What may not be exceeded, or must be reached.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Limit {
    /// This share of users waits at most so long. Who never got an answer waited for ever.
    Quantile { quantile: Ratio, most: Duration },
    /// At most this share fails: errors, time-outs, lost connections, dropped arrivals, journeys that were cut off.
    /// Contention and refusals are proper answers.
    Failed { most: Percent },
    /// At least this share of the planned arrivals started, and in time.
    Offered { least: Percent },
}

impl Limit {
    /// Whether a value keeps it: seconds for a quantile, per cent for the others.
    pub fn is_kept_by(self, value: f64) -> bool {
        match self {
            Self::Quantile { most, .. } => value <= most.as_secs_f64(),
            Self::Failed { most } => value <= most.0,
            Self::Offered { least } => value >= least.0,
        }
    }

    /// The limit as a number, in the unit of the values.
    pub fn value(self) -> f64 {
        match self {
            Self::Quantile { most, .. } => most.as_secs_f64(),
            Self::Failed { most } => most.0,
            Self::Offered { least } => least.0,
        }
    }

    /// Which share may lie beyond the limit.
    pub fn share_beyond(self) -> f64 {
        match self {
            Self::Quantile { quantile, .. } => 1.0 - quantile.0,
            Self::Failed { most } => most.0 / 100.0,
            Self::Offered { .. } => 1.0,
        }
    }

    /// So many must have ended before a window says that it is kept: as many as one beyond the limit stands for.
    pub fn least_ended(self) -> u64 {
        // Rounded before it is rounded up: 1 - 0.99 is a hair more than 0.01.
        (1.0 / self.share_beyond().max(0.001) - 1e-6).ceil() as u64
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journeys => f.write_str("journeys"),
            Self::Endpoint(endpoint) => endpoint.fmt(f),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantile { quantile, most } => {
                write!(f, "p{} ≤ {}", quantile.0 * 100.0, humantime::format_duration(*most))
            }
            Self::Failed { most } => write!(f, "failed ≤ {}%", most.0),
            Self::Offered { least } => write!(f, "offered ≥ {}%", least.0),
        }
    }
}

/// Reads objectives for a run of `scenario`, whose stages they may name.
///
/// ```
/// use soundcheck::config::shipped;
/// use soundcheck::objectives;
///
/// let scenario = shipped::scenario("smoke").unwrap();
/// let text = "objectives:\n  - {name: quick maps, of: seats, p99: 250ms, over: 5s}\n";
/// let read = objectives::parse("objectives.yaml", text, &scenario).unwrap();
/// assert_eq!(read[0].limit.to_string(), "p99 ≤ 250ms");
/// ```
///
/// # Errors
/// With every fault of the file.
pub fn parse(file: &str, text: &str, scenario: &ScenarioConfig) -> Result<Vec<Objective>, ConfigError> {
    yaml::parse(file, text, scenario)
}

/// The text that [`parse`] reads.
///
/// # Errors
/// Never in practice: every part of an objective has a text.
pub fn to_yaml(objectives: &[Objective]) -> Result<String, serde_yaml::Error> {
    yaml::write(objectives)
}
