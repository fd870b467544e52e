//! What production loads, written from files that a person can read: Prometheus's rules and their tests from objectives and
//! alerts, Grafana's dashboards from the questions that they answer, and the pages that say what to do.
//!
//! [`objectives`] and [`panels`] read the files, [`rules`] and [`grafana`] make of them what is loaded, and [`proofs`] the
//! tests by which promtool shows that each alert can fire, and can be silent. [`answers`] reads what Prometheus says to a
//! panel's queries, and [`pictures`] draws it. Nothing here evaluates anything, and nothing asks: the real Prometheus does
//! the one, and `cli` the other.

pub mod answers;
pub mod grafana;
pub mod objectives;
mod objectives_yaml;
#[cfg(test)]
mod objectives_yaml_tests;
pub mod panels;
mod panels_yaml;
#[cfg(test)]
mod panels_yaml_tests;
pub mod pictures;
mod place;
pub mod proofs;
#[cfg(test)]
mod proofs_tests;
pub mod queries;
pub mod rules;
#[cfg(test)]
mod rules_tests;
mod runbooks;
#[cfg(test)]
mod runbooks_tests;
mod selector;
#[cfg(test)]
mod slips;
mod wording;
#[cfg(test)]
mod written_tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use objectives::Promises;
use panels::Dashboard;
pub use queries::Query;
pub use runbooks::RunbookError;

use crate::config::ConfigError;

/// What all is written from, in the folder of dashboards.
pub const OBJECTIVES: &str = "objectives.yaml";
pub const DASHBOARDS: &str = "dashboards.yaml";
/// The folder of pages that say what to do, in Markdown.
pub const RUNBOOKS: &str = "runbooks";
/// Where Prometheus looks for rules, in the folder of dashboards.
pub const RULES: &str = "prometheus/rules/booking.yml";
/// Their tests, beside them.
pub const PROOFS: &str = "prometheus/tests/booking.yml";
/// Where Grafana looks for dashboards.
pub const PAGES: &str = "grafana";

/// What the names of pages begin with that say what to do; a runbook's own name follows.
const RUNBOOK_PAGE: &str = "runbook-";
/// Grafana takes no longer name of a page.
const LONGEST_PAGE: usize = 40;

/// What people write.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Under which name its writer knows a file, and what it says.
    pub objectives: (String, String),
    pub dashboards: (String, String),
    /// By name, without the ending.
    pub runbooks: BTreeMap<String, String>,
}

/// A file that is written from others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Below the folder of dashboards.
    pub path: PathBuf,
    pub text: String,
}

/// Why nothing can be written.
#[derive(Debug, thiserror::Error)]
pub enum MonitoringError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Runbook(#[from] RunbookError),
}

impl Sources {
    fn read(&self) -> Result<(Promises, Vec<Dashboard>), MonitoringError> {
        let promises = Promises::parse(&self.objectives.0, &self.objectives.1)?;
        let dashboards = panels::parse(&self.dashboards.0, &self.dashboards.1)?;
        runbooks::check(&self.runbooks, &promises, &dashboards)?;
        Ok((promises, dashboards))
    }
}

/// Every question that they put to Prometheus.
///
/// # Errors
/// As [`write()`].
pub fn queries(sources: &Sources) -> Result<Vec<Query>, MonitoringError> {
    let (promises, dashboards) = sources.read()?;
    Ok(queries::all(&promises, &dashboards))
}

/// Their dashboards.
///
/// # Errors
/// As [`write()`].
pub fn dashboards(sources: &Sources) -> Result<Vec<Dashboard>, MonitoringError> {
    sources.read().map(|(_, dashboards)| dashboards)
}

/// Everything that follows from `sources`.
///
/// # Errors
/// With every problem of a file, or the first of a page that says what to do.
pub fn write(sources: &Sources) -> Result<Vec<Written>, MonitoringError> {
    let (promises, dashboards) = sources.read()?;
    let mut all = vec![yaml(RULES, &rules::of(&promises)), yaml(PROOFS, &proofs::of(&promises))];
    for dashboard in &dashboards {
        let page = grafana::dashboard(dashboard);
        all.push(json(&format!("{}.json", dashboard.uid), &page));
    }
    for (name, text) in &sources.runbooks {
        all.push(json(
            &format!("{RUNBOOK_PAGE}{name}.json"),
            &grafana::runbook(name, text),
        ));
    }
    Ok(all)
}

/// Whether Grafana has a page under this name, and a folder a file.
fn is_page(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=LONGEST_PAGE).contains(&name.len()) && name.chars().all(is_plain)
}

#[expect(clippy::expect_used, reason = "maps and lists of text can always be written")]
fn yaml(path: &str, content: &impl serde::Serialize) -> Written {
    let yaml = serde_yaml::to_string(content).expect("plain data are YAML");
    Written {
        path: PathBuf::from(path),
        text: format!("# Written by `soundcheck dashboards` from {OBJECTIVES}; change that file instead.\n{yaml}"),
    }
}

fn json(name: &str, page: &serde_json::Value) -> Written {
    Written {
        path: Path::new(PAGES).join(name),
        text: format!("{page:#}\n"),
    }
}
