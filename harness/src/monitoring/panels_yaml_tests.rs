use std::time::Duration;

use proptest::prelude::*;

use super::grafana;
use super::panels::{Kind, parse};
use super::slips::{check_told, slips, with_slips};

const FILE: &str = "\
- uid: booking-overview
  title: Overview
  answers: Does it answer?
  runbook: overview
  panels:
    - title: Requests
      says: Requests answered a second.
      unit: reqps
      no-threshold: it follows from how many come
      queries:
        - {expr: 'sum(rate(asked_total[$__rate_interval]))', legend: all}
    - title: Budget
      says: What is left of it.
      kind: stat
      unit: percentunit
      width: 24
      runbook: error-budget
      thresholds: {red: 0, green: 0.5}
      queries:
        - expr: 'left{instance=~\"$instance\",run=~\"$run\"}'
          legend: left
          empty: nothing has failed yet
- uid: booking-load
  title: Load
  answers: Who comes?
  runbook: load
  runs: true
  panels:
    - {title: Users, says: Users., unit: short, width: 1, no-threshold: x, queries: [{expr: users, legend: all}]}
";

#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert_eq!(FILE.matches(from).count(), 1, "`{from}`");
    FILE.replace(from, to)
}

#[track_caller]
fn check_file(text: &str, expected: &[&str]) {
    let error = parse("d.yaml", text).expect_err("should be refused").to_string();
    assert_eq!(error.lines().collect::<Vec<_>>(), expected);
}

/// Every problem of the file with one text in place of another.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    check_file(&changed(from, to), expected);
}

#[test]
fn what_is_written_is_read() {
    let dashboards = parse("d.yaml", FILE).unwrap();
    let [overview, load] = &dashboards[..] else {
        panic!("{dashboards:?}");
    };
    assert_eq!(
        (overview.uid.as_str(), overview.runs, load.runs),
        ("booking-overview", false, true)
    );
    let [requests, budget] = &overview.panels[..] else {
        panic!("{overview:?}");
    };
    assert_eq!((requests.kind, requests.width), (Kind::Timeseries, 12));
    assert!(requests.runbook == "overview" && requests.thresholds.is_empty() && requests.queries[0].empty.is_none());
    assert_eq!((budget.kind, budget.width), (Kind::Stat, 24));
    assert_eq!(budget.runbook, "error-budget");
    assert_eq!(budget.queries[0].empty.as_deref(), Some("nothing has failed yet"));
    assert_eq!(
        budget.queries[0].resolved(Duration::ZERO),
        r#"left{instance=~".+",run=~".+"}"#
    );
    assert_eq!(
        requests.queries[0].resolved(Duration::ZERO),
        "sum(rate(asked_total[20s]))"
    );
}

#[test]
fn what_is_missing_is_named_with_an_example() {
    for (line, expected) in [
        (
            "  title: Overview\n",
            "d.yaml:1: `[0].title`: this is missing; write `title: \"Booking: overview\"`",
        ),
        (
            "  answers: Does it answer?\n",
            "d.yaml:1: `[0].answers`: this is missing; write `answers: Does the service answer, and in time?`",
        ),
        (
            "      says: What is left of it.\n",
            "d.yaml:12: `[0].panels[1].says`: this is missing; write `says: ",
        ),
        (
            "      unit: reqps\n",
            "d.yaml:6: `[0].panels[0].unit`: this is missing; write `unit: reqps`",
        ),
        (
            "          legend: left\n",
            "d.yaml:20: `[0].panels[1].queries[0].legend`: this is missing; write `legend: ",
        ),
        (
            ", legend: all}\n    - title",
            "d.yaml:11: `[0].panels[0].queries[0].legend`: this is missing; write `legend: ",
        ),
    ] {
        let to = line.strip_prefix(", legend: all").unwrap_or("");
        let error = parse("d.yaml", &changed(line, to)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    check_file(
        "- uid: a\n- {}\n",
        &[
            "d.yaml:1: `[0].title`: this is missing; write `title: \"Booking: overview\"` for instance",
            "d.yaml:1: `[0].answers`: this is missing; write `answers: Does the service answer, and in time?` for instance",
            "d.yaml:1: `[0].runbook`: this is missing; write `runbook: error-budget` for instance",
            "d.yaml:1: `[0].panels`: a dashboard without panels answers nothing; write one",
            "d.yaml:2: `[1].uid`: this is missing; write `uid: booking-overview` for instance",
            "d.yaml:2: `[1].title`: this is missing; write `title: \"Booking: overview\"` for instance",
            "d.yaml:2: `[1].answers`: this is missing; write `answers: Does the service answer, and in time?` for instance",
            "d.yaml:2: `[1].runbook`: this is missing; write `runbook: error-budget` for instance",
            "d.yaml:2: `[1].panels`: a dashboard without panels answers nothing; write one",
        ],
    );
}

#[test]
fn a_value_of_another_kind_is_told_once() {
    for (from, to, expected) in [
        (
            "unit: reqps",
            "unit: [reqps]",
            "d.yaml:8: `[0].panels[0].unit`: invalid type: sequence, expected a string",
        ),
        (
            "width: 24",
            "width: -1",
            "d.yaml:16: `[0].panels[1].width`: invalid value: integer `-1`, expected u32",
        ),
        (
            "width: 24",
            "width: wide",
            "d.yaml:16: `[0].panels[1].width`: invalid type: string \"wide\", expected u32",
        ),
        (
            "runs: true",
            "runs: often",
            "d.yaml:27: `[1].runs`: invalid type: string \"often\", expected a boolean",
        ),
        (
            "kind: stat",
            "kind: state",
            "d.yaml:14: `[0].panels[1].kind`: unknown name `state`; did you mean `stat`?",
        ),
        (
            "{red: 0,",
            "{red: low,",
            "d.yaml:18: `[0].panels[1].thresholds.red`: invalid type: string \"low\", expected f64",
        ),
        (
            "queries: [{expr: users, legend: all}]",
            "queries: 5",
            "d.yaml:29: `[1].panels[0].queries`: invalid type: integer `5`",
        ),
        (
            "      width: 24\n",
            "      wide: 24\n",
            "d.yaml:16: `[0].panels[1].wide`: unknown name `wide`; known here: `title`",
        ),
    ] {
        let error = parse("d.yaml", &changed(from, to)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "the cause once: {error}");
    }
    check_file("panels: 1\n", &["d.yaml:1: invalid type: map, expected a sequence"]);
}

#[test]
fn a_page_has_a_name_of_its_own_that_a_file_can_have() {
    check(
        "uid: booking-load",
        "uid: booking-overview",
        &["d.yaml:23: `[1].uid`: `booking-overview` is another dashboard's already; choose another"],
    );
    let long = "a".repeat(41);
    for uid in ["../../elsewhere", "/etc/a", "a b", "ä", ".", long.as_str()] {
        check(
            "uid: booking-load",
            &format!("uid: '{uid}'"),
            &[&format!(
                "d.yaml:23: `[1].uid`: `{uid}` is not at most 40 letters of a to z, digits, `-` and `_`"
            )],
        );
    }
    parse(
        "d.yaml",
        &changed("uid: booking-load", &format!("uid: {}", "a".repeat(40))),
    )
    .unwrap();
    check(
        "uid: booking-load",
        "uid: runbook-redis",
        &["d.yaml:23: `[1].uid`: pages of runbooks begin with `runbook-`; choose another"],
    );
}

#[test]
fn a_figure_fits_and_shows_something() {
    for width in [0, 25] {
        check(
            "width: 24",
            &format!("width: {width}"),
            &["d.yaml:16: `[0].panels[1].width`: a panel is 1 to 24 columns wide"],
        );
    }
    let error = parse("d.yaml", &changed("unit: reqps", "unit: reqpss"))
        .unwrap_err()
        .to_string();
    let expected =
        "d.yaml:8: `[0].panels[0].unit`: unknown name `reqpss`; did you mean `reqps`? known here: `none`, `short`";
    assert!(error.starts_with(expected), "{error}");
    let error = parse("d.yaml", &changed("{red: 0,", "{rde: 0,"))
        .unwrap_err()
        .to_string();
    let expected = "d.yaml:18: `[0].panels[1].thresholds.rde`: unknown name `rde`; did you mean `red`?";
    assert!(error.starts_with(expected), "{error}");
    for threshold in [".nan", ".inf", "-.inf"] {
        check(
            "{red: 0,",
            &format!("{{red: {threshold},"),
            &[
                "d.yaml:18: `[0].panels[1].thresholds.red`: a colour stands from a number on; write `red: 0.5` for instance",
            ],
        );
    }
    check(
        "      no-threshold: it follows from how many come\n",
        "",
        &[
            "d.yaml:6: `[0].panels[0].thresholds`: there is none; write one, as in `thresholds: {orange: 0.1, red: 1}`, or in \
           `no-threshold` why there is none",
        ],
    );
    check(
        "no-threshold: it",
        "thresholds: {red: 1}\n      no-threshold: it",
        &["d.yaml:10: `[0].panels[0].no-threshold`: there are thresholds; take one of the two away"],
    );
    check(
        "queries: [{expr: users, legend: all}]",
        "queries: []",
        &["d.yaml:29: `[1].panels[0].queries`: a panel without queries shows nothing; write one"],
    );
    check(
        "{expr: users, legend: all}",
        "{expr: ' ', legend: all, empty: ''}",
        &[
            "d.yaml:29: `[1].panels[0].queries[0].expr`: this is empty; write `expr: \
             sum(rate(requests_total[$__rate_interval]))` for instance",
            "d.yaml:29: `[1].panels[0].queries[0].empty`: this is empty; write `empty: nothing has failed yet` for instance",
        ],
    );
    let query = "{expr: users, legend: all}";
    parse("d.yaml", &changed(query, &[query; 26].join(", "))).unwrap();
    check(
        query,
        &[query; 27].join(", "),
        &["d.yaml:29: `[1].panels[0].queries`: a panel has at most 26 queries; make two of it"],
    );
    check_file(
        "[]",
        &["d.yaml:1: there is no dashboard, so nobody would see anything; write one"],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// It is refused with its place, each thing once, or the file is one that pages can be made of.
    #[test]
    fn no_slip_of_the_hand_is_a_panic(slips in slips()) {
        match parse("d.yaml", &with_slips(FILE, &slips)) {
            Ok(dashboards) => {
                for dashboard in &dashboards {
                    let page = grafana::dashboard(dashboard);
                    prop_assert!(page["panels"].as_array().is_some_and(|panels| !panels.is_empty()));
                }
            }
            Err(error) => check_told("d.yaml", &error),
        }
    }
}

#[test]
fn states_have_a_name_and_a_value_each_and_one_kind_shows_them() {
    let states = |states: &str| {
        changed(
            "kind: stat\n",
            &format!("kind: state-timeline\n      states: {states}\n"),
        )
    };
    let read = parse("d.yaml", &states("{gone: 0, there: 1}")).unwrap();
    let panel = &read[0].panels[1];
    assert_eq!(panel.kind, Kind::StateTimeline);
    assert_eq!(
        panel
            .states
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect::<Vec<_>>(),
        [("gone", 0.0), ("there", 1.0)]
    );

    check(
        "kind: stat\n",
        "kind: state-timeline\n",
        &[
            "d.yaml:12: `[0].panels[1].states`: a `state-timeline` shows states by name; write `states: {down: 0, up: 1}` for \
           instance",
        ],
    );
    check(
        "kind: stat\n",
        "states: {down: 0}\n",
        &[
            "d.yaml:14: `[0].panels[1].states`: no other kind than `state-timeline` shows them; take them away, or write that kind",
        ],
    );
    check_file(
        &states("{down: 0, gone: 0}"),
        &["d.yaml:15: `[0].panels[1].states.gone`: 0 is another state already; choose another"],
    );
    check_file(
        &states("{down: .nan}"),
        &["d.yaml:15: `[0].panels[1].states.down`: a state is a number; write `down: 1` for instance"],
    );
    let many: Vec<String> = (0..9).map(|n| format!("s{n}: {n}")).collect();
    check_file(
        &states(&format!("{{{}}}", many.join(", "))),
        &["d.yaml:15: `[0].panels[1].states`: at most 8 can be told apart; make fewer of them"],
    );
}
