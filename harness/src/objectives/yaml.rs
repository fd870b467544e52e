//! The YAML of objectives: which keys there are, and the rules between their values.

use serde::{Deserialize, Serialize};

use super::{Limit, Objective, Subject};
use crate::config::scalars::{Share, Span};
use crate::config::strict::{self, Problems, Step};
use crate::config::{ConfigError, ScenarioConfig};
use crate::recording::Endpoint;
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
    fn limits(&self) -> Vec<Limit> {
        let quantiles = [
            (0.5, self.p50),
            (0.9, self.p90),
            (0.95, self.p95),
            (0.99, self.p99),
            (0.999, self.p999),
        ];
        let quantiles = quantiles.into_iter().filter_map(|(quantile, most)| {
            Some(Limit::Quantile {
                quantile: Ratio(quantile),
                most: most?.0,
            })
        });
        let failed = self.failed.map(|most| Limit::Failed { most: most.0 });
        let offered = self.offered.map(|least| Limit::Offered { least: least.0 });
        quantiles.chain(failed).chain(offered).collect()
    }
}

pub(super) fn parse(file: &str, text: &str, scenario: &ScenarioConfig) -> Result<Vec<Objective>, ConfigError> {
    let (raw, mut problems) = strict::read::<RawFile>(file, text);
    let read = raw.map(|raw| {
        let list = raw.objectives.unwrap_or_default();
        if list.is_empty() {
            problems.add(&["objectives".into()], "there must be one at least");
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
    if let Some(stage) = &raw.stage
        && !scenario.stages.iter().any(|known| known.name == *stage)
    {
        let known: Vec<String> = scenario.stages.iter().map(|stage| stage.name.clone()).collect();
        problems.add(&path(n, "stage"), strict::unknown_message(stage, &known));
    }
    for (key, span) in [("over", raw.over), ("abort-after", raw.abort_after)] {
        if span.is_some_and(|span| span.0.as_secs() < 1) {
            problems.add(&path(n, key), "what ended is counted by the second; write `1s` or more");
        }
    }
    if raw.abort_after.is_some() && raw.over.is_none() {
        let message = "a run is ended by what windows say: it needs `over: 10s` for instance";
        problems.add(&path(n, "abort-after"), message);
    }
    let limits = raw.limits();
    let limit = match limits.as_slice() {
        [limit] => *limit,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shipped;

    fn read(text: &str) -> Result<Vec<Objective>, ConfigError> {
        parse("o.yaml", text, &shipped::scenario("smoke").unwrap())
    }

    #[test]
    fn what_is_read_can_be_written_and_read_again() {
        let text = "objectives:\n  \
            - {name: a, of: seats, p99: 250ms, over: 5s, abort-after: 20s}\n  \
            - {p50: 10ms}\n  - {p90: 10ms}\n  - {p95: 10ms}\n  - {p999: 1s, of: journey-book}\n  \
            - {failed: 1%, over: 10s}\n  - {offered: 99%}\n";
        let objectives = read(text).unwrap();
        let names: Vec<&str> = objectives.iter().map(|objective| objective.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "a",
                "journeys p50 ≤ 10ms",
                "journeys p90 ≤ 10ms",
                "journeys p95 ≤ 10ms",
                "journey-book p99.9 ≤ 1s",
                "journeys failed ≤ 1%",
                "journeys offered ≥ 99%"
            ]
        );
        assert_eq!(read(&write(&objectives).unwrap()).unwrap(), objectives);
    }

    #[test]
    fn every_fault_is_named_at_once_with_what_is_near() {
        let text = "objectives:\n\
            - {name: a, of: seat, p99: 250ms}\n\
            - {name: b, stage: pek, p99: 250ms}\n\
            - {name: c}\n\
            - {name: d, p99: 1s, failed: 1%}\n\
            - {name: e, p99: 1s, over: 200ms}\n\
            - {name: f, p99: 1s, abort-after: 5s}\n\
            - {name: g, offered: 99%, over: 5s}\n\
            - {name: a, p99: 1s}\n\
            - {name: a, p99: 2s}\n";
        let error = read(text).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        let expected = [
            "o.yaml:2: `objectives[0].of`: unknown name `seat`; did you mean `seats`?",
            "o.yaml:3: `objectives[1].stage`: unknown name `pek`",
            "o.yaml:4: `objectives[2].name`: an objective needs a limit",
            "o.yaml:5: `objectives[3].name`: an objective has one limit",
            "o.yaml:6: `objectives[4].over`: what ended is counted by the second",
            "o.yaml:7: `objectives[5].abort-after`: a run is ended by what windows say",
            "o.yaml:8: `objectives[6].over`: what was offered is told by the books",
            "o.yaml:10: `objectives[8].name`: two objectives are called `a`",
        ];
        assert_eq!(lines.len(), expected.len(), "{error}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "`{expected}` is not in `{line}`");
        }
    }
}
