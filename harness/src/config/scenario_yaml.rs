//! The YAML of a scenario: which keys there are, and the rules between their values.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, IntoDeserializer as _, Visitor};
use serde::{Deserialize, Serialize};

use super::scalars::{Lateness, Rate, Share, Span};
use super::scenario::{ArrivalKind, Data, JourneyKind, Range, ScenarioConfig, Skew, Stage, Timeouts, default_users};
use super::strict::{self, ConfigError, Problems, Step};
use crate::units::{Percent, RatePerSec};

/// More journeys at once than this are beyond one process's descriptors.
const MAX_USERS: u32 = 50_000;

pub(super) fn parse(file: &str, text: &str) -> Result<ScenarioConfig, ConfigError> {
    let (raw, mut problems) = strict::read::<RawScenario>(file, text);
    let scenario = raw.and_then(|raw| validate(raw, &mut problems));
    problems.finish(scenario)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScenario {
    name: Option<String>,
    about: Option<String>,
    arrivals: Option<ArrivalKind>,
    max_late: Option<Lateness>,
    users: Option<u32>,
    admitted: Option<u32>,
    stages: Option<Vec<RawStage>>,
    journeys: Option<BTreeMap<JourneyName, Share>>,
    think: Option<RawRange>,
    poll: Option<Span>,
    timeouts: Option<RawTimeouts>,
    skew: Option<RawSkew>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concerts: Option<u32>,
    tops_up: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_broken: Option<bool>,
    data: Option<RawData>,
}

/// A journey as the key of a map. It is read as text: of a key that is read as an enum, nobody learns its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
struct JourneyName(JourneyKind);

impl<'de> Deserialize<'de> for JourneyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = JourneyName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a journey")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<JourneyName, E> {
                JourneyKind::deserialize(name.into_deserializer()).map(JourneyName)
            }
        }
        deserializer.deserialize_str(Name)
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawStage {
    name: Option<String>,
    #[serde(rename = "for")]
    length: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_users: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_users_from: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_users_to: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_up: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawTimeouts {
    request: Option<Span>,
    admission: Option<Span>,
    drain: Option<Span>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawData {
    users: Option<u32>,
    concerts: Option<u32>,
    schedules_per_concert: Option<u32>,
    seats_per_schedule: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRange {
    from: Option<Span>,
    to: Option<Span>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawSkew {
    users: Option<f64>,
    concerts: Option<f64>,
    schedules: Option<f64>,
    seats: Option<f64>,
}

fn validate(raw: RawScenario, problems: &mut Problems<'_>) -> Option<ScenarioConfig> {
    let key = |name: &str| vec![Step::from(name)];
    let name = raw.name.unwrap_or_default();
    if name.is_empty() {
        problems.add(&key("name"), "a scenario needs a `name`");
    }
    let stages = validate_stages(raw.stages.unwrap_or_default(), problems);
    let journeys: BTreeMap<JourneyKind, Percent> = raw
        .journeys
        .unwrap_or_default()
        .into_iter()
        .map(|(name, share)| (name.0, share.0))
        .collect();
    let whole: f64 = journeys.values().map(|share| share.0).sum();
    // A problem inside the map has taken a share out, so the sum is known to be wrong then.
    if (whole - 100.0).abs() > 1e-6 && !problems.is_known_below(&key("journeys")) {
        problems.add(
            &key("journeys"),
            format!("the shares must add up to 100%, and these make {whole}%"),
        );
    }
    let timeouts = raw.timeouts.unwrap_or_default();
    let defaults = Timeouts::default();
    let timeouts = Timeouts {
        request: timeouts.request.map_or(defaults.request, |span| span.0),
        admission: timeouts.admission.map_or(defaults.admission, |span| span.0),
        drain: timeouts.drain.map_or(defaults.drain, |span| span.0),
    };
    if timeouts.request.is_zero() {
        problems.add(
            &["timeouts".into(), "request".into()],
            "no request ends within no time; write `5s` for instance",
        );
    }
    let think = raw.think.unwrap_or_default();
    let from = think.from.map_or(Duration::ZERO, |span| span.0);
    let think = Range {
        from,
        to: think.to.map_or(from, |span| span.0),
    };
    if think.to < think.from {
        problems.add(&["think".into(), "to".into()], "the range ends before it begins");
    }
    let users = raw.users.unwrap_or_else(|| default_users(&stages, timeouts));
    if users == 0 || users > MAX_USERS {
        problems.add(
            &key("users"),
            format!("{users} users cannot be run; between 1 and {MAX_USERS} can"),
        );
    }
    let most_virtual = stages
        .iter()
        .map(|stage| stage.virtual_users.0.max(stage.virtual_users.1));
    if let Some(most) = most_virtual.max().filter(|most| *most > MAX_USERS) {
        problems.add(
            &key("stages"),
            format!("{most} virtual users cannot be run at once; up to {MAX_USERS} can"),
        );
    }
    let poll = raw.poll.map_or(Duration::from_millis(250), |span| span.0);
    if poll.is_zero() {
        problems.add(
            &key("poll"),
            "polling without a pause is no user's behaviour; write `250ms` for instance",
        );
    }
    let raw_skew = raw.skew.unwrap_or_default();
    let default_skew = Skew::default();
    let mut exponent = |name: &str, value: Option<f64>, default: f64| {
        let value = value.unwrap_or(default);
        if !(0.0..=5.0).contains(&value) {
            problems.add(
                &["skew".into(), name.into()],
                format!("{value} is no skew; 0 is even, 1.1 usual, 5 the most"),
            );
        }
        value
    };
    let skew = Skew {
        users: exponent("users", raw_skew.users, default_skew.users),
        concerts: exponent("concerts", raw_skew.concerts, default_skew.concerts),
        schedules: exponent("schedules", raw_skew.schedules, default_skew.schedules),
        seats: exponent("seats", raw_skew.seats, default_skew.seats),
    };
    let data = validate_data(raw.data.unwrap_or_default(), problems);
    if let Some(concerts) = raw.concerts.filter(|concerts| *concerts > data.concerts) {
        problems.add(
            &key("concerts"),
            format!("{concerts} concerts are asked for, of {} that there are", data.concerts),
        );
    }
    if raw.concerts == Some(0) {
        problems.add(
            &key("concerts"),
            "there must be a concert to ask for; leave it out for all of them",
        );
    }
    Some(
        ScenarioConfig {
            name,
            about: raw.about.unwrap_or_default(),
            arrivals: raw.arrivals.unwrap_or_default(),
            max_late: raw.max_late.and_then(|lateness| lateness.0),
            users,
            admitted: raw.admitted.unwrap_or(0),
            stages,
            journeys,
            think,
            poll,
            timeouts,
            skew,
            concerts: raw.concerts,
            tops_up: raw.tops_up.unwrap_or(false),
            until_broken: raw.until_broken.unwrap_or(false),
            data,
        }
        .with_default_admitted(),
    )
}

/// More seats than this take minutes to create.
const MAX_SEATS: u64 = 10_000_000;

fn validate_data(raw: RawData, problems: &mut Problems<'_>) -> Data {
    let default = Data::default();
    let mut number = |name: &str, value: Option<u32>, default: u32| {
        let value = value.unwrap_or(default);
        if value == 0 {
            problems.add(&["data".into(), name.into()], "there must be one at least");
        }
        value
    };
    let data = Data {
        users: number("users", raw.users, default.users),
        concerts: number("concerts", raw.concerts, default.concerts),
        schedules_per_concert: number(
            "schedules-per-concert",
            raw.schedules_per_concert,
            default.schedules_per_concert,
        ),
        seats_per_schedule: number("seats-per-schedule", raw.seats_per_schedule, default.seats_per_schedule),
    };
    let parts = [data.concerts, data.schedules_per_concert, data.seats_per_schedule];
    let seats = parts.into_iter().map(u64::from).fold(1, u64::saturating_mul);
    if seats > MAX_SEATS {
        problems.add(
            &["data".into()],
            format!("{seats} seats are too many; up to {MAX_SEATS} can be created"),
        );
    }
    data
}

fn validate_stages(raw: Vec<RawStage>, problems: &mut Problems<'_>) -> Vec<Stage> {
    if raw.is_empty() {
        problems.add(&["stages".into()], "a scenario needs at least one stage");
    }
    let mut stages: Vec<Stage> = Vec::with_capacity(raw.len());
    for (n, stage) in raw.into_iter().enumerate() {
        let path = |name: &str| vec![Step::from("stages"), Step::from(n), Step::from(name)];
        let name = stage.name.unwrap_or_else(|| format!("stage {}", n + 1));
        if stages.iter().any(|earlier| earlier.name == name) {
            problems.add(&path("name"), format!("two stages are called `{name}`"));
        }
        let length = stage.length.map_or(Duration::ZERO, |span| span.0);
        if stage.length.is_none() {
            problems.add(&path("for"), "a stage needs its length, as in `for: 20s`");
        } else if length.is_zero() {
            problems.add(
                &path("for"),
                "a stage of no length offers nothing; for a step, give the next stage its rate",
            );
        }
        let virtual_users = match (stage.virtual_users, stage.virtual_users_from, stage.virtual_users_to) {
            (None, None, None) => None,
            (Some(users), None, None) => Some((users, users)),
            (None, Some(from), Some(to)) => Some((from, to)),
            (Some(_), _, _) => {
                problems.add(
                    &path("virtual-users"),
                    "a stage has either `virtual-users` or a ramp `virtual-users-from` … `virtual-users-to`, not both",
                );
                Some((1, 1))
            }
            (None, from, _) => {
                let missing = if from.is_some() {
                    "virtual-users-to"
                } else {
                    "virtual-users-from"
                };
                problems.add(
                    &path(missing),
                    "a ramp needs both `virtual-users-from` and `virtual-users-to`",
                );
                Some((1, 1))
            }
        };
        if virtual_users == Some((0, 0)) {
            problems.add(&path("virtual-users"), "no users ask for nothing; leave the key out");
        }
        let (from, to) = match (stage.rate, stage.from, stage.to) {
            (Some(rate), None, None) => (rate.0, rate.0),
            (None, Some(from), Some(to)) => (from.0, to.0),
            (None, None, None) => {
                if virtual_users.is_none() {
                    problems.add(
                        &path("rate"),
                        "a stage needs `rate: 300/s`, or `from` and `to` for a ramp, or `virtual-users: 100`",
                    );
                }
                (RatePerSec(0.0), RatePerSec(0.0))
            }
            (Some(_), _, _) => {
                problems.add(
                    &path("rate"),
                    "a stage has either a `rate` or a ramp `from` … `to`, not both",
                );
                (RatePerSec(0.0), RatePerSec(0.0))
            }
            (None, from, _) => {
                let missing = if from.is_some() { "to" } else { "from" };
                problems.add(&path(missing), "a ramp needs both `from` and `to`");
                (RatePerSec(0.0), RatePerSec(0.0))
            }
        };
        let is_given = stage.rate.is_some() || (stage.from.is_some() && stage.to.is_some());
        if is_given && from.0 <= 0.0 && to.0 <= 0.0 {
            let name = if stage.rate.is_some() { "rate" } else { "to" };
            problems.add(
                &path(name),
                "a rate of nothing offers nothing; take the stage out, or give it a rate",
            );
        }
        stages.push(Stage {
            name,
            length,
            from,
            to,
            virtual_users: virtual_users.unwrap_or((0, 0)),
            is_warm_up: stage.warm_up.unwrap_or(false),
        });
    }
    stages
}

impl From<&ScenarioConfig> for RawScenario {
    fn from(scenario: &ScenarioConfig) -> Self {
        Self {
            name: Some(scenario.name.clone()),
            about: Some(scenario.about.clone()),
            arrivals: Some(scenario.arrivals),
            max_late: Some(Lateness(scenario.max_late)),
            users: Some(scenario.users),
            admitted: Some(scenario.admitted),
            stages: Some(scenario.stages.iter().map(RawStage::from).collect()),
            journeys: Some(
                scenario
                    .journeys
                    .iter()
                    .map(|(kind, share)| (JourneyName(*kind), Share(*share)))
                    .collect(),
            ),
            think: Some(RawRange {
                from: Some(Span(scenario.think.from)),
                to: Some(Span(scenario.think.to)),
            }),
            poll: Some(Span(scenario.poll)),
            timeouts: Some(RawTimeouts {
                request: Some(Span(scenario.timeouts.request)),
                admission: Some(Span(scenario.timeouts.admission)),
                drain: Some(Span(scenario.timeouts.drain)),
            }),
            skew: Some(RawSkew {
                users: Some(scenario.skew.users),
                concerts: Some(scenario.skew.concerts),
                schedules: Some(scenario.skew.schedules),
                seats: Some(scenario.skew.seats),
            }),
            concerts: scenario.concerts,
            tops_up: Some(scenario.tops_up),
            until_broken: scenario.until_broken.then_some(true),
            data: Some(RawData {
                users: Some(scenario.data.users),
                concerts: Some(scenario.data.concerts),
                schedules_per_concert: Some(scenario.data.schedules_per_concert),
                seats_per_schedule: Some(scenario.data.seats_per_schedule),
            }),
        }
    }
}

impl From<&Stage> for RawStage {
    fn from(stage: &Stage) -> Self {
        let (from, to) = stage.virtual_users;
        let has_arrivals = stage.from.0 > 0.0 || stage.to.0 > 0.0;
        let is_constant = stage.from == stage.to;
        Self {
            name: Some(stage.name.clone()),
            length: Some(Span(stage.length)),
            rate: (has_arrivals && is_constant).then_some(Rate(stage.from)),
            from: (!is_constant).then_some(Rate(stage.from)),
            to: (!is_constant).then_some(Rate(stage.to)),
            virtual_users: (from == to && from > 0).then_some(from),
            virtual_users_from: (from != to).then_some(from),
            virtual_users_to: (from != to).then_some(to),
            warm_up: stage.is_warm_up.then_some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let error = ScenarioConfig::parse("s.yaml", text)
            .expect_err("should be refused")
            .to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{error}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "`{expected}` is not in `{line}`");
        }
    }

    #[test]
    fn units_and_keys_are_checked_all_at_once() {
        check(
            "name: a\nstages:\n  - name: one\n    for: 20\n    rate: 300\n  - nmae: two\n    for: 5s\n    rate: 10/s\n\
             journeys: {brows: 50%, book: 50, abandon: 5}\nuser: 4\n",
            &[
                "s.yaml:4: `stages[0].for`: `20` has no unit; write `20s`",
                "s.yaml:5: `stages[0].rate`: `300` has no unit; write `300/s`",
                "s.yaml:6: `stages[1].nmae`: unknown name `nmae`; did you mean `name`?",
                "s.yaml:9: `journeys.brows`: unknown name `brows`; did you mean `browse`?",
                "s.yaml:9: `journeys.book`: `50` has no unit; write `50%`",
                "s.yaml:9: `journeys.abandon`: `5` has no unit; write `5%`",
                "s.yaml:10: `user`: unknown name `user`; did you mean `users`?",
            ],
        );
    }

    #[test]
    fn rules_between_values_are_checked() {
        check(
            "name: a\nstages:\n  - {name: x, for: 0s, rate: 1/s}\n  - {name: x, for: 1s, rate: 0/s}\n  - {for: 1s, from: 1/s}\n\
             journeys: {book: 40%}\nusers: 0\nthink: {from: 2s, to: 1s}\nskew: {seats: -1}\npoll: 0s\n",
            &[
                "s.yaml:3: `stages[0].for`: a stage of no length",
                "s.yaml:4: `stages[1].name`: two stages are called `x`",
                "s.yaml:4: `stages[1].rate`: a rate of nothing",
                "s.yaml:5: `stages[2].to`: a ramp needs both",
                "s.yaml:6: `journeys`: the shares must add up to 100%, and these make 40%",
                "s.yaml:7: `users`: 0 users",
                "s.yaml:8: `think.to`: the range ends",
                "s.yaml:9: `skew.seats`: -1 is no skew",
                "s.yaml:10: `poll`: polling without a pause",
            ],
        );
    }

    #[test]
    fn an_empty_scenario_names_what_it_needs() {
        check(
            "about: nothing\n",
            &[
                "`name`: a scenario needs",
                "`stages`: a scenario needs",
                "`journeys`: the shares",
            ],
        );
    }
}
