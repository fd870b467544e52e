//! What a service promises in production, and what wakes whom: the file, as far as it makes sense.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::objectives_yaml;
use super::selector::Selector;
use crate::config::ConfigError;
use crate::units::RatePerSec;

/// The whole file.
#[derive(Clone, Debug)]
pub struct Promises {
    /// Over which objectives are to be reached.
    pub period: Duration,
    /// The beginning of every runbook's address; its name follows.
    pub runbooks: String,
    pub objectives: Vec<Objective>,
    pub alerts: Vec<Alert>,
}

impl Promises {
    /// Reads `text`, known to its writer as `file`.
    ///
    /// # Errors
    /// With every problem of it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        objectives_yaml::parse(file, text)
    }
}

/// A share of requests that must be good.
#[derive(Clone, Debug)]
pub struct Objective {
    pub name: String,
    pub says: String,
    /// The share of bad ones that is allowed: above 0, below 1.
    pub budget: f64,
    pub counts: Counts,
    /// So many requests a second must there be, or no rate of failures means anything.
    pub at_least: RatePerSec,
    pub alert: String,
    pub runbook: String,
}

/// What an objective counts, with series for its tests.
#[derive(Clone, Debug)]
pub enum Counts {
    /// Counters of all requests and of the failed ones among them; and a series of each kind.
    Failures {
        requests: Selector,
        failed: Selector,
        good: Selector,
        bad: Selector,
    },
    /// A histogram, and the bound of one of its buckets; and a series.
    Times {
        times: Selector,
        within: Duration,
        series: Selector,
    },
}

/// A condition that somebody is told of.
#[derive(Clone, Debug)]
pub struct Alert {
    pub name: String,
    pub severity: Severity,
    /// With `{value}` and `{label}` where Prometheus fills in what it found.
    pub says: String,
    pub unit: Unit,
    /// PromQL.
    pub when: String,
    /// The condition must hold for so long.
    pub lasts: Duration,
    pub runbook: String,
    pub fires: Proof,
    pub silent: Proof,
}

/// Who is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody, at once: users feel it, or something is lost for good.
    Page,
    /// Somebody, in working hours.
    Ticket,
}

/// In which unit an alert's value is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    #[default]
    Number,
    Seconds,
    Ratio,
}

/// Series under which an alert fires, or does not.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Values in promtool's notation, one each [`super::proofs::INTERVAL`].
    pub series: BTreeMap<String, String>,
    pub at: Duration,
    /// Those of the alert that fires, apart from what the rule adds.
    pub labels: BTreeMap<String, String>,
    /// What stands for `{value}`.
    pub value: Option<String>,
}
