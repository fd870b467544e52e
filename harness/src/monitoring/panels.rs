//! What Grafana shows: the file, as far as it makes sense.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::panels_yaml;
use crate::config::ConfigError;

/// The width of Grafana's grid.
pub const COLUMNS: u32 = 24;

/// One page.
#[derive(Clone, Debug)]
pub struct Dashboard {
    pub uid: String,
    pub title: String,
    /// The question that it answers.
    pub answers: String,
    /// Whether the reader chooses runs of this tool, whose stages are marked then.
    pub runs: bool,
    pub panels: Vec<Panel>,
}

/// One figure.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: String,
    pub says: String,
    pub kind: Kind,
    /// In Grafana's words: `s`, `reqps`, `percentunit`.
    pub unit: String,
    pub width: u32,
    pub runbook: Option<String>,
    /// From which value on a colour stands.
    pub thresholds: BTreeMap<String, f64>,
    pub queries: Vec<Query>,
}

/// How a panel is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Timeseries,
    Stat,
}

/// What a panel asks.
#[derive(Clone, Debug)]
pub struct Query {
    pub expr: String,
    pub legend: String,
    /// When it may return nothing.
    pub empty: Option<String>,
}

/// Reads `text`, known to its writer as `file`.
///
/// # Errors
/// With every problem of it.
pub fn parse(file: &str, text: &str) -> Result<Vec<Dashboard>, ConfigError> {
    panels_yaml::parse(file, text)
}

impl Query {
    /// As Prometheus takes it from somebody who chose nothing, with rates over `window`.
    pub fn resolved(&self, window: &str) -> String {
        self.expr
            .replace("$__rate_interval", window)
            .replace("$instance", ".*")
            .replace("$run", ".*")
    }
}
