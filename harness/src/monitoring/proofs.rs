//! Tests that promtool runs on the rules: what makes each alert fire, and what keeps it silent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::objectives::{Alert, Counts, Objective, Promises, Proof};
use super::rules::{self, BURNS, number, prometheus};
use super::wording;

/// Between two values of a series, and between two evaluations of the rules.
pub const INTERVAL: Duration = Duration::from_secs(15);
/// By so much does the share of failures miss a limit, or exceed it.
const CLOSE: f64 = 0.1;
/// How long a share of failures stays as it is. Windows that began before see it alone.
const CONSTANT_FOR: Duration = Duration::from_secs(20 * 60);
/// Requests between two values where there are enough of them, unless an objective asks for more.
const REQUESTS: f64 = 15_000.0;
/// Without failures before an outage: as long as the window of the first page.
const CALM: Duration = BURNS[0].long;

/// A file of tests.
#[derive(Clone, Debug, Serialize)]
pub struct Proofs {
    rule_files: Vec<String>,
    evaluation_interval: String,
    group_eval_order: Vec<String>,
    tests: Vec<Test>,
}

#[derive(Clone, Debug, Serialize)]
struct Test {
    name: String,
    interval: String,
    input_series: Vec<Series>,
    alert_rule_test: Vec<Expectation>,
}

#[derive(Clone, Debug, Serialize)]
struct Series {
    series: String,
    values: String,
}

#[derive(Clone, Debug, Serialize)]
struct Expectation {
    eval_time: String,
    alertname: String,
    exp_alerts: Vec<Fired>,
}

#[derive(Clone, Debug, Serialize)]
struct Fired {
    exp_labels: BTreeMap<String, String>,
    exp_annotations: BTreeMap<String, String>,
}

/// The tests of `promises`.
pub fn of(promises: &Promises) -> Proofs {
    let burns = promises
        .objectives
        .iter()
        .flat_map(|objective| burns(promises, objective));
    let own = promises.alerts.iter().flat_map(|alert| {
        [
            own(promises, alert, &alert.fires, true),
            own(promises, alert, &alert.silent, false),
        ]
    });
    Proofs {
        // Seen from the folder of the tests.
        rule_files: vec!["../rules/booking.yml".to_owned()],
        evaluation_interval: prometheus(INTERVAL),
        // A server may evaluate an alert before what it looks at, and so an interval later than here.
        group_eval_order: rules::GROUPS.map(str::to_owned).to_vec(),
        tests: burns.chain(own).collect(),
    }
}

fn own(promises: &Promises, alert: &Alert, proof: &Proof, fires: bool) -> Test {
    let fired = fires.then(|| {
        let summary = wording::filled(&alert.says, proof.value.as_deref(), &proof.labels);
        let mut labels = proof.labels.clone();
        labels.extend(rules::own_labels(alert));
        Fired {
            exp_labels: labels,
            exp_annotations: rules::annotations(promises, &alert.runbook, summary, None),
        }
    });
    let series = proof.series.iter().map(|(series, values)| Series {
        series: series.clone(),
        values: values.clone(),
    });
    Test {
        name: format!("{} {}", alert.name, if fires { "fires" } else { "is silent" }),
        interval: prometheus(INTERVAL),
        input_series: series.collect(),
        alert_rule_test: vec![Expectation {
            eval_time: prometheus(proof.at),
            alertname: alert.name.clone(),
            exp_alerts: fired.into_iter().collect(),
        }],
    }
}

/// Shares of failures around each limit, which stay as they are; too few requests; and an outage after an hour without
/// failures.
fn burns(promises: &Promises, objective: &Objective) -> Vec<Test> {
    let limits = BURNS.map(|burn| burn.limit(objective, promises.period));
    let shares = limits
        .iter()
        .flat_map(|limit| [limit * (1.0 + CLOSE), limit * (1.0 - CLOSE)]);
    let mut tests: Vec<Test> = shares
        .filter(|share| *share <= 1.0)
        .map(|share| constant(promises, objective, share))
        .collect();
    tests.push(quiet(objective));
    tests.extend(outage(promises, objective));
    tests
}

fn constant(promises: &Promises, objective: &Objective, share: f64) -> Test {
    let piece = Piece {
        steps: steps(CONSTANT_FOR),
        requests: enough(objective),
        failing: share,
    };
    Test {
        name: format!("{} while {} % fail", objective.alert, number(share * 100.0)),
        interval: prometheus(INTERVAL),
        input_series: series(objective, &[piece]),
        alert_rule_test: vec![expect(promises, objective, CONSTANT_FOR, |_| share)],
    }
}

/// So many requests each interval that no alert is silent for want of them.
fn enough(objective: &Objective) -> f64 {
    REQUESTS.max(2.0 * objective.at_least.0 * INTERVAL.as_secs_f64())
}

/// Everything fails, and there is not enough of it.
fn quiet(objective: &Objective) -> Test {
    let piece = Piece {
        steps: steps(CONSTANT_FOR),
        requests: objective.at_least.0 * INTERVAL.as_secs_f64() * (1.0 - CLOSE),
        failing: 1.0,
    };
    Test {
        name: format!("{} is silent while there are few requests", objective.alert),
        interval: prometheus(INTERVAL),
        input_series: series(objective, &[piece]),
        alert_rule_test: vec![Expectation {
            eval_time: prometheus(CONSTANT_FOR),
            alertname: objective.alert.clone(),
            exp_alerts: Vec::new(),
        }],
    }
}

/// After an hour in which nothing failed, everything fails: the fastest page comes when as much of an hour is over as its
/// limit says. `None` where even an hour of failures would not do.
fn outage(promises: &Promises, objective: &Objective) -> Option<Test> {
    let due = CALM.mul_f64(BURNS[0].limit(objective, promises.period).min(1.0));
    if due >= CALM {
        return None;
    }
    let last_silent = steps(due);
    let piece = |steps, failing| Piece {
        steps,
        requests: enough(objective),
        failing,
    };
    let expectations = [last_silent, last_silent + 1].map(|out| {
        let out = INTERVAL * out;
        // Windows see no further back than to the first value.
        let share = |window: Duration| out.as_secs_f64() / window.min(CALM + out).as_secs_f64();
        expect(promises, objective, CALM + out, |window| share(window).min(1.0))
    });
    Some(Test {
        name: format!(
            "{} comes {} s after everything fails",
            objective.alert,
            number(due.as_secs_f64())
        ),
        interval: prometheus(INTERVAL),
        input_series: series(objective, &[piece(steps(CALM), 0.0), piece(last_silent + 2, 1.0)]),
        alert_rule_test: expectations.to_vec(),
    })
}

/// The alerts that fire at `at`, when `share` failed in each window.
fn expect(promises: &Promises, objective: &Objective, at: Duration, share: impl Fn(Duration) -> f64) -> Expectation {
    let fired = BURNS.into_iter().filter(|burn| {
        let limit = burn.limit(objective, promises.period);
        share(burn.long) > limit && share(burn.short) > limit
    });
    Expectation {
        eval_time: prometheus(at),
        alertname: objective.alert.clone(),
        exp_alerts: fired
            .map(|burn| Fired {
                exp_labels: rules::burn_labels(objective, burn),
                exp_annotations: rules::burn_annotations(promises, objective, burn),
            })
            .collect(),
    }
}

/// A time in which as many requests come as before, and as many of them fail.
#[derive(Clone, Copy)]
struct Piece {
    steps: u32,
    /// Each step.
    requests: f64,
    failing: f64,
}

/// What the service counts, piece after piece.
fn series(objective: &Objective, pieces: &[Piece]) -> Vec<Series> {
    let one = |series: String, each: fn(&Piece) -> f64| Series {
        series,
        values: counter(pieces, each),
    };
    let good = |piece: &Piece| piece.requests * (1.0 - piece.failing);
    match &objective.counts {
        Counts::Failures { good: served, bad, .. } => vec![
            one(served.to_string(), good),
            one(bad.to_string(), |piece| piece.requests * piece.failing),
        ],
        Counts::Times { within, series, .. } => vec![
            one(series.count().to_string(), |piece| piece.requests),
            one(series.sample_bucket(within.as_secs_f64()).to_string(), good),
        ],
    }
}

/// A counter that begins at nothing, in promtool's notation: `a+bxn` is a first value and n further ones.
fn counter(pieces: &[Piece], each: fn(&Piece) -> f64) -> String {
    let mut sum = 0.0;
    let mut values = vec!["0".to_owned()];
    for piece in pieces {
        let step = each(piece);
        let first = sum + step;
        values.push(format!(
            "{}+{}x{}",
            number(first),
            number(step),
            piece.steps.saturating_sub(1)
        ));
        sum += step * f64::from(piece.steps);
    }
    values.join(" ")
}

/// Whole intervals in `length`.
fn steps(length: Duration) -> u32 {
    (length.as_secs_f64() / INTERVAL.as_secs_f64()).floor() as u32
}
