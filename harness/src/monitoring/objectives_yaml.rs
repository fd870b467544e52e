//! The YAML of [`Promises`]: which keys there are, and the rules between their values.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_yaml::Value;

use super::objectives::{Alert, Counts, Objective, Promises, Proof, Severity, Unit};
use super::place::Place;
use super::selector::Selector;
use super::{rules, wording};
use crate::config::ConfigError;
use crate::config::scalars::{Rate, Share, Span};
use crate::config::strict::{self, Problems};
use crate::units::Percent;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A tenth of the budget of four weeks in three days is about what is allowed, and of less time it is less than that.
const PERIODS: RangeInclusive<Duration> = DAY.saturating_mul(28)..=DAY.saturating_mul(366);
/// A budget is written to nine digits behind the point, and compared with shares of some thousand requests.
const HIGHEST_GOAL: Percent = Percent(99.9999);
/// What begins a template of Prometheus's.
const TEMPLATE: &str = "{{";
/// What a histogram's series are called, behind its name.
const SUFFIXES: [&str; 3] = ["_bucket", "_count", "_sum"];

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    period: Option<Span>,
    runbooks: Option<String>,
    objectives: Option<Vec<RawObjective>>,
    alerts: Option<Vec<RawAlert>>,
}

#[derive(Debug, Default, serde::Deserialize)]
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

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExample {
    good: Option<String>,
    bad: Option<String>,
    times: Option<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
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

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProof {
    series: Option<BTreeMap<String, Quoted>>,
    at: Option<Span>,
    labels: Option<BTreeMap<String, Quoted>>,
    value: Option<Quoted>,
}

/// A text that looks like a number so easily that who forgets its quotes is told: without them `0x10` is sixteen.
#[derive(Clone, Debug)]
struct Quoted(String);

impl<'de> Deserialize<'de> for Quoted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Err(D::Error::custom(format!(
                "YAML takes this for the number {number}; write it in quotes, as in `'0x10'`"
            ))),
            _ => Err(D::Error::custom("a text in quotes is expected, such as `'0x10'`")),
        }
    }
}

fn texts(quoted: BTreeMap<String, Quoted>) -> BTreeMap<String, String> {
    quoted.into_iter().map(|(name, text)| (name, text.0)).collect()
}

impl Place<'_> {
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

    /// A single series, as the service writes it.
    fn series(&mut self, key: &str, text: Option<String>) -> Option<Selector> {
        let selector = self.selector(key, text)?;
        if !selector.is_series() {
            self.add(
                key,
                format!("`{selector}` chooses among series, and one of them is wanted: write each label with `=`"),
            );
            return None;
        }
        Some(selector)
    }
}

pub(super) fn parse(file: &str, text: &str) -> Result<Promises, ConfigError> {
    let (raw, mut problems) = strict::read::<RawFile>(file, text);
    let read = raw.and_then(|raw| validate(raw, &mut problems));
    problems.finish(read)
}

fn validate(raw: RawFile, problems: &mut Problems) -> Option<Promises> {
    check_names(&raw, problems);
    let mut top = Place::top(problems);
    let period = top.need("period", raw.period, "30d").map(|period| period.0);
    if period.is_some_and(|period| !PERIODS.contains(&period)) {
        top.add(
            "period",
            "it must be from `28d` to `1y`: over less, a ticket would come for what the goal allows",
        );
    }
    let runbooks = top.text("runbooks", raw.runbooks, "https://example.org/runbooks/");
    let (raw_objectives, raw_alerts) = (raw.objectives.unwrap_or_default(), raw.alerts.unwrap_or_default());
    let is_wrong = top.is_wrong("objectives") || top.is_wrong("alerts");
    if raw_objectives.is_empty() && raw_alerts.is_empty() && !is_wrong {
        top.add(
            "objectives",
            "there is neither an objective nor an alert, so nobody would be told of anything; write one",
        );
    }
    let mut objectives = Vec::new();
    let mut of_objectives = top.within("objectives");
    for (n, raw) in raw_objectives.into_iter().enumerate() {
        let mut place = of_objectives.within(n);
        let Some(objective) = objective(raw, &mut place) else {
            continue;
        };
        let is_untold = |period| PERIODS.contains(&period) && !rules::can_be_told(&objective, period);
        if period.is_some_and(is_untold) {
            place.add(
                "goal",
                "so much may fail that nobody would be told if everything did; write more, or a shorter `period`",
            );
        }
        objectives.push(objective);
    }
    let mut alerts = Vec::new();
    let mut of_alerts = top.within("alerts");
    for (n, raw) in raw_alerts.into_iter().enumerate() {
        alerts.extend(alert(raw, &mut of_alerts.within(n)));
    }
    Some(Promises {
        period: period?,
        runbooks: runbooks?,
        objectives,
        alerts,
    })
}

/// Sees that no name is given twice: those of what else is wrong count too.
fn check_names(raw: &RawFile, problems: &mut Problems) {
    let objectives = raw.objectives.iter().flatten().enumerate();
    let of_objectives = objectives.flat_map(|(n, one)| {
        [
            ("objectives", n, "name", &one.name),
            ("objectives", n, "alert", &one.alert),
        ]
    });
    let alerts = raw.alerts.iter().flatten().enumerate();
    let of_alerts = alerts.map(|(n, one)| ("alerts", n, "name", &one.name));
    let mut known = BTreeSet::new();
    for (list, n, key, name) in of_objectives.chain(of_alerts) {
        let Some(name) = name.as_deref().filter(|name| !name.trim().is_empty()) else {
            continue;
        };
        if !known.insert(name) {
            Place::top(problems).within(list).within(n).add(
                key,
                format!("`{name}` is the name of something else already; choose another"),
            );
        }
    }
}

fn objective(raw: RawObjective, place: &mut Place<'_>) -> Option<Objective> {
    let name = place.text("name", raw.name, "availability");
    // It stands in queries, between quotes.
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(name) = name.as_ref().filter(|name| !name.chars().all(is_plain)) {
        place.add(
            "name",
            format!("`{name}` holds more than letters, digits, `-`, `_` and `.`"),
        );
    }
    let says = place.text("says", raw.says, "Requests are answered.");
    if says.as_ref().is_some_and(|says| says.contains(TEMPLATE)) {
        place.add(
            "says",
            format!("`{TEMPLATE}` begins a template for Prometheus; write it otherwise"),
        );
    }
    let goal = place.need("goal", raw.goal, "99.9%").map(|goal| goal.0);
    if goal.is_some_and(|goal| goal.0 <= 0.0 || goal.0 >= 100.0) {
        place.add(
            "goal",
            "a goal of nothing is never missed, and one of all leaves no budget; write `99.9%` for instance",
        );
    }
    if goal.is_some_and(|goal| goal > HIGHEST_GOAL) {
        place.add(
            "goal",
            format!(
                "it leaves less than one failure in a million; write `{}%` or less",
                HIGHEST_GOAL.0
            ),
        );
    }
    let at_least = place.need("at-least", raw.at_least, "1/s");
    let alert = place.text("alert", raw.alert, "AvailabilityBudgetBurn");
    let runbook = place.text("runbook", raw.runbook, "error-budget");
    let is_about = |place: &Place<'_>, key: &str, is_there: bool| is_there || place.is_wrong(key);
    let is_about_times =
        is_about(place, "times", raw.times.is_some()) || is_about(place, "within", raw.within.is_some());
    if is_about_times && (raw.requests.is_some() || raw.failed.is_some()) {
        place.add(
            "times",
            "an objective counts either failures (`requests`, `failed`) or times (`times`, `within`); leave one out",
        );
        return None;
    }
    let example = raw.example.unwrap_or_default();
    let counts = match is_about_times {
        true => times(raw.times, raw.within, example, place),
        false => failures(raw.requests, raw.failed, example, place),
    };
    Some(Objective {
        name: name?,
        says: says?,
        budget: 1.0 - goal?.0 / 100.0,
        counts: counts?,
        at_least: at_least?.0,
        alert: alert?,
        runbook: runbook?,
    })
}

fn times(times: Option<String>, within: Option<Span>, example: RawExample, place: &mut Place<'_>) -> Option<Counts> {
    let times = place.selector("times", times);
    let of_histogram = |selector: &Selector| {
        SUFFIXES
            .iter()
            .find_map(|suffix| Some((*suffix, selector.metric().strip_suffix(suffix)?.to_owned())))
    };
    if let Some((suffix, histogram)) = times.as_ref().and_then(of_histogram) {
        place.add(
            "times",
            format!("`{suffix}` is put behind it where it belongs; name the histogram itself, `{histogram}`"),
        );
    }
    let within = place.need("within", within, "250ms").map(|within| within.0);
    if within.is_some_and(|within| within.is_zero()) {
        place.add("within", "nothing takes no time; write `250ms` for instance");
    }
    let mut samples = place.within("example");
    for (key, sample) in [("good", &example.good), ("bad", &example.bad)] {
        if sample.is_some() {
            samples.add(
                key,
                "an objective that counts times has one example, `times`; leave this out",
            );
        }
    }
    let series = samples.series("times", example.times);
    Some(Counts::Times {
        times: times?,
        within: within?,
        series: series?,
    })
}

fn failures(
    requests: Option<String>,
    failed: Option<String>,
    example: RawExample,
    place: &mut Place<'_>,
) -> Option<Counts> {
    let requests = place.selector("requests", requests);
    let failed = place.selector("failed", failed);
    let mut samples = place.within("example");
    if example.times.is_some() {
        samples.add(
            "times",
            "an objective that counts failures has examples `good` and `bad`; leave this out",
        );
    }
    let good = samples.series("good", example.good);
    let bad = samples.series("bad", example.bad);
    Some(Counts::Failures {
        requests: requests?,
        failed: failed?,
        good: good?,
        bad: bad?,
    })
}

fn alert(raw: RawAlert, place: &mut Place<'_>) -> Option<Alert> {
    let name = place.text("name", raw.name, "DeadLetters");
    let severity = place.need("severity", raw.severity, "ticket");
    let says = place.text("says", raw.says, "{value} messages were given up");
    let when = place.text("when", raw.when, "sum(dead_letters) > 0");
    let runbook = place.text("runbook", raw.runbook, "dead-letters");
    let fires = place.need("fires", raw.fires, "{series: {dead_letters: '0 1x10'}, at: 2m}");
    let fires = fires.and_then(|raw| proof(raw, &mut place.within("fires")));
    let silent = place.need("silent", raw.silent, "{series: {dead_letters: '0x10'}, at: 2m}");
    let silent = silent.and_then(|raw| proof(raw, &mut place.within("silent")));
    if let (Some(says), Some(fires)) = (&says, &fires) {
        sentence(says, fires, place);
    }
    let says_too_much = |silent: &Proof| !silent.labels.is_empty() || silent.value.is_some();
    if silent.as_ref().is_some_and(says_too_much) {
        place.add("silent", "nothing fires here; leave its `labels` and `value` out");
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

/// Sees that what an alert says has what it tells, where it fires.
fn sentence(says: &str, fires: &Proof, place: &mut Place<'_>) {
    if says.contains(TEMPLATE) {
        place.add(
            "says",
            "Prometheus's templates are written here as `{value}` and `{label}`, in single braces",
        );
        return;
    }
    let mut place = place.within("fires");
    if wording::tells_value(says) != fires.value.is_some() {
        let message = match fires.value {
            None => "`says` tells the value: write here what stands for it, as Prometheus prints it",
            Some(_) => "`says` does not tell the value; write `{value}` there, or leave this out",
        };
        place.add("value", message);
    }
    let labels = wording::labels(says);
    let unknown = labels.into_iter().find(|label| !fires.labels.contains_key(*label));
    if let Some(label) = unknown.filter(|_| !place.is_wrong("labels")) {
        let message = format!(
            "`says` tells `{{{label}}}`, and the alert that fires here has no such label; write it here, or leave it out"
        );
        place.add("labels", message);
    }
}

fn proof(raw: RawProof, place: &mut Place<'_>) -> Option<Proof> {
    let series = place.need("series", raw.series, r#"{'dead_letters{cause="handler"}': '0 1x10'}"#);
    if series.as_ref().is_some_and(BTreeMap::is_empty) && !place.is_wrong("series") {
        place.add(
            "series",
            "nothing is proved where nothing is measured; name a series at least",
        );
    }
    for name in series.iter().flat_map(BTreeMap::keys) {
        place.within("series").series(name, Some(name.clone()));
    }
    let at = place.need("at", raw.at, "2m");
    Some(Proof {
        series: texts(series?),
        at: at?.0,
        labels: texts(raw.labels.unwrap_or_default()),
        value: raw.value.map(|value| value.0),
    })
}
