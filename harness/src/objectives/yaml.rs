//! The YAML of objectives: which keys there are, and the rules between their values.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Limit, Objective, Subject};
use crate::config::scalars::{Share, Span};
use crate::config::strict::{self, Problems, Step};
use crate::config::{ConfigError, ScenarioConfig};
use crate::recording::{Endpoint, LONGEST};
use crate::units::Ratio;

const JOURNEYS: &str = "journeys";
/// The keys of which an objective has exactly one.
const LIMITS: &str = "`p50`, `p90`, `p95`, `p99`, `p999`, `failed` or `offered`";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    objectives: Option<Vec<RawObjective>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawObjective {
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    over: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p90: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p999: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offered: Option<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    abort_after: Option<Span>,
}

impl RawObjective {
    /// Each with its key.
    fn limits(&self) -> Vec<(&'static str, Limit)> {
        let quantiles = [
            ("p50", 0.5, self.p50),
            ("p90", 0.9, self.p90),
            ("p95", 0.95, self.p95),
            ("p99", 0.99, self.p99),
            ("p999", 0.999, self.p999),
        ];
        let quantiles = quantiles.into_iter().filter_map(|(key, quantile, most)| {
            let limit = Limit::Quantile {
                quantile: Ratio(quantile),
                most: most?.0,
            };
            Some((key, limit))
        });
        let failed = self.failed.map(|most| ("failed", Limit::Failed { most: most.0 }));
        let offered = self.offered.map(|least| ("offered", Limit::Offered { least: least.0 }));
        quantiles.chain(failed).chain(offered).collect()
    }
}

/// Why no run could miss, or keep, a limit; `None` for one that says something.
fn pointless(limit: Limit) -> Option<&'static str> {
    match limit {
        Limit::Quantile { most, .. } if most.is_zero() => {
            Some("nobody is answered in no time, so every run would miss it; write `250ms` for instance")
        }
        Limit::Quantile { most, .. } if most >= LONGEST => {
            Some("times are told apart up to an hour, so no run could miss it; write less than `1h`")
        }
        Limit::Failed { most } if most.0 >= 100.0 => {
            Some("more than all cannot fail, so no run could miss it; write `1%` for instance")
        }
        Limit::Offered { least } if least.0 <= 0.0 => {
            Some("less than nothing cannot be offered, so no run could miss it; write `99%` for instance")
        }
        _ => None,
    }
}

/// The longest time without a break in which an objective is held: of its stage, or of measured stages in a row.
fn longest_held(stage: Option<&str>, scenario: &ScenarioConfig) -> Duration {
    let mut longest = Duration::ZERO;
    let mut held = Duration::ZERO;
    for known in &scenario.stages {
        let is_held = stage.map_or_else(|| known.is_measured(), |name| known.name == name);
        held = if is_held { held + known.length } else { Duration::ZERO };
        longest = longest.max(held);
    }
    longest
}

pub(super) fn parse(file: &str, text: &str, scenario: &ScenarioConfig) -> Result<Vec<Objective>, ConfigError> {
    let (raw, mut problems) = strict::read::<RawFile>(file, text);
    let read = raw.map(|raw| {
        let list = raw.objectives.unwrap_or_default();
        if list.is_empty() {
            problems.add(
                &["objectives".into()],
                "there must be one at least, or a run would be held to nothing and pass; see the README for their form",
            );
        }
        let mut objectives: Vec<Objective> = Vec::with_capacity(list.len());
        for (n, raw) in list.into_iter().enumerate() {
            let objective = validate(n, raw, scenario, &mut problems);
            if let Some(objective) = objective {
                if objectives.iter().any(|earlier| earlier.name == objective.name) {
                    let message = format!("two objectives are called `{}`", objective.name);
                    problems.add(&path(n, "name"), message);
                }
                objectives.push(objective);
            }
        }
        objectives
    });
    problems.finish(read)
}

fn path(n: usize, key: &str) -> Vec<Step> {
    vec![Step::from("objectives"), Step::from(n), Step::from(key)]
}

fn validate(n: usize, raw: RawObjective, scenario: &ScenarioConfig, problems: &mut Problems) -> Option<Objective> {
    let of = match raw.of.as_deref() {
        None | Some(JOURNEYS) => Some(Subject::Journeys),
        Some(name) => match name.parse::<Endpoint>() {
            Ok(endpoint) => Some(Subject::Endpoint(endpoint)),
            Err(_) => {
                let names = Endpoint::ALL.iter().map(|endpoint| endpoint.name().to_owned());
                let known: Vec<String> = std::iter::once(JOURNEYS.to_owned()).chain(names).collect();
                problems.add(&path(n, "of"), strict::unknown_message(name, &known));
                None
            }
        },
    };
    let is_stage_known = raw
        .stage
        .as_ref()
        .is_none_or(|stage| scenario.stages.iter().any(|known| known.name == *stage));
    if let Some(stage) = raw.stage.as_ref().filter(|_| !is_stage_known) {
        let known: Vec<String> = scenario.stages.iter().map(|stage| stage.name.clone()).collect();
        problems.add(&path(n, "stage"), strict::unknown_message(stage, &known));
    }
    for (key, span) in [("over", raw.over), ("abort-after", raw.abort_after)] {
        if span.is_some_and(|span| span.0.as_secs() < 1) {
            problems.add(&path(n, key), "what ended is counted by the second; write `1s` or more");
        }
    }
    let longest = longest_held(raw.stage.as_deref(), scenario);
    if is_stage_known && longest.is_zero() && raw.offered.is_none() {
        let message = "every stage of the scenario is a warm-up or a cool-down, which no objective is held in unless it \
                       names one: add `stage`";
        problems.add(&path(n, "stage"), message);
    } else if let Some(over) = raw.over.filter(|over| is_stage_known && over.0 > longest) {
        let message = format!(
            "no window of {over} fits into {}, so nothing would ever be judged; write `{}` or less",
            match &raw.stage {
                Some(stage) => format!("the stage `{stage}`, which lasts {}", Span(longest)),
                None => format!("the measured stages, which last {} in a row", Span(longest)),
            },
            Span(longest)
        );
        problems.add(&path(n, "over"), message);
    }
    if raw.abort_after.is_some() && raw.over.is_none() {
        let message = "a run is ended by what windows say: it needs `over: 10s` for instance";
        problems.add(&path(n, "abort-after"), message);
    }
    let limits = raw.limits();
    let limit = match limits.as_slice() {
        [(key, limit)] => {
            if let Some(why) = pointless(*limit) {
                problems.add(&path(n, key), why);
            }
            *limit
        }
        [] => {
            problems.add(&path(n, "name"), format!("an objective needs a limit: one of {LIMITS}"));
            return None;
        }
        _ => {
            problems.add(
                &path(n, "name"),
                format!("an objective has one limit, so that it has one verdict: one of {LIMITS}"),
            );
            return None;
        }
    };
    if matches!(limit, Limit::Offered { .. }) {
        if !scenario.has_arrivals() {
            let message = "virtual users alone come in this scenario, when they are done: no arrival is planned that could \
                           be missing; take this out";
            problems.add(&path(n, "offered"), message);
        }
        let others = [
            ("of", raw.of.is_some()),
            ("stage", raw.stage.is_some()),
            ("over", raw.over.is_some()),
            ("abort-after", raw.abort_after.is_some()),
        ];
        for (key, is_there) in others {
            if is_there {
                let message = "what was offered is told by the books of the whole run; take this out";
                problems.add(&path(n, key), message);
            }
        }
    }
    let of = of?;
    Some(Objective {
        name: raw.name.unwrap_or_else(|| format!("{of} {limit}")),
        of,
        stage: raw.stage,
        over: raw.over.map(|span| span.0),
        limit,
        abort_after: raw.abort_after.map(|span| span.0),
    })
}

pub(super) fn write(objectives: &[Objective]) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(&RawFile {
        objectives: Some(objectives.iter().map(RawObjective::from).collect()),
    })
}

impl From<&Objective> for RawObjective {
    fn from(objective: &Objective) -> Self {
        let mut raw = Self {
            name: Some(objective.name.clone()),
            of: match objective.of {
                Subject::Journeys => None,
                Subject::Endpoint(endpoint) => Some(endpoint.name().to_owned()),
            },
            stage: objective.stage.clone(),
            over: objective.over.map(Span),
            abort_after: objective.abort_after.map(Span),
            ..Self::default()
        };
        match objective.limit {
            Limit::Quantile { quantile, most } => {
                let key = match quantile.0 {
                    q if q < 0.9 => &mut raw.p50,
                    q if q < 0.95 => &mut raw.p90,
                    q if q < 0.99 => &mut raw.p95,
                    q if q < 0.999 => &mut raw.p99,
                    _ => &mut raw.p999,
                };
                *key = Some(Span(most));
            }
            Limit::Failed { most } => raw.failed = Some(Share(most)),
            Limit::Offered { least } => raw.offered = Some(Share(least)),
        }
        raw
    }
}
