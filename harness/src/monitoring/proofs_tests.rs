use serde_yaml::Value;

use super::objectives::Promises;
use super::proofs::of;

const FILE: &str = "\
period: 30d
runbooks: http://h/d/runbook-
objectives:
  - name: availability
    says: Requests are answered.
    goal: 99.9%
    requests: asked_total
    failed: asked_total{status=\"500\"}
    at-least: 1/s
    alert: AvailabilityBudgetBurn
    runbook: error-budget
    example: {good: 'asked_total{status=\"200\"}', bad: 'asked_total{status=\"500\"}'}
alerts:
  - name: Lag
    severity: ticket
    says: \"{topic} is {value} behind\"
    when: lag_seconds > 30
    runbook: lag
    fires: {series: {'lag_seconds{topic=\"a\"}': 60x10}, at: 2m, labels: {topic: a}, value: 1m 0s}
    silent: {series: {'lag_seconds{topic=\"a\"}': 5x10}, at: 3m}
";

fn tests(text: &str) -> Vec<Value> {
    let proofs = serde_yaml::to_value(of(&Promises::parse("o.yaml", text).unwrap())).unwrap();
    assert_eq!(proofs["rule_files"][0], "../rules/booking.yml");
    proofs["tests"].as_sequence().unwrap().clone()
}

#[track_caller]
fn named<'a>(tests: &'a [Value], name: &str) -> &'a Value {
    let found = tests.iter().find(|test| test["name"] == name);
    found.unwrap_or_else(|| {
        let names: Vec<_> = tests.iter().map(|test| &test["name"]).collect();
        panic!("no test {name}: {names:?}")
    })
}

/// The windows whose alerts are expected, at each time that is looked at.
fn windows(test: &Value) -> Vec<(String, Vec<String>)> {
    let looks = test["alert_rule_test"].as_sequence().unwrap().iter();
    looks
        .map(|look| {
            let fired = look["exp_alerts"].as_sequence().unwrap().iter();
            let windows = fired.map(|one| one["exp_labels"]["window"].as_str().unwrap().to_owned());
            (look["eval_time"].as_str().unwrap().to_owned(), windows.collect())
        })
        .collect()
}

#[track_caller]
fn check_windows(test: &Value, expected: &[(&str, &[&str])]) {
    let windows = windows(test);
    let windows: Vec<(&str, Vec<&str>)> = windows
        .iter()
        .map(|(at, windows)| (at.as_str(), windows.iter().map(String::as_str).collect()))
        .collect();
    let expected: Vec<(&str, Vec<&str>)> = expected.iter().map(|(at, windows)| (*at, windows.to_vec())).collect();
    assert_eq!(windows, expected);
}

fn values(test: &Value) -> Vec<(&str, &str)> {
    let series = test["input_series"].as_sequence().unwrap().iter();
    series
        .map(|one| (one["series"].as_str().unwrap(), one["values"].as_str().unwrap()))
        .collect()
}

/// A tenth above and below 1.44, 0.6 and 0.1 %.
#[test]
fn each_limit_is_tried_from_both_sides() {
    let tests = tests(FILE);
    for (share, fired) in [
        ("1.584", &["1h", "6h", "3d"][..]),
        ("1.296", &["6h", "3d"]),
        ("0.66", &["6h", "3d"]),
        ("0.54", &["3d"]),
        ("0.11", &["3d"]),
        ("0.09", &[]),
    ] {
        let test = named(&tests, &format!("AvailabilityBudgetBurn while {share} % fail"));
        check_windows(test, &[("20m", fired)]);
    }
    // Of 15,000 requests each step, 0.66 % are 99; a first and 79 further steps of 15 s are 20 minutes.
    assert_eq!(
        values(named(&tests, "AvailabilityBudgetBurn while 0.66 % fail")),
        [
            (r#"asked_total{status="200"}"#, "0 14901+14901x79"),
            (r#"asked_total{status="500"}"#, "0 99+99x79"),
        ]
    );
    assert_eq!(tests.len(), 6 + 2 + 2);
}

/// 1.44 % of an hour are 51.84 s: after 45 s it is silent, and after 60 it pages. The slower ones look back over the same
/// hour, and so have come by then.
#[test]
fn an_outage_after_an_hour_of_calm_pages_when_it_has_lasted_for_the_limits_share_of_the_hour() {
    let tests = tests(FILE);
    let outage = named(&tests, "AvailabilityBudgetBurn comes 51.84 s after everything fails");
    check_windows(outage, &[("1h45s", &["6h", "3d"]), ("1h1m", &["1h", "6h", "3d"])]);
    assert_eq!(
        values(outage),
        [
            (r#"asked_total{status="200"}"#, "0 15000+15000x239 3600000+0x4"),
            (r#"asked_total{status="500"}"#, "0 0+0x239 15000+15000x4"),
        ]
    );
}

#[test]
fn too_few_requests_are_a_tenth_less_than_enough_and_enough_is_as_much_as_is_asked_for() {
    let quiet = "AvailabilityBudgetBurn is silent while there are few requests";
    let tests_of = |at_least: &str| tests(&FILE.replace("at-least: 1/s", at_least));
    let few = tests_of("at-least: 1/s");
    // 13.5 in 15 s are 0.9 a second.
    assert_eq!(values(named(&few, quiet))[1].1, "0 13.5+13.5x79");
    check_windows(named(&few, quiet), &[("20m", &[])]);
    let many = tests_of("at-least: 2000/s");
    assert_eq!(values(named(&many, quiet))[1].1, "0 27000+27000x79");
    // 4,000 a second, of which 0.66 % fail.
    let fails = named(&many, "AvailabilityBudgetBurn while 0.66 % fail");
    assert_eq!(values(fails)[1].1, "0 396+396x79");
    let outage = named(&many, "AvailabilityBudgetBurn comes 51.84 s after everything fails");
    assert_eq!(values(outage)[1].1, "0 0+0x239 60000+60000x4");
}

/// Of a budget of 20 % the limits are 288, 120 and 20 %.
#[test]
fn what_no_share_of_failures_exceeds_is_not_tried() {
    let tests = tests(&FILE.replace("99.9%", "80%"));
    let names: Vec<_> = tests.iter().map(|test| test["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "AvailabilityBudgetBurn while 22 % fail",
            "AvailabilityBudgetBurn while 18 % fail",
            "AvailabilityBudgetBurn is silent while there are few requests",
            "Lag fires",
            "Lag is silent",
        ]
    );
    check_windows(&tests[0], &[("20m", &["3d"])]);
    check_windows(&tests[1], &[("20m", &[])]);
}

#[test]
fn times_are_counted_by_a_histogram() {
    let failures = FILE
        .split_once("    requests")
        .unwrap()
        .1
        .split_once("    at-least")
        .unwrap()
        .0;
    let times = FILE
        .replace(
            &format!("    requests{failures}"),
            "    times: took_seconds\n    within: 1s\n",
        )
        .replace(
            "{good: 'asked_total{status=\"200\"}', bad: 'asked_total{status=\"500\"}'}",
            "{times: 'took_seconds{route=\"/seats\"}'}",
        );
    let tests = tests(&times);
    assert_eq!(
        values(named(&tests, "AvailabilityBudgetBurn while 0.66 % fail")),
        [
            (r#"took_seconds_count{route="/seats"}"#, "0 15000+15000x79"),
            (r#"took_seconds_bucket{route="/seats",le="1"}"#, "0 14901+14901x79"),
        ]
    );
}

#[test]
fn an_alert_of_its_own_fires_with_its_labels_and_its_sentence_and_is_silent() {
    let tests = tests(FILE);
    let fires = named(&tests, "Lag fires");
    assert_eq!(values(fires), [(r#"lag_seconds{topic="a"}"#, "60x10")]);
    let expected = "\
eval_time: 2m
alertname: Lag
exp_alerts:
- exp_labels: {severity: ticket, topic: a}
  exp_annotations: {summary: a is 1m 0s behind, runbook_url: 'http://h/d/runbook-lag'}
";
    assert_eq!(
        fires["alert_rule_test"][0],
        serde_yaml::from_str::<Value>(expected).unwrap()
    );
    let silent = named(&tests, "Lag is silent");
    assert_eq!(values(silent), [(r#"lag_seconds{topic="a"}"#, "5x10")]);
    check_windows(silent, &[("3m", &[])]);
}
