//! The YAML of [`Dashboard`]s: which keys there are, and the rules between their values.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::panels::{COLOURS, COLUMNS, Dashboard, Kind, Panel, Query};
use super::place::Place;
use super::{RUNBOOK_PAGE, is_page};
use crate::chart::MOST_SERIES;
use crate::config::ConfigError;
use crate::config::strict::{self, Problems};

/// What is given where a panel says nothing of its width.
const HALF: u32 = COLUMNS / 2;
/// Grafana calls the queries of a panel by a letter each.
const MOST_QUERIES: usize = 26;
/// Of the units that Grafana knows, those that figures here may have: it shows any other word behind the number.
const UNITS: [&str; 16] = [
    "none",
    "short",
    "percent",
    "percentunit",
    "bytes",
    "Bps",
    "ns",
    "ms",
    "s",
    "cps",
    "iops",
    "ops",
    "reqps",
    "rowsps",
    "rps",
    "wps",
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDashboard {
    uid: Option<String>,
    title: Option<String>,
    answers: Option<String>,
    /// What to read where a panel names no other page.
    runbook: Option<String>,
    runs: Option<bool>,
    panels: Option<Vec<RawPanel>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawPanel {
    title: Option<String>,
    says: Option<String>,
    kind: Option<Kind>,
    unit: Option<String>,
    width: Option<u32>,
    runbook: Option<String>,
    thresholds: Option<BTreeMap<String, f64>>,
    /// Why there is no value from which on somebody should worry.
    no_threshold: Option<String>,
    states: Option<BTreeMap<String, f64>>,
    queries: Option<Vec<RawQuery>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    expr: Option<String>,
    legend: Option<String>,
    empty: Option<String>,
}

pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Dashboard>, ConfigError> {
    let (raw, mut problems) = strict::read::<Vec<RawDashboard>>(file, text);
    let read = raw.map(|raw| validate(raw, &mut problems));
    problems.finish(read)
}

/// What makes sense of it.
fn validate(raw: Vec<RawDashboard>, problems: &mut Problems) -> Vec<Dashboard> {
    if raw.is_empty() {
        problems.add(&[], "there is no dashboard, so nobody would see anything; write one");
    }
    let mut uids = BTreeSet::new();
    let mut all = Vec::new();
    let mut top = Place::top(problems);
    for (n, raw) in raw.into_iter().enumerate() {
        let mut place = top.within(n);
        if let Some(uid) = &raw.uid
            && !uids.insert(uid.clone())
        {
            place.add("uid", format!("`{uid}` is another dashboard's already; choose another"));
        }
        all.extend(dashboard(raw, &mut place));
    }
    all
}

fn dashboard(raw: RawDashboard, place: &mut Place<'_>) -> Option<Dashboard> {
    let uid = place.text("uid", raw.uid, "booking-overview");
    if let Some(uid) = &uid {
        // It names a file and a part of an address.
        if !is_page(uid) {
            place.add(
                "uid",
                format!("`{uid}` is not at most 40 letters of a to z, digits, `-` and `_`"),
            );
        }
        if uid.starts_with(RUNBOOK_PAGE) {
            place.add(
                "uid",
                format!("pages of runbooks begin with `{RUNBOOK_PAGE}`; choose another"),
            );
        }
    }
    let title = place.text("title", raw.title, "\"Booking: overview\"");
    let answers = place.text("answers", raw.answers, "Does the service answer, and in time?");
    let runbook = place.text("runbook", raw.runbook, "error-budget");
    let raw_panels = raw.panels.unwrap_or_default();
    if raw_panels.is_empty() && !place.is_wrong("panels") {
        place.add("panels", "a dashboard without panels answers nothing; write one");
    }
    let mut panels = Vec::new();
    let mut of_panels = place.within("panels");
    for (n, raw) in raw_panels.into_iter().enumerate() {
        panels.extend(panel(raw, runbook.as_deref(), &mut of_panels.within(n)));
    }
    Some(Dashboard {
        uid: uid?,
        title: title?,
        answers: answers?,
        runs: raw.runs.unwrap_or_default(),
        panels,
    })
}

/// With the runbook of its dashboard, unless it has its own.
fn panel(raw: RawPanel, runbook: Option<&str>, place: &mut Place<'_>) -> Option<Panel> {
    let title = place.text("title", raw.title, "Requests");
    let says = place.text("says", raw.says, "Requests answered a second, by route.");
    let unit = place.text("unit", raw.unit, "reqps");
    if let Some(unit) = unit.as_ref().filter(|unit| !UNITS.contains(&unit.as_str())) {
        place.add("unit", strict::unknown_message(unit, &UNITS.map(str::to_owned)));
    }
    if raw.width.is_some_and(|width| width == 0 || width > COLUMNS) {
        place.add("width", format!("a panel is 1 to {COLUMNS} columns wide"));
    }
    let thresholds = raw.thresholds.unwrap_or_default();
    match raw.no_threshold {
        None if thresholds.is_empty() && !place.is_wrong("thresholds") => place.add(
            "thresholds",
            "there is none; write one, as in `thresholds: {orange: 0.1, red: 1}`, or in `no-threshold` why there is none",
        ),
        Some(_) if !thresholds.is_empty() => place.add("no-threshold", "there are thresholds; take one of the two away"),
        reason @ Some(_) => _ = place.text("no-threshold", reason, "it follows from how many come"),
        None => {}
    }
    for colour in thresholds.keys().filter(|colour| !COLOURS.contains(&colour.as_str())) {
        let message = strict::unknown_message(colour, &COLOURS.map(str::to_owned));
        place.within("thresholds").add(colour.as_str(), message);
    }
    for (colour, _) in thresholds.iter().filter(|(_, from)| !from.is_finite()) {
        let message = format!("a colour stands from a number on; write `{colour}: 0.5` for instance");
        place.within("thresholds").add(colour.as_str(), message);
    }
    let kind = raw.kind.unwrap_or_default();
    let states = raw.states.unwrap_or_default();
    check_states(kind, &states, place);
    let raw_queries = raw.queries.unwrap_or_default();
    if raw_queries.is_empty() && !place.is_wrong("queries") {
        place.add("queries", "a panel without queries shows nothing; write one");
    }
    if raw_queries.len() > MOST_QUERIES {
        place.add(
            "queries",
            format!("a panel has at most {MOST_QUERIES} queries; make two of it"),
        );
    }
    let mut queries = Vec::new();
    let mut of_queries = place.within("queries");
    for (n, raw) in raw_queries.into_iter().enumerate() {
        queries.extend(query(raw, &mut of_queries.within(n)));
    }
    Some(Panel {
        title: title?,
        says: says?,
        kind,
        unit: unit?,
        width: raw.width.unwrap_or(HALF),
        runbook: raw.runbook.or_else(|| runbook.map(str::to_owned))?,
        thresholds,
        states,
        queries,
    })
}

fn check_states(kind: Kind, states: &BTreeMap<String, f64>, place: &mut Place<'_>) {
    if kind != Kind::StateTimeline {
        if !states.is_empty() {
            place.add(
                "states",
                "no other kind than `state-timeline` shows them; take them away, or write that kind",
            );
        }
        return;
    }
    if states.is_empty() && !place.is_wrong("states") {
        place.add(
            "states",
            "a `state-timeline` shows states by name; write `states: {down: 0, up: 1}` for instance",
        );
    }
    if states.len() > MOST_SERIES {
        place.add(
            "states",
            format!("at most {MOST_SERIES} can be told apart; make fewer of them"),
        );
    }
    let mut seen: Vec<f64> = Vec::new();
    for (name, value) in states {
        let mut of_states = place.within("states");
        if !value.is_finite() {
            of_states.add(
                name.as_str(),
                format!("a state is a number; write `{name}: 1` for instance"),
            );
        } else if seen.contains(value) {
            of_states.add(
                name.as_str(),
                format!("{value} is another state already; choose another"),
            );
        }
        seen.push(*value);
    }
}

fn query(raw: RawQuery, place: &mut Place<'_>) -> Option<Query> {
    let expr = place.text("expr", raw.expr, "sum(rate(requests_total[$__rate_interval]))");
    let legend = place.text("legend", raw.legend, "\"{{route}}\"");
    let empty = match raw.empty {
        Some(reason) => Some(place.text("empty", Some(reason), "nothing has failed yet")?),
        None => None,
    };
    Some(Query {
        expr: expr?,
        legend: legend?,
        empty,
    })
}
