use std::time::Duration;

use proptest::prelude::*;

use super::objectives::{Counts, Promises, Severity, Unit};
use super::slips::{check_told, slips, with_slips};
use super::{proofs, rules};

const FILE: &str = "\
period: 30d
runbooks: http://127.0.0.1:3000/d/runbook-
objectives:
  - name: availability
    says: Requests are answered.
    goal: 99.9%
    requests: asked_total
    failed: asked_total{status=~\"5..\"}
    at-least: 1/s
    alert: AvailabilityBudgetBurn
    runbook: error-budget
    example: {good: 'asked_total{status=\"200\"}', bad: 'asked_total{status=\"500\"}'}
  - name: latency
    says: Answers come in time.
    goal: 99%
    times: took_seconds{status!=\"500\"}
    within: 250ms
    at-least: 30/min
    alert: LatencyBudgetBurn
    runbook: latency
    example: {times: took_seconds}
alerts:
  - name: DeadLetters
    severity: ticket
    says: \"{value} messages were given up: {cause}\"
    unit: seconds
    when: sum by (cause) (dead_letters) > 0
    lasts: 1m
    runbook: dead-letters
    fires:
      series: {'dead_letters{cause=\"handler\"}': '0 1x10'}
      at: 2m
      labels: {cause: handler}
      value: \"1\"
    silent:
      series: {dead_letters: '0x10'}
      at: 3m
";

/// [`FILE`] with each first text, which is there once, in place of the second.
#[track_caller]
fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(FILE.to_owned(), |file, (from, to)| {
        assert_eq!(file.matches(from).count(), 1, "`{from}`");
        file.replace(from, to)
    })
}

#[track_caller]
fn check_file(text: &str, expected: &[&str]) {
    let error = Promises::parse("o.yaml", text)
        .expect_err("should be refused")
        .to_string();
    assert_eq!(error.lines().collect::<Vec<_>>(), expected);
}

/// Every problem of the file with one text in place of another.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    check_file(&changed(&[(from, to)]), expected);
}

#[test]
fn what_is_written_is_read() {
    let promises = Promises::parse("o.yaml", FILE).unwrap();
    assert_eq!(promises.period, Duration::from_secs(30 * 24 * 3600));
    assert_eq!(promises.runbooks, "http://127.0.0.1:3000/d/runbook-");
    let [availability, latency] = &promises.objectives[..] else {
        panic!("{promises:?}");
    };
    assert_eq!(availability.name, "availability");
    assert!((availability.budget - 0.001).abs() < 1e-12, "{availability:?}");
    assert!(
        matches!(&availability.counts, Counts::Failures { bad, .. } if bad.to_string() == "asked_total{status=\"500\"}")
    );
    assert_eq!(latency.at_least.0, 0.5);
    assert!(matches!(&latency.counts, Counts::Times { within, .. } if *within == Duration::from_millis(250)));
    let [alert] = &promises.alerts[..] else {
        panic!("{promises:?}");
    };
    assert_eq!((alert.severity, alert.unit), (Severity::Ticket, Unit::Seconds));
    assert_eq!(alert.lasts, Duration::from_secs(60));
    assert_eq!(
        (alert.fires.at, alert.silent.at),
        (Duration::from_secs(120), Duration::from_secs(180))
    );
    // What may be left out.
    let short = changed(&[("    unit: seconds\n", ""), ("    lasts: 1m\n", "")]);
    let alert = &Promises::parse("o.yaml", &short).unwrap().alerts[0];
    assert_eq!((alert.unit, alert.lasts), (Unit::Number, Duration::ZERO));
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_is_near() {
    let of_objectives =
        "`name`, `says`, `goal`, `requests`, `failed`, `times`, `within`, `at-least`, `alert`, `runbook`, `example`";
    check(
        "period: 30d",
        "period: 30d\nalarms: []",
        &[
            "o.yaml:2: `alarms`: unknown name `alarms`; did you mean `alerts`? known here: `period`, `runbooks`, `objectives`, `alerts`",
        ],
    );
    check(
        "    says: Requests are answered.\n",
        "    says: Requests are answered.\n    says-who: me\n",
        &[&format!(
            "o.yaml:6: `objectives[0].says-who`: unknown name `says-who`; known here: {of_objectives}"
        )],
    );
    check(
        "    lasts: 1m\n",
        "    lasts: 1m\n    for: 1m\n",
        &[
            "o.yaml:29: `alerts[0].for`: unknown name `for`; known here: `name`, `severity`, `says`, `unit`, `when`, `lasts`, \
           `runbook`, `fires`, `silent`",
        ],
    );
    check(
        "      at: 3m\n",
        "      at: 3m\n      valeu: 1\n",
        &[
            "o.yaml:38: `alerts[0].silent.valeu`: unknown name `valeu`; did you mean `value`? known here: `series`, `at`, \
           `labels`, `value`",
        ],
    );
}

#[test]
fn a_choice_that_there_is_not_is_named_with_those_that_there_are() {
    check(
        "severity: ticket",
        "severity: pager",
        &["o.yaml:24: `alerts[0].severity`: unknown name `pager`; did you mean `page`? known here: `page`, `ticket`"],
    );
    check(
        "unit: seconds",
        "unit: ms",
        &["o.yaml:26: `alerts[0].unit`: unknown name `ms`; known here: `number`, `seconds`, `ratio`"],
    );
}

/// Each key that must be there, and its line when it is not: that of what it belongs to.
#[test]
fn what_is_missing_is_named_with_an_example() {
    for (line, key, at) in [
        ("period: 30d\n", "period: 30d", "o.yaml:1: `period`"),
        (
            "runbooks: http://127.0.0.1:3000/d/runbook-\n",
            "runbooks: https://example.org/runbooks/",
            "o.yaml:1: `runbooks`",
        ),
        (
            "    says: Requests are answered.\n",
            "says: Requests are answered.",
            "o.yaml:4: `objectives[0].says`",
        ),
        ("    goal: 99.9%\n", "goal: 99.9%", "o.yaml:4: `objectives[0].goal`"),
        (
            "    requests: asked_total\n",
            "requests: requests_total{status=\"500\"}",
            "o.yaml:4: `objectives[0].requests`",
        ),
        (
            "    failed: asked_total{status=~\"5..\"}\n",
            "failed: requests_total{status=\"500\"}",
            "o.yaml:4: `objectives[0].failed`",
        ),
        (
            "    at-least: 1/s\n",
            "at-least: 1/s",
            "o.yaml:4: `objectives[0].at-least`",
        ),
        (
            "    alert: AvailabilityBudgetBurn\n",
            "alert: AvailabilityBudgetBurn",
            "o.yaml:4: `objectives[0].alert`",
        ),
        (
            "    runbook: error-budget\n",
            "runbook: error-budget",
            "o.yaml:4: `objectives[0].runbook`",
        ),
        (
            "    times: took_seconds{status!=\"500\"}\n",
            "times: requests_total{status=\"500\"}",
            "o.yaml:13: `objectives[1].times`",
        ),
        (
            "    within: 250ms\n",
            "within: 250ms",
            "o.yaml:13: `objectives[1].within`",
        ),
        (
            "    example: {times: took_seconds}\n",
            "times: requests_total{status=\"500\"}",
            "o.yaml:13: `objectives[1].example.times`",
        ),
        (
            "    severity: ticket\n",
            "severity: ticket",
            "o.yaml:23: `alerts[0].severity`",
        ),
        (
            "    says: \"{value} messages were given up: {cause}\"\n",
            "says: {value} messages were given up",
            "o.yaml:23: `alerts[0].says`",
        ),
        (
            "    when: sum by (cause) (dead_letters) > 0\n",
            "when: sum(dead_letters) > 0",
            "o.yaml:23: `alerts[0].when`",
        ),
        (
            "    runbook: dead-letters\n",
            "runbook: dead-letters",
            "o.yaml:23: `alerts[0].runbook`",
        ),
        ("      at: 2m\n", "at: 2m", "o.yaml:30: `alerts[0].fires.at`"),
        (
            "      series: {dead_letters: '0x10'}\n",
            "series: {'dead_letters{cause=\"handler\"}': '0 1x10'}",
            "o.yaml:35: `alerts[0].silent.series`",
        ),
        (
            "    silent:\n      series: {dead_letters: '0x10'}\n      at: 3m\n",
            "silent: {series: {dead_letters: '0x10'}, at: 2m}",
            "o.yaml:23: `alerts[0].silent`",
        ),
    ] {
        check(
            line,
            "",
            &[&format!("{at}: this is missing; write `{key}` for instance")],
        );
    }
    // An alert that nothing shows to fire.
    let fires = FILE
        .split_once("    fires:\n")
        .unwrap()
        .1
        .split_once("    silent:")
        .unwrap()
        .0;
    check(
        &format!("    fires:\n{fires}"),
        "",
        &[
            "o.yaml:23: `alerts[0].fires`: this is missing; write `fires: {series: {dead_letters: '0 1x10'}, at: 2m}` for instance",
        ],
    );
}

#[test]
fn what_is_empty_is_no_text() {
    for (from, to, expected) in [
        (
            "name: latency",
            "name: ''",
            "13: `objectives[1].name`: this is empty; write `name: availability`",
        ),
        (
            "alert: LatencyBudgetBurn",
            "alert: ' '",
            "19: `objectives[1].alert`: this is empty; write `alert: ",
        ),
        (
            "name: DeadLetters",
            "name: ''",
            "23: `alerts[0].name`: this is empty; write `name: DeadLetters`",
        ),
        (
            "when: sum by (cause) (dead_letters) > 0",
            "when: ''",
            "27: `alerts[0].when`: this is empty; write `when: sum(dead_letters) > 0`",
        ),
    ] {
        let error = Promises::parse("o.yaml", &changed(&[(from, to)]))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(&format!("o.yaml:{expected}")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_value_of_another_kind_is_told_with_the_form_that_is_expected() {
    for (from, to, expected) in [
        (
            "period: 30d",
            "period: a month",
            "1: `period`: `a month` is not a length of time such as `20s`",
        ),
        (
            "within: 250ms",
            "within: 250",
            "17: `objectives[1].within`: `250` has no unit; write `250s`",
        ),
        (
            "lasts: 1m",
            "lasts: 1 fortnight",
            "28: `alerts[0].lasts`: `1 fortnight` is not a length of time",
        ),
        (
            "at: 2m",
            "at: [2m]",
            "32: `alerts[0].fires.at`: invalid type: sequence, expected a length of time",
        ),
        (
            "at-least: 1/s",
            "at-least: 1",
            "9: `objectives[0].at-least`: `1` has no unit; write `1/s`",
        ),
        (
            "at-least: 1/s",
            "at-least: -1/s",
            "9: `objectives[0].at-least`: `-1/s` is not a rate such as",
        ),
        (
            "goal: 99%",
            "goal: 0.99",
            "15: `objectives[1].goal`: `0.99` has no unit; write `0.99%`",
        ),
        (
            "goal: 99%",
            "goal: 101%",
            "15: `objectives[1].goal`: `101%` is not a share such as `70%`",
        ),
        (
            "goal: 99%",
            "goal: -1%",
            "15: `objectives[1].goal`: `-1%` is not a share such as `70%`",
        ),
        (
            "goal: 99%",
            "goal: NaN%",
            "15: `objectives[1].goal`: `NaN%` is not a share such as `70%`",
        ),
        (
            "name: latency",
            "name: 5",
            "13: `objectives[1].name`: invalid type: integer `5`, expected a string",
        ),
        (
            "cause: handler}",
            "cause: 5}",
            "33: `alerts[0].fires.labels.cause`: YAML takes this for the number 5; write it in quotes",
        ),
        (
            "value: \"1\"",
            "value: 1",
            "34: `alerts[0].fires.value`: YAML takes this for the number 1; write it in quotes",
        ),
        (
            "{dead_letters: '0x10'}",
            "{dead_letters: 0x10}",
            "36: `alerts[0].silent.series.dead_letters`: YAML takes this for the number 16; write it in quotes, as in `'0x10'`",
        ),
        (
            "    times: took",
            "    times: [took]\n    # took",
            "16: `objectives[1].times`: invalid type: sequence",
        ),
        (
            "example: {times: took_seconds}",
            "example: took_seconds",
            "21: `objectives[1].example`: invalid type: string",
        ),
    ] {
        let error = Promises::parse("o.yaml", &changed(&[(from, to)]))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(&format!("o.yaml:{expected}")), "{error}");
        assert_eq!(error.lines().count(), 1, "the cause once: {error}");
    }
    // Of a list, nothing more is said.
    let of_objectives = FILE
        .split_once("objectives:\n")
        .unwrap()
        .1
        .split_once("alerts:")
        .unwrap()
        .0;
    let of_alerts = FILE.split_once("alerts:\n").unwrap().1;
    let file = changed(&[(of_objectives, "  - 5\n"), (&format!("alerts:\n{of_alerts}"), "")]);
    check_file(
        &file,
        &["o.yaml:4: `objectives[0]`: invalid type: integer `5`, expected struct RawObjective"],
    );
}

#[test]
fn a_goal_leaves_a_budget_that_can_be_spent_and_noticed() {
    let nothing = "a goal of nothing is never missed, and one of all leaves no budget; write `99.9%` for instance";
    check(
        "goal: 99.9%",
        "goal: 0%",
        &[&format!("o.yaml:6: `objectives[0].goal`: {nothing}")],
    );
    check(
        "goal: 99.9%",
        "goal: 100%",
        &[&format!("o.yaml:6: `objectives[0].goal`: {nothing}")],
    );
    check(
        "goal: 99.9%",
        "goal: 99.99999%",
        &["o.yaml:6: `objectives[0].goal`: it leaves less than one failure in a million; write `99.9999%` or less"],
    );
    Promises::parse("o.yaml", &changed(&[("goal: 99.9%", "goal: 99.9999%")])).unwrap();
    // Over 30 days the slowest rule asks for a share of failures above the budget itself, which can be almost all; over 60
    // for twice that.
    Promises::parse("o.yaml", &changed(&[("goal: 99.9%", "goal: 40%")])).unwrap();
    check_file(
        &changed(&[("goal: 99.9%", "goal: 40%"), ("period: 30d", "period: 60d")]),
        &[
            "o.yaml:6: `objectives[0].goal`: so much may fail that nobody would be told if everything did; write more, or a \
           shorter `period`",
        ],
    );
}

#[test]
fn a_period_is_as_long_as_the_rules_are_for() {
    let wrong =
        "o.yaml:1: `period`: it must be from `28d` to `1y`: over less, a ticket would come for what the goal allows";
    for period in ["0s", "7d", "27d 23h", "2y", "500000000y"] {
        check("period: 30d", &format!("period: {period}"), &[wrong]);
    }
    for period in ["28d", "4w", "1y"] {
        Promises::parse("o.yaml", &changed(&[("period: 30d", &format!("period: {period}"))])).unwrap();
    }
}

#[test]
fn a_name_is_given_once_and_fits_into_a_query() {
    check(
        "name: latency",
        "name: availability",
        &["o.yaml:13: `objectives[1].name`: `availability` is the name of something else already; choose another"],
    );
    check(
        "name: DeadLetters",
        "name: LatencyBudgetBurn",
        &["o.yaml:23: `alerts[0].name`: `LatencyBudgetBurn` is the name of something else already; choose another"],
    );
    // In its own place, also where another one before it makes no sense.
    check_file(
        &changed(&[
            ("    goal: 99.9%\n", ""),
            ("alert: LatencyBudgetBurn", "alert: AvailabilityBudgetBurn"),
        ]),
        &[
            "o.yaml:4: `objectives[0].goal`: this is missing; write `goal: 99.9%` for instance",
            "o.yaml:18: `objectives[1].alert`: `AvailabilityBudgetBurn` is the name of something else already; choose another",
        ],
    );
    check(
        "name: latency",
        "name: 'a\"} or vector(1) #'",
        &["o.yaml:13: `objectives[1].name`: `a\"} or vector(1) #` holds more than letters, digits, `-`, `_` and `.`"],
    );
}

#[test]
fn an_objective_counts_one_thing() {
    check(
        "    within: 250ms\n",
        "    within: 250ms\n    failed: asked_total\n",
        &[
            "o.yaml:16: `objectives[1].times`: an objective counts either failures (`requests`, `failed`) or times (`times`, \
           `within`); leave one out",
        ],
    );
    check(
        "example: {times: took_seconds}",
        "example: {times: took_seconds, bad: took_seconds}",
        &[
            "o.yaml:21: `objectives[1].example.bad`: an objective that counts times has one example, `times`; leave this out",
        ],
    );
    check(
        "example: {good: ",
        "example: {times: took_seconds, good: ",
        &[
            "o.yaml:12: `objectives[0].example.times`: an objective that counts failures has examples `good` and `bad`; leave \
           this out",
        ],
    );
    check(
        "within: 250ms",
        "within: 0s",
        &["o.yaml:17: `objectives[1].within`: nothing takes no time; write `250ms` for instance"],
    );
    check(
        "times: took_seconds{",
        "times: took_seconds_bucket{",
        &[
            "o.yaml:16: `objectives[1].times`: `_bucket` is put behind it where it belongs; name the histogram itself, \
           `took_seconds`",
        ],
    );
}

#[test]
fn what_is_counted_is_one_metric_and_what_is_tried_one_series() {
    check(
        "requests: asked_total",
        "requests: sum(asked_total)",
        &[
            "o.yaml:7: `objectives[0].requests`: `sum(asked_total)` is not one metric with its labels, as in \
           `requests_total{status=\"500\"}`",
        ],
    );
    check(
        "example: {times: took_seconds}",
        "example: {times: 'took_seconds{status=~\"2..\"}'}",
        &[
            "o.yaml:21: `objectives[1].example.times`: `took_seconds{status=~\"2..\"}` chooses among series, and one of them is \
           wanted: write each label with `=`",
        ],
    );
    check(
        "{dead_letters: '0x10'}",
        "{rate(dead_letters): '0x10'}",
        &[
            "o.yaml:36: `alerts[0].silent.series.rate(dead_letters)`: `rate(dead_letters)` is not one metric with its labels, as \
           in `requests_total{status=\"500\"}`",
        ],
    );
}

#[test]
fn a_proof_measures_something_and_says_what_the_alert_tells() {
    check(
        "{dead_letters: '0x10'}",
        "{}",
        &["o.yaml:36: `alerts[0].silent.series`: nothing is proved where nothing is measured; name a series at least"],
    );
    check(
        "      value: \"1\"\n",
        "",
        &[
            "o.yaml:30: `alerts[0].fires.value`: `says` tells the value: write here what stands for it, as Prometheus prints it",
        ],
    );
    check(
        "\"{value} messages",
        "\"some messages",
        &[
            "o.yaml:34: `alerts[0].fires.value`: `says` does not tell the value; write `{value}` there, or leave this out",
        ],
    );
    check(
        "given up: {cause}",
        "given up: {topic}",
        &[
            "o.yaml:33: `alerts[0].fires.labels`: `says` tells `{topic}`, and the alert that fires here has no such label; write \
           it here, or leave it out",
        ],
    );
    check(
        "      at: 3m\n",
        "      at: 3m\n      labels: {cause: handler}\n",
        &["o.yaml:35: `alerts[0].silent`: nothing fires here; leave its `labels` and `value` out"],
    );
    check(
        "      at: 3m\n",
        "      at: 3m\n      value: '1'\n",
        &["o.yaml:35: `alerts[0].silent`: nothing fires here; leave its `labels` and `value` out"],
    );
    check(
        "given up: {cause}",
        "given up: {{ $labels.cause }}",
        &[
            "o.yaml:25: `alerts[0].says`: Prometheus's templates are written here as `{value}` and `{label}`, in single braces",
        ],
    );
    check(
        "says: Answers come in time.",
        "says: 'Answers come in {{time}}.'",
        &["o.yaml:14: `objectives[1].says`: `{{` begins a template for Prometheus; write it otherwise"],
    );
}

#[test]
fn a_file_that_nobody_would_hear_of_is_refused() {
    check_file("", &["o.yaml: the file is empty"]);
    let neither =
        "`objectives`: there is neither an objective nor an alert, so nobody would be told of anything; write one";
    let head = "period: 30d\nrunbooks: http://127.0.0.1/\n";
    check_file(head, &[&format!("o.yaml:1: {neither}")]);
    check_file(
        &format!("{head}objectives: []\nalerts: []\n"),
        &[&format!("o.yaml:3: {neither}")],
    );
    // One that makes no sense is one.
    let one = FILE
        .split_once("alerts:\n")
        .unwrap()
        .1
        .replace("    severity: ticket\n", "");
    check_file(
        &format!("{head}alerts:\n{one}"),
        &["o.yaml:4: `alerts[0].severity`: this is missing; write `severity: ticket` for instance"],
    );
}

#[test]
fn every_problem_is_told_at_once_in_order() {
    check_file(
        &changed(&[
            ("period: 30d", "period: 30"),
            ("    goal: 99%\n", ""),
            ("at: 3m", "at: soon"),
        ]),
        &[
            "o.yaml:1: `period`: `30` has no unit; write `30s` if that is meant: a length of time such as `20s`, `250ms` or \
             `1m 30s` is expected",
            "o.yaml:13: `objectives[1].goal`: this is missing; write `goal: 99.9%` for instance",
            "o.yaml:36: `alerts[0].silent.at`: `soon` is not a length of time such as `20s`, `250ms` or `1m 30s`: expected \
             number at 0",
        ],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// It is refused with its place, each thing once, or the file is one that all can be written from.
    #[test]
    fn no_slip_of_the_hand_is_a_panic(slips in slips()) {
        match Promises::parse("o.yaml", &with_slips(FILE, &slips)) {
            Ok(promises) => {
                let written = serde_yaml::to_string(&rules::of(&promises)).unwrap();
                prop_assert!(!written.contains("NaN") && !written.contains("inf"), "{written}");
                serde_yaml::to_string(&proofs::of(&promises)).unwrap();
            }
            Err(error) => check_told("o.yaml", &error),
        }
    }
}
