//! The YAML of [`Promises`]: which keys there are, and the rules between their values.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::objectives::{Alert, Counts, Objective, Promises, Proof, Severity, Unit};
use super::selector::Selector;
use super::wording;
use crate::config::ConfigError;
use crate::config::scalars::{Rate, Share, Span};
use crate::config::strict::{self, Problems, Step};

/// The longest window that a rule looks at must fit into the period.
const LEAST_PERIOD: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    period: Option<Span>,
    runbooks: Option<String>,
    objectives: Option<Vec<RawObjective>>,
    alerts: Option<Vec<RawAlert>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawObjective {
    name: Option<String>,
    says: Option<String>,
    goal: Option<Share>,
    requests: Option<String>,
    failed: Option<String>,
    times: Option<String>,
    within: Option<Span>,
    at_least: Option<Rate>,
    alert: Option<String>,
    runbook: Option<String>,
    example: Option<RawExample>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExample {
    good: Option<String>,
    bad: Option<String>,
    times: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlert {
    name: Option<String>,
    severity: Option<Severity>,
    says: Option<String>,
    unit: Option<Unit>,
    when: Option<String>,
    lasts: Option<Span>,
    runbook: Option<String>,
    fires: Option<RawProof>,
    silent: Option<RawProof>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProof {
    series: Option<BTreeMap<String, String>>,
    at: Option<Span>,
    labels: Option<BTreeMap<String, String>>,
    value: Option<String>,
}

/// Where in the file something stands, and what is wrong there.
struct Place<'a> {
    problems: &'a mut Problems,
    path: Vec<Step>,
}

impl Place<'_> {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        let mut path = self.path.clone();
        path.push(key.into());
        self.problems.add(&path, message);
    }

    fn within(&mut self, key: &str) -> Place<'_> {
        let mut path = self.path.clone();
        path.push(key.into());
        Place {
            problems: self.problems,
            path,
        }
    }

    /// The value, or a problem that names what is missing.
    fn need<T>(&mut self, key: &str, value: Option<T>, such_as: &str) -> Option<T> {
        if value.is_none() {
            self.add(key, format!("this is missing; write `{key}: {such_as}` for instance"));
        }
        value
    }

    fn selector(&mut self, key: &str, text: Option<String>) -> Option<Selector> {
        let text = self.need(key, text, r#"requests_total{status="500"}"#)?;
        let selector = Selector::parse(&text);
        if selector.is_none() {
            self.add(
                key,
                format!("`{text}` is not one metric with its labels, as in `requests_total{{status=\"500\"}}`"),
            );
        }
        selector
    }
}

pub(super) fn parse(file: &str, text: &str) -> Result<Promises, ConfigError> {
    let (raw, mut problems) = strict::read::<RawFile>(file, text);
    let read = raw.and_then(|raw| validate(raw, &mut problems));
    problems.finish(read)
}

fn validate(raw: RawFile, problems: &mut Problems) -> Option<Promises> {
    let mut top = Place {
        problems,
        path: Vec::new(),
    };
    let period = top.need("period", raw.period, "30d");
    if period.is_some_and(|period| period.0 < LEAST_PERIOD) {
        top.add(
            "period",
            "the slowest rule looks back over a tenth of it in days; write `7d` or more",
        );
    }
    let runbooks = top.need("runbooks", raw.runbooks, "https://example.org/runbooks/");
    let mut objectives: Vec<Objective> = Vec::new();
    for (n, raw) in raw.objectives.unwrap_or_default().into_iter().enumerate() {
        let path = vec!["objectives".into(), n.into()];
        objectives.extend(objective(raw, &mut Place { problems, path }));
    }
    let mut alerts: Vec<Alert> = Vec::new();
    for (n, raw) in raw.alerts.unwrap_or_default().into_iter().enumerate() {
        let path = vec!["alerts".into(), n.into()];
        alerts.extend(alert(raw, &mut Place { problems, path }));
    }
    if objectives.is_empty() && alerts.is_empty() {
        problems.add(
            &["objectives".into()],
            "there is neither an objective nor an alert, so nobody would be told of anything",
        );
    }
    let mut names: Vec<(&str, Vec<Step>)> = Vec::new();
    let objective_alerts = objectives.iter().enumerate().flat_map(|(n, objective)| {
        let at = |key: &str| vec!["objectives".into(), n.into(), key.into()];
        [
            (objective.name.as_str(), at("name")),
            (objective.alert.as_str(), at("alert")),
        ]
    });
    let own = alerts
        .iter()
        .enumerate()
        .map(|(n, alert)| (alert.name.as_str(), vec!["alerts".into(), n.into(), "name".into()]));
    for (name, path) in objective_alerts.chain(own) {
        if names.iter().any(|(known, _)| *known == name) {
            problems.add(&path, format!("`{name}` is the name of something else already"));
        }
        names.push((name, path));
    }
    Some(Promises {
        period: period?.0,
        runbooks: runbooks?,
        objectives,
        alerts,
    })
}

fn objective(raw: RawObjective, place: &mut Place<'_>) -> Option<Objective> {
    let name = place.need("name", raw.name, "availability");
    let says = place.need("says", raw.says, "Requests are answered.");
    let goal = place.need("goal", raw.goal, "99.9%");
    if goal.is_some_and(|goal| goal.0.0 <= 0.0 || goal.0.0 >= 100.0) {
        place.add(
            "goal",
            "a goal of nothing is never missed, and one of all leaves no budget; write `99.9%` for instance",
        );
    }
    let at_least = place.need("at-least", raw.at_least, "1/s");
    let alert = place.need("alert", raw.alert, "AvailabilityBudgetBurn");
    let runbook = place.need("runbook", raw.runbook, "error-budget");
    let example = raw.example.unwrap_or_default();
    let is_about_times = raw.times.is_some() || raw.within.is_some();
    if is_about_times && (raw.requests.is_some() || raw.failed.is_some()) {
        place.add(
            "times",
            "an objective counts either failures (`requests`, `failed`) or times (`times`, `within`)",
        );
        return None;
    }
    let counts = if is_about_times {
        let times = place.selector("times", raw.times);
        let within = place.need("within", raw.within, "250ms");
        let series = place.within("example").selector("times", example.times);
        Counts::Times {
            times: times?,
            within: within?.0,
            series: series?,
        }
    } else {
        let requests = place.selector("requests", raw.requests);
        let failed = place.selector("failed", raw.failed);
        let mut samples = place.within("example");
        let good = samples.selector("good", example.good);
        let bad = samples.selector("bad", example.bad);
        Counts::Failures {
            requests: requests?,
            failed: failed?,
            good: good?,
            bad: bad?,
        }
    };
    Some(Objective {
        name: name?,
        says: says?,
        budget: 1.0 - goal?.0.0 / 100.0,
        counts,
        at_least: at_least?.0,
        alert: alert?,
        runbook: runbook?,
    })
}

fn alert(raw: RawAlert, place: &mut Place<'_>) -> Option<Alert> {
    let name = place.need("name", raw.name, "DeadLetters");
    let severity = place.need("severity", raw.severity, "ticket");
    let says = place.need("says", raw.says, "{value} messages were given up");
    let when = place.need("when", raw.when, "sum(dead_letters) > 0");
    let runbook = place.need("runbook", raw.runbook, "dead-letters");
    let fires = place.need("fires", raw.fires, "{series: {dead_letters: 0 1x10}, at: 2m}");
    let fires = fires.and_then(|raw| proof(raw, &mut place.within("fires")));
    let silent = place.need("silent", raw.silent, "{series: {dead_letters: 0x10}, at: 2m}");
    let silent = silent.and_then(|raw| proof(raw, &mut place.within("silent")));
    if let (Some(says), Some(fires)) = (&says, &fires) {
        if wording::tells_value(says) != fires.value.is_some() {
            let message = match fires.value {
                None => "`says` tells the value: write here what stands for it, as Prometheus prints it",
                Some(_) => "`says` does not tell the value; write `{value}` there, or leave this out",
            };
            place.within("fires").add("value", message);
        }
        let unknown = wording::labels(says)
            .into_iter()
            .find(|label| !fires.labels.contains_key(*label));
        if let Some(label) = unknown {
            let message = format!("`says` tells `{{{label}}}`, and the alert that fires here has no such label");
            place.within("fires").add("labels", message);
        }
    }
    let says_too_much = |silent: &Proof| !silent.labels.is_empty() || silent.value.is_some();
    if silent.as_ref().is_some_and(says_too_much) {
        place.add("silent", "nothing fires here, so it has neither labels nor a value");
    }
    Some(Alert {
        name: name?,
        severity: severity?,
        says: says?,
        unit: raw.unit.unwrap_or_default(),
        when: when?,
        lasts: raw.lasts.map_or(Duration::ZERO, |lasts| lasts.0),
        runbook: runbook?,
        fires: fires?,
        silent: silent?,
    })
}

fn proof(raw: RawProof, place: &mut Place<'_>) -> Option<Proof> {
    let series = place.need("series", raw.series, r#"{'dead_letters{cause="handler"}': 0 1x10}"#);
    let at = place.need("at", raw.at, "2m");
    Some(Proof {
        series: series?,
        at: at?.0,
        labels: raw.labels.unwrap_or_default(),
        value: raw.value,
    })
}
