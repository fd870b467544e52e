//! The YAML of a scenario: which keys there are, and the rules between their values.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::extends;
use super::feeder::ReadFile;
use super::feeder_yaml::{self, RawFeeder, RawSkew};
use super::journey_name::JourneyName;
use super::scalars::{Lateness, Share, Span};
use super::scenario::{ArrivalKind, Data, JourneyKind, Range, ScenarioConfig, Skew, Timeouts, default_users};
use super::stage_yaml::{self, RawStage};
use super::strict::{ConfigError, Problems, Step};
use crate::units::Percent;

/// More journeys at once than this are beyond one process's descriptors.
const MAX_USERS: u32 = 50_000;

/// `read` reads what the scenario names beside itself.
pub(super) fn parse(file: &str, text: &str, read: ReadFile<'_>) -> Result<ScenarioConfig, ConfigError> {
    let (raw, mut problems) = extends::read(file, text, read);
    let scenario = raw.and_then(|raw| validate(raw, &mut problems));
    problems.finish(scenario)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScenario {
    /// A scenario that ships, or a file: what this one does not say is as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extends: Option<String>,
    name: Option<String>,
    about: Option<String>,
    arrivals: Option<ArrivalKind>,
    max_late: Option<Lateness>,
    users: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u32>,
    admitted: Option<u32>,
    stages: Option<Vec<RawStage>>,
    journeys: Option<BTreeMap<JourneyName, Share>>,
    think: Option<RawRange>,
    poll: Option<Span>,
    timeouts: Option<RawTimeouts>,
    skew: Option<RawSkew>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) feeders: Option<Vec<RawFeeder>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concerts: Option<u32>,
    tops_up: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_broken: Option<bool>,
    data: Option<RawData>,
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

impl RawScenario {
    /// What neither says is `None`. Maps of settings are merged key by key; stages, journeys and feeders are one thing each.
    pub(super) fn over(self, base: Self) -> Self {
        Self {
            extends: None,
            name: self.name.or(base.name),
            about: self.about.or(base.about),
            arrivals: self.arrivals.or(base.arrivals),
            max_late: self.max_late.or(base.max_late),
            users: self.users.or(base.users),
            connections: self.connections.or(base.connections),
            admitted: self.admitted.or(base.admitted),
            stages: self.stages.or(base.stages),
            journeys: self.journeys.or(base.journeys),
            think: both(self.think, base.think, |own, base| RawRange {
                from: own.from.or(base.from),
                to: own.to.or(base.to),
            }),
            poll: self.poll.or(base.poll),
            timeouts: both(self.timeouts, base.timeouts, |own, base| RawTimeouts {
                request: own.request.or(base.request),
                admission: own.admission.or(base.admission),
                drain: own.drain.or(base.drain),
            }),
            skew: both(self.skew, base.skew, RawSkew::over),
            feeders: self.feeders.or(base.feeders),
            concerts: self.concerts.or(base.concerts),
            tops_up: self.tops_up.or(base.tops_up),
            until_broken: self.until_broken.or(base.until_broken),
            data: both(self.data, base.data, |own, base| RawData {
                users: own.users.or(base.users),
                concerts: own.concerts.or(base.concerts),
                schedules_per_concert: own.schedules_per_concert.or(base.schedules_per_concert),
                seats_per_schedule: own.seats_per_schedule.or(base.seats_per_schedule),
            }),
        }
    }
}

fn both<T>(own: Option<T>, base: Option<T>, merge: impl FnOnce(T, T) -> T) -> Option<T> {
    match (own, base) {
        (Some(own), Some(base)) => Some(merge(own, base)),
        (own, base) => own.or(base),
    }
}

fn validate(raw: RawScenario, problems: &mut Problems) -> Option<ScenarioConfig> {
    let key = |name: &str| vec![Step::from(name)];
    let name = raw.name.unwrap_or_default();
    if name.is_empty() {
        problems.add(&key("name"), "a scenario needs a `name`");
    }
    let stages = stage_yaml::validate(raw.stages.unwrap_or_default(), problems);
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
    let skew = raw.skew.unwrap_or_default();
    let skew = skew.validate(Skew::default(), &[Step::from("skew")], problems);
    let data = validate_data(raw.data.unwrap_or_default(), problems);
    if let Some(concerts) = raw.concerts.filter(|concerts| *concerts > data.concerts) {
        problems.add(
            &key("concerts"),
            format!("{concerts} concerts are asked for, of {} that there are", data.concerts),
        );
    }
    if raw.max_late == Some(Lateness(Some(Duration::ZERO))) {
        problems.add(
            &key("max-late"),
            "every arrival is started a moment after it is due, so all would be dropped; write `100ms` for instance, or \
             `never`",
        );
    }
    if raw.connections == Some(0) {
        problems.add(
            &key("connections"),
            "without a connection nobody is asked; leave it out for one a user",
        );
    }
    if raw.concerts == Some(0) {
        problems.add(
            &key("concerts"),
            "there must be a concert to ask for; leave it out for all of them",
        );
    }
    let scenario = ScenarioConfig {
        name,
        about: raw.about.unwrap_or_default(),
        arrivals: raw.arrivals.unwrap_or_default(),
        max_late: raw.max_late.and_then(|lateness| lateness.0),
        users,
        connections: raw.connections,
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
        feeders: Vec::new(),
        data,
    }
    .with_default_admitted();
    let feeders = feeder_yaml::validate(raw.feeders.unwrap_or_default(), &scenario, problems);
    Some(ScenarioConfig { feeders, ..scenario })
}

/// More seats than this take minutes to create.
const MAX_SEATS: u64 = 10_000_000;

fn validate_data(raw: RawData, problems: &mut Problems) -> Data {
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

impl From<&ScenarioConfig> for RawScenario {
    fn from(scenario: &ScenarioConfig) -> Self {
        Self {
            extends: None,
            name: Some(scenario.name.clone()),
            about: Some(scenario.about.clone()),
            arrivals: Some(scenario.arrivals),
            max_late: Some(Lateness(scenario.max_late)),
            users: Some(scenario.users),
            connections: scenario.connections,
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
            skew: Some(RawSkew::from(scenario.skew)),
            feeders: (!scenario.feeders.is_empty()).then(|| scenario.feeders.iter().map(RawFeeder::from).collect()),
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
            "name: a\nstages:\n  - {name: x, for: 0s, from: 1/s, to: 9/s}\n  - {name: x, for: 1s, rate: 0/s, warm-up: true, cool-down: true}\n  - {for: 1s, from: 1/s}\n\
             journeys: {book: 40%}\nusers: 0\nthink: {from: 2s, to: 1s}\nskew: {seats: -1}\npoll: 0s\n",
            &[
                "s.yaml:3: `stages[0].for`: a stage of no length",
                "s.yaml:4: `stages[1].name`: two stages are called `x`",
                "s.yaml:4: `stages[1].cool-down`: a stage is the warm-up, the cool-down or neither",
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

    #[test]
    fn how_late_an_arrival_may_start_is_a_length_of_time_or_never() {
        let text = |max_late: &str| {
            format!("name: a\nstages: [{{for: 1s, rate: 9/s}}]\njourneys: {{book: 100%}}\nmax-late: {max_late}\n")
        };
        for (written, expected) in [("never", None), ("250ms", Some(250)), ("1s", Some(1_000))] {
            let read = ScenarioConfig::parse("s.yaml", &text(written)).unwrap();
            assert_eq!(read.max_late, expected.map(Duration::from_millis));
            // What a recording holds says the same.
            let again = ScenarioConfig::parse("s.yaml", &read.to_yaml().unwrap()).unwrap();
            assert_eq!(again.max_late, read.max_late);
        }
        let unsaid = ScenarioConfig::parse("s.yaml", text("never").trim_end_matches("max-late: never\n")).unwrap();
        assert_eq!(unsaid.max_late, None);
        check(
            &text("0s"),
            &["s.yaml:4: `max-late`: every arrival is started a moment after it is due"],
        );
        check(
            &text("-1s"),
            &["s.yaml:4: `max-late`: `-1s` is not `never`, or a length of time"],
        );
        check(&text("250"), &["s.yaml:4: `max-late`: `250` has no unit; write `250s`"]);
        check(
            &text("sometimes"),
            &["s.yaml:4: `max-late`: `sometimes` is not `never`, or a length of time"],
        );
    }
}
