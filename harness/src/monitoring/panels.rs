//! What Grafana shows: the file, as far as it makes sense.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::panels_yaml;
use crate::config::ConfigError;

/// Those that a threshold may have, from the best to the worst.
pub const COLOURS: [&str; 4] = ["green", "yellow", "orange", "red"];
/// The width of Grafana's grid.
pub const COLUMNS: u32 = 24;

/// What a reader chooses on a page: values of a label.
#[derive(PartialEq, Eq, Debug)]
pub struct Choice {
    /// A query names it with a `$` before it.
    pub label: &'static str,
    pub title: &'static str,
    /// The metric that has all of them.
    pub metric: &'static str,
    /// When there may be none.
    pub empty: Option<&'static str>,
}

/// Which service.
pub const INSTANCE: Choice = Choice {
    label: "instance",
    title: "Instance",
    metric: "booking_info",
    empty: None,
};
/// Which run of this tool.
pub const RUN: Choice = Choice {
    label: "run",
    title: "Run",
    metric: "soundcheck_planned_per_second",
    empty: Some("no run was sent in this time"),
};

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
    /// What to read.
    pub runbook: String,
    /// From which value on a colour stands. Without one the file says why.
    pub thresholds: BTreeMap<String, f64>,
    /// Which value each state of a timeline is.
    pub states: BTreeMap<String, f64>,
    pub queries: Vec<Query>,
}

/// How a panel is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    #[default]
    Timeseries,
    Stat,
    /// A row for each series, in the colour and under the name of its state.
    StateTimeline,
}

/// What a panel asks.
#[derive(Clone, Debug)]
pub struct Query {
    pub expr: String,
    pub legend: String,
    /// When it may return nothing.
    pub empty: Option<String>,
}

impl Dashboard {
    /// What is chosen on it.
    pub fn choices(&self) -> impl Iterator<Item = &'static Choice> {
        let mut queries = self.panels.iter().flat_map(|panel| &panel.queries);
        let by_instance = queries.any(|query| query.expr.contains("$instance"));
        let instance = by_instance.then_some(&INSTANCE);
        instance.into_iter().chain(self.runs.then_some(&RUN))
    }
}

/// Reads `text`, known to its writer as `file`.
///
/// # Errors
/// With every problem of it.
pub fn parse(file: &str, text: &str) -> Result<Vec<Dashboard>, ConfigError> {
    panels_yaml::parse(file, text)
}

/// How often Prometheus asks those that tell metrics with these beginnings: as prometheus.yml says, and for what it records
/// and knows by itself as often as it evaluates rules.
pub const SCRAPED_EVERY: [(&str, Duration); 3] = [
    ("booking_", Duration::from_secs(1)),
    ("process_", Duration::from_secs(1)),
    ("soundcheck_", Duration::from_secs(1)),
];
/// All others.
pub const SCRAPED_ELSE: Duration = Duration::from_secs(5);
/// What Grafana makes of the distance between two scrapes, and what a rate needs so that it may miss one.
const SCRAPES_OF_A_RATE: u32 = 4;

impl Query {
    /// The time between two values of the metric that is asked for least often.
    pub fn scraped_every(&self) -> Duration {
        let names = self
            .expr
            .split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
        let slow = ["mysql_", "redis_", "kafka_", "haproxy_", "node_", "objective:"];
        let fast = |name: &str| SCRAPED_EVERY.iter().find(|(beginning, _)| name.starts_with(beginning));
        let (mut found, mut every) = (false, Duration::ZERO);
        for name in names {
            if let Some((_, each)) = fast(name) {
                (found, every) = (true, every.max(*each));
            } else if slow.iter().any(|beginning| name.starts_with(beginning)) {
                (found, every) = (true, every.max(SCRAPED_ELSE));
            }
        }
        if found { every } else { SCRAPED_ELSE }
    }

    /// As Prometheus takes it from somebody who chose nothing, with rates over the shortest window that Grafana gives them, or
    /// `at_least` so long.
    pub fn resolved(&self, at_least: Duration) -> String {
        let window = at_least.max(self.scraped_every() * SCRAPES_OF_A_RATE);
        let window = format!("{}s", window.as_secs());
        self.expr
            .replace("$__rate_interval", &window)
            .replace("$instance", ".+")
            .replace("$run", ".+")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_spans_four_scrapes_of_whoever_is_asked_least_often() {
        for (expr, window) in [
            ("sum(rate(booking_charges_total[$__rate_interval]))", "4s"),
            ("rate(mysql_global_status_questions[$__rate_interval])", "20s"),
            ("rate(booking_charges_total[$__rate_interval]) / on () redis_up", "20s"),
            ("rate(prometheus_http_requests_total[$__rate_interval])", "20s"),
        ] {
            let query = Query {
                expr: expr.to_owned(),
                legend: String::new(),
                empty: None,
            };
            assert_eq!(query.resolved(Duration::ZERO), expr.replace("$__rate_interval", window));
            let minute = Duration::from_secs(60);
            assert_eq!(query.resolved(minute), expr.replace("$__rate_interval", "60s"));
        }
    }
}
