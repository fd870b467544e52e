//! What is drawn of answers, and what is said of those that cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::pane::{legend, pane};
use super::slots::Slots;
use super::{alt, chart};
use crate::chart::{ChartError, Labels, MOST_SERIES, Pane};
use crate::format::Unit;
use crate::monitoring::answers::{Series, Stretch};
use crate::monitoring::panels::{self, Dashboard};

/// A dashboard with one panel, and what is asked by its queries.
fn dashboard(panel: &str) -> Dashboard {
    let text = format!("- uid: d\n  title: D\n  answers: Is it so?\n  runbook: r\n  panels:\n    - {panel}\n");
    panels::parse("d.yaml", &text).unwrap().remove(0)
}

fn one(labels: &[(&str, &str)], values: &[Option<f64>]) -> Series {
    Series {
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        points: values
            .iter()
            .zip(0..)
            .map(|(value, at)| (f64::from(at) * 60.0, *value))
            .collect(),
    }
}

/// `n` series, of which each is as high as its name says.
fn routes(n: usize) -> Vec<Series> {
    let names: Vec<String> = (0..n).map(|at| format!("r{at:02}")).collect();
    let series = names
        .iter()
        .zip(0..)
        .map(|(name, at)| one(&[("route", name)], &[Some(0.0), Some(f64::from(at))]));
    series.collect()
}

fn drawn(panel: &str, answers: &[Vec<Series>]) -> Pane {
    pane(&dashboard(panel).panels[0], answers, &mut Slots::default())
}

fn names(pane: &Pane) -> Vec<&str> {
    pane.panel.curves.iter().map(|curve| curve.key.name.as_str()).collect()
}

fn svg(dashboard: &Dashboard, answers: &[Vec<Vec<Series>>]) -> Result<String, ChartError> {
    let stretch = Stretch::until(Timestamp::from_second(1_000_000).unwrap(), Duration::from_secs(900));
    let alt = alt(dashboard);
    chart(dashboard, answers, &stretch).svg(Labels { alt: &alt, mark: None })
}

const ROUTES: &str =
    "{title: T, says: It is so., unit: reqps, no-threshold: n, queries: [{expr: x, legend: '{{route}}'}]}";

#[test]
fn legends_are_filled_in_as_grafana_does() {
    #[track_caller]
    fn check(template: &str, expected: &str) {
        let labels =
            BTreeMap::from([("a", "1"), ("b", "{{a}}")].map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(legend(template, &labels), expected);
    }
    check("{{a}}", "1");
    check("p{{ a }}: {{a}}", "p1: 1");
    check("{{b}}", "{{a}}");
    check("{{c}}: failed", ": failed");
    check("plain", "plain");
    check("{{a", "{{a");
    check("{{a}} and {{", "1 and {{");
}

#[test]
fn no_curve_is_without_a_name() {
    let other = || one(&[("a", "1"), ("b", "2")], &[Some(1.0)]);
    let pane = drawn(ROUTES, &[vec![other(), one(&[], &[Some(1.0)])]]);
    assert_eq!(names(&pane), ["a=1, b=2", "without labels"]);
}

#[test]
fn values_are_drawn_in_their_unit_with_their_gaps() {
    let shares = "{title: T, says: It is so., unit: percentunit, no-threshold: n, queries: [{expr: x, legend: of}]}";
    let pane = drawn(shares, &[vec![one(&[], &[Some(0.5), None, Some(1.0)])]]);
    assert_eq!((pane.panel.unit, names(&pane)), (Unit::Percent, vec!["of"]));
    assert_eq!(
        pane.panel.curves[0].points,
        [(0.0, Some(50.0)), (1.0, None), (2.0, Some(100.0))]
    );
    assert_eq!(pane.notes, [""; 0]);
    // What is vast is no reason to draw nothing else.
    let pane = drawn(shares, &[vec![one(&[], &[Some(f64::MAX), Some(1.0)])]]);
    assert_eq!(pane.panel.curves[0].points, [(0.0, None), (1.0, Some(100.0))]);
    // A unit that has no axis of its own is named.
    let pane = drawn(
        "{title: T, says: It is so., unit: Bps, no-threshold: n, queries: [{expr: x, legend: of}]}",
        &[vec![]],
    );
    assert_eq!((pane.panel.unit, pane.panel.title.as_str()), (Unit::Count, "T, Bps"));
}

#[test]
fn a_stat_says_its_last_value() {
    let stat = "{title: T, kind: stat, says: It is so., unit: percentunit, no-threshold: n, queries: [{expr: x, legend: '{{a}}'}]}";
    let pane = drawn(stat, &[vec![one(&[("a", "left")], &[Some(0.5), Some(0.25), None])]]);
    assert_eq!(names(&pane), ["left: 25.0\u{a0}%"]);
}

#[test]
fn what_has_no_data_says_why() {
    let panel = "{title: T, says: It is so., unit: reqps, no-threshold: n, queries: [
        {expr: x, legend: '{{route}}', empty: nothing has failed yet},
        {expr: y, legend: '{{route}}: hung up', empty: no client has hung up yet},
        {expr: z, legend: z}]}";
    let some = || vec![one(&[("route", "r")], &[Some(1.0)])];
    let pane = drawn(panel, &[vec![], vec![], vec![]]);
    assert_eq!(pane.notes, [""; 0]);
    assert_eq!(
        pane.reason,
        "nothing has failed yet; no client has hung up yet; Prometheus returned nothing"
    );
    let pane = drawn(panel, &[some(), vec![], vec![]]);
    assert_eq!(
        pane.notes,
        [
            "hung up: no data: no client has hung up yet",
            "z: no data: Prometheus returned nothing"
        ]
    );
    let pane = drawn(panel, &[vec![], some(), some()]);
    assert_eq!(pane.notes, ["no data: nothing has failed yet"]);
    // 0 / 0 is an answer, and no number.
    let blank = || vec![one(&[("route", "r")], &[None, None])];
    let pane = drawn(ROUTES, &[blank()]);
    assert!(pane.reason.contains("no series had a number"), "{}", pane.reason);
    let pane = drawn(ROUTES, &[[blank(), some()].concat()]);
    assert_eq!(pane.notes, ["not shown: 1 series without a number in this time"]);
    assert_eq!(names(&pane), ["r"]);

    let empty = svg(&dashboard(panel), &[vec![vec![], vec![], vec![]]]).unwrap();
    assert!(empty.contains("no data: nothing has failed yet"), "{empty}");
}

#[test]
fn of_too_many_series_the_worst_are_shown_and_the_rest_is_told_of() {
    let pane = drawn(ROUTES, &[routes(MOST_SERIES)]);
    assert_eq!((pane.panel.curves.len(), pane.notes.len()), (MOST_SERIES, 0));

    let pane = drawn(ROUTES, &[routes(11)]);
    assert_eq!(names(&pane), ["r03", "r04", "r05", "r06", "r07", "r08", "r09", "r10"]);
    assert_eq!(pane.notes, ["the 8 highest of 11 series are shown"]);
    let svg = svg(&dashboard(ROUTES), &[vec![routes(11)]]).unwrap();
    assert!(svg.contains("the 8 highest of 11 series are shown"));

    // Where 0 is red, what is down must not be what is left out.
    let up = "{title: T, says: It is so., unit: short, thresholds: {red: 0, green: 1}, queries: [{expr: x, legend: '{{route}}'}]}";
    let mut targets: Vec<Series> = routes(11);
    for series in &mut targets {
        series.points = vec![(0.0, Some(1.0))];
    }
    targets[10].points = vec![(0.0, Some(1.0)), (60.0, Some(0.0))];
    let pane = drawn(up, &[targets]);
    assert!(names(&pane).contains(&"r10"), "{:?}", names(&pane));
    assert_eq!(pane.notes, ["the 8 lowest of 11 series are shown"]);
}

#[test]
fn limits_are_named_by_their_bad_side() {
    #[track_caller]
    fn check(thresholds: &str, expected: &[(f64, &str)]) {
        let panel = format!(
            "{{title: T, says: It is so., unit: percentunit, thresholds: {thresholds}, queries: [{{expr: x, legend: x}}]}}"
        );
        let pane = drawn(&panel, &[vec![]]);
        let limits: Vec<(f64, String)> = pane
            .panel
            .limits
            .iter()
            .map(|limit| (limit.value, limit.label.replace('\u{a0}', " ")))
            .collect();
        let expected: Vec<(f64, String)> = expected
            .iter()
            .map(|(value, label)| (*value, (*label).to_owned()))
            .collect();
        assert_eq!(limits, expected);
    }
    check("{}, no-threshold: n", &[]);
    check("{green: 0}", &[]);
    check(
        "{orange: 0.25, red: 0.5}",
        &[(25.0, "orange from 25.0 %"), (50.0, "red from 50.0 %")],
    );
    check("{green: 0, red: 0.5}", &[(50.0, "red from 50.0 %")]);
    check(
        "{red: 0, orange: 0.25, green: 0.5}",
        &[(25.0, "red below 25.0 %"), (50.0, "orange below 50.0 %")],
    );
}

#[test]
fn a_picture_says_what_it_is_of() {
    let dashboard = dashboard(ROUTES);
    let svg = svg(&dashboard, &[vec![routes(2)]]).unwrap();
    for said in [
        "aria-label=\"D. Is it so? Panels: T.\"",
        ">Is it so? 15 min from 1970-01-12 13:31 UTC.<",
        ">T, per second<",
        ">It is so.<",
        ">minutes since then<",
        ">r01<",
    ] {
        assert!(svg.contains(said), "{said} is not in {svg}");
    }
}

#[test]
fn a_timeline_of_states_has_a_row_for_each_series_however_many() {
    let panel = "{title: T, says: It is so., kind: state-timeline, unit: short, states: {up: 1, down: 0}, \
                 thresholds: {red: 0, green: 1}, queries: [{expr: x, legend: '{{route}}'}]}";
    let mut targets = routes(MOST_SERIES + 2);
    for series in &mut targets {
        series.points = vec![(0.0, Some(1.0)), (300.0, Some(1.0)), (600.0, Some(0.0))];
    }
    targets[0].points = vec![(0.0, Some(7.0)), (300.0, None)];
    let pane = drawn(panel, &[targets.clone()]);
    assert_eq!((pane.panel.curves.len(), pane.notes.len()), (MOST_SERIES + 2, 0));
    assert_eq!(pane.panel.limits.len(), 0);
    let states: Vec<(&str, f64)> = pane
        .states
        .iter()
        .flatten()
        .map(|state| (state.key.name.as_str(), state.value))
        .collect();
    assert_eq!(states, [("down", 0.0), ("up", 1.0)]);
    let slots: BTreeSet<usize> = pane.states.iter().flatten().map(|state| state.key.slot).collect();
    assert_eq!(slots.len(), 2, "their colours differ");

    let svg = svg(&dashboard(panel), &[vec![targets]]).unwrap();
    let count = |said: &str| svg.matches(&format!(">{said}<")).count();
    // Once for each row, and once below them.
    assert_eq!(
        (count("up"), count("down"), count("r09")),
        (MOST_SERIES + 2, MOST_SERIES + 2, 1)
    );
    assert_eq!(count("7"), 1, "what is no state is told by its number");
    // Lines stay lines.
    assert!(drawn(ROUTES, &[routes(2)]).states.is_none());
}
