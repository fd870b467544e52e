//! Prometheus's rules. Recording rules keep how many requests an objective counts and how many of them failed, over each
//! window that an alert looks at; alerts compare the two with what the objective allows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::objectives::{Alert, Counts, Objective, Promises, Severity};
use super::wording;

/// A file of rules.
#[derive(Clone, Debug, Serialize)]
pub struct Rules {
    groups: Vec<Group>,
}

#[derive(Clone, Debug, Serialize)]
struct Group {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    lasts: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Rules {
    /// Whatever fires, and when.
    pub fn alerts(&self) -> impl Iterator<Item = (&str, &str)> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        rules.filter_map(|rule| Some((rule.alert.as_deref()?, rule.expr.as_str())))
    }

    /// What is recorded, and how it is computed.
    pub fn recorded(&self) -> impl Iterator<Item = (&str, &str)> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        rules.filter_map(|rule| Some((rule.record.as_deref()?, rule.expr.as_str())))
    }
}

/// How fast a budget is spent when somebody is told: `share` of it within `long`. It must still be spent as fast in
/// `short`, so that the alert ends soon after its cause does.
///
/// From Google's Site Reliability Workbook, chapter 5, table 5-8.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burn {
    share: f64,
    pub(super) long: Duration,
    pub(super) short: Duration,
    pub(super) severity: Severity,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) const BURNS: [Burn; 3] = [
    Burn {
        share: 0.02,
        long: HOUR,
        short: MINUTE.saturating_mul(5),
        severity: Severity::Page,
    },
    Burn {
        share: 0.05,
        long: HOUR.saturating_mul(6),
        short: MINUTE.saturating_mul(30),
        severity: Severity::Page,
    },
    Burn {
        share: 0.1,
        long: HOUR.saturating_mul(72),
        short: HOUR.saturating_mul(6),
        severity: Severity::Ticket,
    },
];

impl Burn {
    /// How many times faster than one that lasts exactly for `period`: 14.4, 6 and 1 for 30 days.
    pub(super) fn factor(self, period: Duration) -> f64 {
        self.share * period.as_secs_f64() / self.long.as_secs_f64()
    }

    /// The share of failures above which it is told.
    pub(super) fn limit(self, objective: &Objective, period: Duration) -> f64 {
        self.factor(period) * objective.budget
    }

    /// No share of failures is above a limit of all.
    fn can_fire(self, objective: &Objective, period: Duration) -> bool {
        self.limit(objective, period) < 1.0
    }
}

/// Whether somebody would be told if everything failed: the limit of the ticket is the lowest.
pub(super) fn can_be_told(objective: &Objective, period: Duration) -> bool {
    BURNS.iter().any(|burn| burn.can_fire(objective, period))
}

/// Windows that are looked at while they are short, and those for which once a minute will do.
const FAST: [Duration; 3] = [MINUTE.saturating_mul(5), MINUTE.saturating_mul(30), HOUR];
const SLOW: [Duration; 2] = [HOUR.saturating_mul(6), HOUR.saturating_mul(72)];

/// The groups, each after what it looks at.
pub(super) const GROUPS: [&str; 5] = ["objectives", "objectives-slow", "budgets", "budgets-left", "alerts"];

/// The rules of `promises`.
pub fn of(promises: &Promises) -> Rules {
    let recorded = |windows: &[Duration]| -> Vec<Rule> {
        let each = promises.objectives.iter();
        each.flat_map(|objective| windows.iter().flat_map(|window| record(objective, *window)))
            .collect()
    };
    let burns = promises.objectives.iter().flat_map(|objective| {
        let burns = BURNS
            .into_iter()
            .filter(|burn| burn.can_fire(objective, promises.period));
        let burns = burns.map(|burn| burn_alert(promises, objective, burn));
        burns.chain([goal(objective)])
    });
    let left = promises.objectives.iter().map(|one| budget_left(promises, one));
    let [fast, slow, budgets, budgets_left, alerts] = GROUPS.map(str::to_owned);
    Rules {
        groups: vec![
            Group {
                name: fast,
                interval: None,
                rules: recorded(&FAST),
            },
            // Over days it costs most, and changes least.
            Group {
                name: slow,
                interval: Some(prometheus(MINUTE)),
                rules: recorded(&SLOW),
            },
            Group {
                name: budgets,
                interval: None,
                rules: burns.collect(),
            },
            // The whole period is read for it, which is a long way.
            Group {
                name: budgets_left,
                interval: Some(prometheus(MINUTE)),
                rules: left.collect(),
            },
            Group {
                name: alerts,
                interval: None,
                rules: promises.alerts.iter().map(|alert| own_alert(promises, alert)).collect(),
            },
        ],
    }
}

/// `requests` and `failed` a second over `window`, and the second as a share of the first.
fn record(objective: &Objective, window: Duration) -> [Rule; 3] {
    let range = prometheus(window);
    let (requests, failed) = match &objective.counts {
        Counts::Failures { requests, failed, .. } => {
            let requests = format!("sum(rate({requests}[{range}]))");
            // A service that never failed has no series of failures.
            let failed = format!("sum(rate({failed}[{range}])) or {requests} * 0");
            (requests, failed)
        }
        Counts::Times { times, within, .. } => {
            let requests = format!("sum(rate({}[{range}]))", times.count());
            let in_time = times.bucket(within.as_secs_f64());
            let failed = format!("{requests} - sum(rate({in_time}[{range}]))");
            (requests, failed)
        }
    };
    let own = format!("{{objective=\"{}\"}}", objective.name);
    let share = format!("objective:failed:rate{range}{own} / (objective:requests:rate{range}{own} > 0)");
    [
        (format!("objective:requests:rate{range}"), requests),
        (format!("objective:failed:rate{range}"), failed),
        (format!("objective:failed:ratio_rate{range}"), share),
    ]
    .map(|(record, expr)| recording(objective, record, expr))
}

fn recording(objective: &Objective, record: String, expr: String) -> Rule {
    Rule {
        record: Some(record),
        expr,
        labels: BTreeMap::from([("objective".to_owned(), objective.name.clone())]),
        ..Rule::default()
    }
}

fn goal(objective: &Objective) -> Rule {
    let goal = format!("vector({})", number(1.0 - objective.budget));
    recording(objective, "objective:goal:ratio".to_owned(), goal)
}

/// Of the budget of the whole period, as far as Prometheus remembers it: 1 at the beginning, below 0 when more failed than
/// may.
fn budget_left(promises: &Promises, objective: &Objective) -> Rule {
    let window = prometheus(FAST[0]);
    let sum = |what: &str| {
        let series = format!("objective:{what}:rate{window}{{objective=\"{}\"}}", objective.name);
        format!("sum_over_time({series}[{}])", prometheus(promises.period))
    };
    let left = format!(
        "1 - {} / ({} > 0) / {}",
        sum("failed"),
        sum("requests"),
        number(objective.budget)
    );
    recording(objective, "objective:budget_left:ratio".to_owned(), left)
}

fn burn_alert(promises: &Promises, objective: &Objective, burn: Burn) -> Rule {
    let limit = number(burn.limit(objective, promises.period));
    let share = |window: Duration| {
        let window = prometheus(window);
        format!(
            "objective:failed:ratio_rate{window}{{objective=\"{}\"}} > {limit}",
            objective.name
        )
    };
    let enough = format!(
        "objective:requests:rate{}{{objective=\"{}\"}} >= {}",
        prometheus(burn.short),
        objective.name,
        number(objective.at_least.0)
    );
    Rule {
        alert: Some(objective.alert.clone()),
        expr: format!("{} and {} and {enough}", share(burn.long), share(burn.short)),
        labels: burn_labels(objective, burn),
        annotations: burn_annotations(promises, objective, burn),
        ..Rule::default()
    }
}

pub(super) fn burn_labels(objective: &Objective, burn: Burn) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("objective".to_owned(), objective.name.clone()),
        ("severity".to_owned(), severity(burn.severity)),
        ("window".to_owned(), prometheus(burn.long)),
    ])
}

pub(super) fn burn_annotations(promises: &Promises, objective: &Objective, burn: Burn) -> BTreeMap<String, String> {
    let budget = number(objective.budget * 100.0);
    let factor = number(burn.factor(promises.period));
    let window = prometheus(burn.long);
    annotations(
        promises,
        &objective.runbook,
        format!(
            "{} fails {factor} times as often as its budget of {budget} % allows, over {window}",
            objective.name
        ),
        Some(objective.says.clone()),
    )
}

fn own_alert(promises: &Promises, alert: &Alert) -> Rule {
    let summary = wording::template(&alert.says, alert.unit);
    Rule {
        alert: Some(alert.name.clone()),
        expr: alert.when.trim().to_owned(),
        lasts: (!alert.lasts.is_zero()).then(|| prometheus(alert.lasts)),
        labels: own_labels(alert),
        annotations: annotations(promises, &alert.runbook, summary, None),
        ..Rule::default()
    }
}

pub(super) fn own_labels(alert: &Alert) -> BTreeMap<String, String> {
    BTreeMap::from([("severity".to_owned(), severity(alert.severity))])
}

pub(super) fn annotations(
    promises: &Promises,
    runbook: &str,
    summary: String,
    description: Option<String>,
) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), summary),
        ("runbook_url".to_owned(), format!("{}{runbook}", promises.runbooks)),
    ]);
    annotations.extend(description.map(|text| ("description".to_owned(), text)));
    annotations
}

fn severity(severity: Severity) -> String {
    match severity {
        Severity::Page => "page",
        Severity::Ticket => "ticket",
    }
    .to_owned()
}

/// A length of time as Prometheus reads it: `1h30m`, whole days as `3d`.
pub(super) fn prometheus(length: Duration) -> String {
    const UNITS: [(u128, &str); 5] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
        (1, "ms"),
    ];
    let mut rest = length.as_millis();
    let mut text = String::new();
    for (unit, name) in UNITS {
        if rest >= unit {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A number without what binary fractions add to it.
pub(super) fn number(value: f64) -> String {
    let digits = format!("{value:.9}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}
