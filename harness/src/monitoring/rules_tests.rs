use std::time::Duration;

use serde_yaml::Value;

use super::objectives::Promises;
use super::rules::{BURNS, can_be_told, number, of, prometheus};

const HOUR: Duration = Duration::from_secs(3600);

/// An objective of each kind, and an alert.
const FILE: &str = "\
period: 30d
runbooks: http://h/d/runbook-
objectives:
  - name: availability
    says: Requests are answered.
    goal: 99.9%
    requests: asked_total{route!=\"/health\"}
    failed: asked_total{status=\"500\"}
    at-least: 30/min
    alert: AvailabilityBudgetBurn
    runbook: error-budget
    example: {good: 'asked_total{status=\"200\"}', bad: 'asked_total{status=\"500\"}'}
  - name: latency
    says: Answers come in time.
    goal: 95%
    times: took_seconds{route=\"/seats\"}
    within: 250ms
    at-least: 2/s
    alert: LatencyBudgetBurn
    runbook: late
    example: {times: took_seconds}
alerts:
  - name: Lag
    severity: ticket
    says: \"{topic} is {value} behind\"
    unit: seconds
    when: >-
      max by (topic) (lag_seconds) > 30
    lasts: 90s
    runbook: lag
    fires: {series: {'lag_seconds{topic=\"a\"}': 60x10}, at: 2m, labels: {topic: a}, value: 1m 0s}
    silent: {series: {'lag_seconds{topic=\"a\"}': 5x10}, at: 2m}
";

fn promises(text: &str) -> Promises {
    Promises::parse("o.yaml", text).unwrap()
}

fn rules(text: &str) -> Value {
    serde_yaml::to_value(of(&promises(text))).unwrap()
}

/// Those of a group that `is_wanted`.
fn all(rules: &Value, group: &str, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let groups = rules["groups"].as_sequence().unwrap();
    let group = groups.iter().find(|one| one["name"] == group).unwrap();
    let rules = group["rules"].as_sequence().unwrap();
    rules.iter().filter(|rule| is_wanted(rule)).cloned().collect()
}

/// What a rule records of one objective.
#[track_caller]
fn recorded(rules: &Value, group: &str, record: &str, objective: &str) -> String {
    let found = all(rules, group, |rule| {
        rule["record"] == record && rule["labels"]["objective"] == objective
    });
    assert_eq!(found.len(), 1, "{record} of {objective}");
    found[0]["expr"].as_str().unwrap().to_owned()
}

/// The SRE Workbook's table 5-8, for 30 days: a factor of 14.4 over an hour, of 6 over six, of 1 over three days; each with
/// a twelfth of its window beside it.
#[test]
fn thirty_days_give_the_factors_and_windows_of_the_workbook() {
    let month = HOUR * 24 * 30;
    let table = BURNS.map(|burn| {
        (
            number(burn.factor(month)),
            prometheus(burn.long),
            prometheus(burn.short),
        )
    });
    let table = table
        .each_ref()
        .map(|(factor, long, short)| (factor.as_str(), long.as_str(), short.as_str()));
    assert_eq!(table, [("14.4", "1h", "5m"), ("6", "6h", "30m"), ("1", "3d", "6h")]);
    // A total failure of 99.9 % pages after 51.84 s: the share of the hour that the limit stands for.
    assert_eq!(number(BURNS[0].factor(month) * 0.001 * 3600.0), "51.84");
    // Of four weeks: 2 % of 672 h in an hour, 5 % in six, 10 % in 72.
    let four_weeks = BURNS.map(|burn| number(burn.factor(HOUR * 24 * 28)));
    assert_eq!(four_weeks, ["13.44", "5.6", "0.933333333"]);
}

#[test]
fn alerts_compare_both_windows_with_factor_times_budget() {
    let rules = rules(FILE);
    let alerts = all(&rules, "budgets", |rule| rule["alert"] == "AvailabilityBudgetBurn");
    // Factors times a budget of 0.001.
    for (rule, (long, short, limit, factor, severity)) in alerts.iter().zip([
        ("1h", "5m", "0.0144", "14.4", "page"),
        ("6h", "30m", "0.006", "6", "page"),
        ("3d", "6h", "0.001", "1", "ticket"),
    ]) {
        let of = r#"{objective="availability"}"#;
        assert_eq!(
            rule["expr"],
            format!(
                "objective:failed:ratio_rate{long}{of} > {limit} and objective:failed:ratio_rate{short}{of} > {limit} and \
                 objective:requests:rate{short}{of} >= 0.5"
            )
        );
        let labels = [
            &rule["labels"]["severity"],
            &rule["labels"]["window"],
            &rule["labels"]["objective"],
        ];
        assert_eq!(labels, [severity, long, "availability"]);
        assert_eq!(
            rule["annotations"]["summary"],
            format!("availability fails {factor} times as often as its budget of 0.1 % allows, over {long}")
        );
        assert_eq!(rule["annotations"]["description"], "Requests are answered.");
        assert_eq!(rule["annotations"]["runbook_url"], "http://h/d/runbook-error-budget");
        assert!(rule["for"].is_null());
    }
    assert_eq!(alerts.len(), 3);
    // Of a budget of 0.05: 0.72, 0.3 and 0.05.
    let alerts = all(&rules, "budgets", |rule| rule["alert"] == "LatencyBudgetBurn");
    let limits = [
        "1h{objective=\"latency\"} > 0.72 ",
        "6h{objective=\"latency\"} > 0.3 ",
        "3d{objective=\"latency\"} > 0.05 ",
    ];
    for (rule, limit) in alerts.iter().zip(limits) {
        assert!(rule["expr"].as_str().unwrap().contains(limit), "{rule:?}");
    }
    assert_eq!(alerts.len(), 3);
}

#[test]
fn what_an_alert_compares_is_recorded_before_it() {
    let rules = rules(FILE);
    let groups = rules["groups"].as_sequence().unwrap();
    let names: Vec<_> = groups.iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["objectives", "objectives-slow", "budgets", "budgets-left", "alerts"]
    );
    let fast = ["5m", "30m", "1h"].map(|window| ("objectives", window));
    let slow = ["6h", "3d"].map(|window| ("objectives-slow", window));
    for (group, window) in fast.into_iter().chain(slow) {
        let expr = |what: &str, of: &str| recorded(&rules, group, &format!("objective:{what}{window}"), of);
        let asked = format!(r#"sum(rate(asked_total{{route!="/health"}}[{window}]))"#);
        assert_eq!(expr("requests:rate", "availability"), asked);
        assert_eq!(
            expr("failed:rate", "availability"),
            format!(r#"sum(rate(asked_total{{status="500"}}[{window}])) or {asked} * 0"#)
        );
        let of = r#"{objective="availability"}"#;
        assert_eq!(
            expr("failed:ratio_rate", "availability"),
            format!("objective:failed:rate{window}{of} / (objective:requests:rate{window}{of} > 0)")
        );
        let took = format!(r#"sum(rate(took_seconds_count{{route="/seats"}}[{window}]))"#);
        assert_eq!(expr("requests:rate", "latency"), took);
        assert_eq!(
            expr("failed:rate", "latency"),
            format!(r#"{took} - sum(rate(took_seconds_bucket{{route="/seats",le="0.25"}}[{window}]))"#)
        );
    }
    assert_eq!(of(&promises(FILE)).recorded().count(), 2 * (3 * 5 + 2));
}

#[test]
fn a_budget_is_left_of_the_whole_period() {
    let rules = rules(FILE);
    let of = r#"{objective="availability"}"#;
    assert_eq!(
        recorded(&rules, "budgets", "objective:goal:ratio", "availability"),
        "vector(0.999)"
    );
    assert_eq!(
        recorded(&rules, "budgets-left", "objective:budget_left:ratio", "availability"),
        format!(
            "1 - sum_over_time(objective:failed:rate5m{of}[30d]) / (sum_over_time(objective:requests:rate5m{of}[30d]) > 0) / \
             0.001"
        )
    );
    assert_eq!(
        recorded(&rules, "budgets", "objective:goal:ratio", "latency"),
        "vector(0.95)"
    );
    let left = recorded(&rules, "budgets-left", "objective:budget_left:ratio", "latency");
    assert!(left.ends_with(" / 0.05"), "{left}");
}

#[test]
fn an_alert_of_its_own_says_and_lasts_what_it_should() {
    let rules = rules(FILE);
    let alerts = all(&rules, "alerts", |_| true);
    let [lag] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!(lag["alert"], "Lag");
    assert_eq!(lag["expr"], "max by (topic) (lag_seconds) > 30");
    assert_eq!(lag["for"], "1m30s");
    assert_eq!(
        lag["labels"],
        serde_yaml::from_str::<Value>("severity: ticket").unwrap()
    );
    assert_eq!(
        lag["annotations"]["summary"],
        "{{ $labels.topic }} is {{ $value | humanizeDuration }} behind"
    );
    assert_eq!(lag["annotations"]["runbook_url"], "http://h/d/runbook-lag");
    let at_once = self::rules(&FILE.replace("    lasts: 90s\n", ""));
    assert!(all(&at_once, "alerts", |_| true)[0]["for"].is_null());
}

/// No share of failures is above 1, so that a rule with such a limit would never fire.
#[test]
fn a_rule_that_nothing_could_make_fire_is_not_written() {
    let of = |goal: &str| {
        let rules = rules(&FILE.replace("95%", goal));
        let alerts = all(&rules, "budgets", |rule| rule["alert"] == "LatencyBudgetBurn");
        let windows = alerts
            .iter()
            .map(|rule| rule["labels"]["window"].as_str().unwrap().to_owned());
        windows.collect::<Vec<_>>()
    };
    // 14.4 × 0.06 is less than 1, and 14.4 × 0.07 more; 6 × 0.2 is more too.
    assert_eq!(of("94%"), ["1h", "6h", "3d"]);
    assert_eq!(of("93%"), ["6h", "3d"]);
    assert_eq!(of("80%"), ["3d"]);
    let mut objective = promises(FILE).objectives.remove(0);
    let month = HOUR * 24 * 30;
    objective.budget = 0.99;
    assert!(can_be_told(&objective, month));
    assert!(!can_be_told(&objective, month * 2));
}

#[test]
fn lengths_are_written_as_prometheus_reads_them() {
    for (seconds, text) in [
        (0.0, "0s"),
        (0.25, "250ms"),
        (1.5, "1s500ms"),
        (90.0, "1m30s"),
        (3600.0, "1h"),
        (90_061.0, "1d1h1m1s"),
        (259_200.0, "3d"),
    ] {
        assert_eq!(prometheus(Duration::from_secs_f64(seconds)), text);
    }
}

#[test]
fn numbers_are_written_without_what_binary_fractions_add() {
    for (value, text) in [
        (14.4 * (1.0 - 99.9 / 100.0), "0.0144"),
        (1.0 - 99.9999 / 100.0, "0.000001"),
        (0.1 + 0.2, "0.3"),
        (0.0, "0"),
        (100.0, "100"),
        (15_000.0, "15000"),
    ] {
        assert_eq!(number(value), text);
    }
}
