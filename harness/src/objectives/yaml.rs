//! The YAML of objectives: which keys there are, and the rules between their values.

use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shipped;
    use crate::units::RatePerSec;

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

    /// One error for each of these files, at this line.
    #[track_caller]
    fn refused(scenario: &ScenarioConfig, objective: &str, expected: &str) {
        let text = format!("objectives:\n  - {objective}\n");
        let error = parse("o.yaml", &text, scenario)
            .expect_err("should be refused")
            .to_string();
        assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
    }

    #[test]
    fn a_window_that_no_stage_has_room_for_is_refused() {
        // 3 s of warm-up, then 12 s.
        let smoke = shipped::scenario("smoke").unwrap();
        let steady = &smoke.stages[1].name;
        for (length, is_read) in [("12s", true), ("13s", false)] {
            for stage in ["".to_owned(), format!(", stage: {steady}")] {
                let text = format!("objectives:\n  - {{p99: 1s, over: {length}{stage}}}\n");
                assert_eq!(read(&text).is_ok(), is_read, "{text}");
            }
        }
        refused(
            &smoke,
            "{p99: 1s, over: 13s}",
            "o.yaml:2: `objectives[0].over`: no window of 13s fits into the measured stages, which last 12s in a row, so \
             nothing would ever be judged; write `12s` or less",
        );
        refused(
            &smoke,
            "{p99: 1s, over: 4s, stage: warm-up}",
            "o.yaml:2: `objectives[0].over`: no window of 4s fits into the stage `warm-up`, which lasts 3s",
        );
        // A stage that is not measured parts its neighbours.
        let mut parted = smoke.clone();
        let (mut pause, mut again) = (smoke.stages[0].clone(), smoke.stages[1].clone());
        ("pause".clone_into(&mut pause.name), "again".clone_into(&mut again.name));
        parted.stages.extend([pause, again.clone()]);
        refused(
            &parted,
            "{p99: 1s, over: 13s}",
            "o.yaml:2: `objectives[0].over`: no window of 13s",
        );
        let mut touching = smoke.clone();
        touching.stages.push(again);
        assert!(parse("o.yaml", "objectives: [{p99: 1s, over: 24s}]", &touching).is_ok());
        let mut unmeasured = smoke.clone();
        unmeasured.stages.truncate(1);
        refused(
            &unmeasured,
            "{p99: 1s}",
            "o.yaml:2: `objectives[0].stage`: every stage of the scenario is a warm-up or a cool-down",
        );
    }

    #[test]
    fn limits_that_every_run_or_no_run_misses_are_refused() {
        let smoke = shipped::scenario("smoke").unwrap();
        refused(
            &smoke,
            "{p99: 0s}",
            "o.yaml:2: `objectives[0].p99`: nobody is answered in no time",
        );
        refused(
            &smoke,
            "{failed: 100%}",
            "o.yaml:2: `objectives[0].failed`: more than all cannot fail",
        );
        refused(
            &smoke,
            "{offered: 0%}",
            "o.yaml:2: `objectives[0].offered`: less than nothing",
        );
        // These are strict, and can be kept.
        assert!(read("objectives: [{failed: 0%}, {offered: 100%}, {p50: 1us}]").is_ok());
        let mut closed = smoke.clone();
        for stage in &mut closed.stages {
            (stage.from, stage.to, stage.virtual_users) = (RatePerSec(0.0), RatePerSec(0.0), (5, 5));
        }
        refused(
            &closed,
            "{offered: 99%}",
            "o.yaml:2: `objectives[0].offered`: virtual users alone come in this scenario",
        );
        assert!(parse("o.yaml", "objectives: [{p99: 1s}]", &closed).is_ok());
    }

    #[test]
    fn a_file_without_an_objective_is_refused() {
        let error = read("# none yet\nobjectives: []\n").unwrap_err().to_string();
        assert!(
            error.starts_with("o.yaml:2: `objectives`: there must be one at least"),
            "{error}"
        );
    }
}
