//! What Grafana shows: the file, as far as it makes sense.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::config::strict;

/// The width of Grafana's grid.
pub const COLUMNS: u32 = 24;
/// What is given where a panel says nothing of its width.
const HALF: u32 = COLUMNS / 2;

/// One page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    pub uid: String,
    pub title: String,
    /// The question that it answers.
    pub answers: String,
    /// Whether the reader chooses runs of this tool, whose stages are marked then.
    #[serde(default)]
    pub runs: bool,
    pub panels: Vec<Panel>,
}

/// One figure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    pub title: String,
    pub says: String,
    #[serde(default)]
    pub kind: Kind,
    /// In Grafana's words: `s`, `reqps`, `percentunit`.
    pub unit: String,
    #[serde(default = "half")]
    pub width: u32,
    pub runbook: Option<String>,
    /// From which value on a colour stands.
    #[serde(default)]
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub expr: String,
    pub legend: String,
    /// When it may return nothing.
    pub empty: Option<String>,
}

const fn half() -> u32 {
    HALF
}

/// Reads `text`, known to its writer as `file`.
///
/// # Errors
/// With every problem of it.
pub fn parse(file: &str, text: &str) -> Result<Vec<Dashboard>, ConfigError> {
    let (read, mut problems) = strict::read::<Vec<Dashboard>>(file, text);
    for (n, dashboard) in read.iter().flatten().enumerate() {
        if dashboard.panels.is_empty() {
            problems.add(
                &[n.into(), "panels".into()],
                "a dashboard without panels answers nothing",
            );
        }
        for (m, panel) in dashboard.panels.iter().enumerate() {
            let path = |key: &str| vec![n.into(), "panels".into(), m.into(), key.into()];
            if panel.width == 0 || panel.width > COLUMNS {
                problems.add(&path("width"), format!("a panel is 1 to {COLUMNS} columns wide"));
            }
            if panel.queries.is_empty() {
                problems.add(&path("queries"), "a panel without queries shows nothing");
            }
        }
    }
    problems.finish(read)
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
