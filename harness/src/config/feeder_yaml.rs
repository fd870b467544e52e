//! The YAML of a scenario's feeders.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::feeder::{Feeder, FeederSource, Field, MAX_FILE_BYTES, Order, ReadFile, Row};
use super::feeder_csv;
use super::journey_name::JourneyName;
use super::scenario::{JourneyKind, ScenarioConfig, Skew};
use super::strict::{Problems, Step};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFeeder {
    name: Option<String>,
    /// A file of rows, relative to the scenario's.
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<String>,
    /// The rows themselves, as recordings hold them.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated: Option<RawSkew>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<bool>,
    journeys: Option<Vec<JourneyName>>,
    /// The file that `csv` names: its path and what stands in it.
    #[serde(skip)]
    loaded: Option<(String, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSkew {
    pub(super) users: Option<f64>,
    pub(super) concerts: Option<f64>,
    pub(super) schedules: Option<f64>,
    pub(super) seats: Option<f64>,
}

impl RawSkew {
    pub(super) fn over(self, base: Self) -> Self {
        Self {
            users: self.users.or(base.users),
            concerts: self.concerts.or(base.concerts),
            schedules: self.schedules.or(base.schedules),
            seats: self.seats.or(base.seats),
        }
    }

    /// What is not given is as in `default`.
    pub(super) fn validate(self, default: Skew, path: &[Step], problems: &mut Problems) -> Skew {
        let mut exponent = |name: &str, value: Option<f64>, default: f64| {
            let value = value.unwrap_or(default);
            if !(0.0..=5.0).contains(&value) {
                problems.add(
                    &[path, &[name.into()]].concat(),
                    format!("{value} is no skew; 0 is even, 1.1 usual, 5 the most"),
                );
            }
            value
        };
        Skew {
            users: exponent("users", self.users, default.users),
            concerts: exponent("concerts", self.concerts, default.concerts),
            schedules: exponent("schedules", self.schedules, default.schedules),
            seats: exponent("seats", self.seats, default.seats),
        }
    }
}

impl From<Skew> for RawSkew {
    fn from(skew: Skew) -> Self {
        Self {
            users: Some(skew.users),
            concerts: Some(skew.concerts),
            schedules: Some(skew.schedules),
            seats: Some(skew.seats),
        }
    }
}

fn at(n: usize, name: &str) -> [Step; 3] {
    ["feeders".into(), n.into(), name.into()]
}

/// Reads the files that the feeders of `file` name.
pub(super) fn load(feeders: &mut [RawFeeder], file: &Path, read: ReadFile<'_>, problems: &mut Problems) {
    for (n, feeder) in feeders.iter_mut().enumerate() {
        let Some(name) = &feeder.csv else { continue };
        let path = file.parent().unwrap_or(Path::new("")).join(name);
        match read(&path).and_then(within_bounds) {
            Ok(text) => feeder.loaded = Some((path.display().to_string(), text)),
            Err(error) => problems.add(&at(n, "csv"), format!("cannot read {}: {error}", path.display())),
        }
    }
}

pub(super) fn within_bounds(text: Vec<u8>) -> io::Result<Vec<u8>> {
    if text.len() > MAX_FILE_BYTES {
        let message = format!("it is longer than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// `scenario` is complete but for its feeders.
pub(super) fn validate(raw: Vec<RawFeeder>, scenario: &ScenarioConfig, problems: &mut Problems) -> Vec<Feeder> {
    let mut feeders: Vec<Feeder> = Vec::with_capacity(raw.len());
    for (n, raw) in raw.into_iter().enumerate() {
        let name = raw.name.clone().unwrap_or_default();
        if name.is_empty() {
            problems.add(&at(n, "name"), "a feeder needs a `name`, by which a report can call it");
        } else if feeders.iter().any(|earlier| earlier.name == name) {
            problems.add(&at(n, "name"), format!("two feeders are called `{name}`"));
        }
        let journeys = journeys(n, &raw, scenario, problems);
        let Some(source) = source(n, &raw, scenario, problems) else {
            continue;
        };
        let feeder = Feeder { name, journeys, source };
        for earlier in &feeders {
            if let Some((journey, what)) = both_say(earlier, &feeder) {
                let journey = name_of(journey);
                let message = format!("`{}` gives `{journey}` {what} already", earlier.name);
                problems.add(&at(n, "journeys"), message);
            }
        }
        feeders.push(feeder);
    }
    feeders
}

fn journeys(n: usize, raw: &RawFeeder, scenario: &ScenarioConfig, problems: &mut Problems) -> Vec<JourneyKind> {
    let has_share = |kind: &JourneyKind| scenario.journeys.get(kind).is_some_and(|share| share.0 > 0.0);
    // Who is admitted before the run has a place and takes whatever is next; a row could not choose for them.
    let can_be_fed = |kind: &JourneyKind| raw.generated.is_some() || !kind.needs_admitted();
    let Some(named) = &raw.journeys else {
        let all = scenario.journeys.keys().copied();
        return all.filter(has_share).filter(can_be_fed).collect();
    };
    let mut journeys = Vec::new();
    for (place, JourneyName(kind)) in named.iter().enumerate() {
        let path = [&at(n, "journeys")[..], &[place.into()]].concat();
        let name = name_of(*kind);
        if !has_share(kind) {
            problems.add(
                &path,
                format!("`{name}` has no share of the arrivals; give it one in `journeys`, or take it out"),
            );
        } else if !can_be_fed(kind) {
            problems.add(
                &path,
                format!("`{name}` is of users who are admitted before the run, and rows cannot choose for them"),
            );
        } else if journeys.contains(kind) {
            problems.add(&path, format!("`{name}` is named twice"));
        }
        journeys.push(*kind);
    }
    if named.is_empty() {
        problems.add(
            &at(n, "journeys"),
            "a feeder that feeds no journey; leave the key out for all of them",
        );
    }
    journeys
}

fn source(n: usize, raw: &RawFeeder, scenario: &ScenarioConfig, problems: &mut Problems) -> Option<FeederSource> {
    let given = [raw.csv.is_some(), raw.rows.is_some(), raw.generated.is_some()];
    if given.iter().filter(|is_given| **is_given).count() != 1 {
        let message = "a feeder has one source: `csv: FILE`, `rows:` with the text of one, or `generated:` with skews";
        // Something of the wrong type is known of already.
        if !problems.is_known_below(&[Step::from("feeders"), n.into()]) {
            problems.add(&[Step::from("feeders"), n.into()], message);
        }
        return None;
    }
    if let Some(skew) = raw.generated {
        for (name, is_given) in [("order", raw.order.is_some()), ("again", raw.again.is_some())] {
            if is_given {
                problems.add(
                    &at(n, name),
                    format!("what is generated has no rows and never ends; take `{name}` out"),
                );
            }
        }
        return Some(FeederSource::Generated(skew.validate(
            scenario.skew,
            &at(n, "generated"),
            problems,
        )));
    }
    let order = raw.order.unwrap_or_default();
    if order == Order::Random && raw.again.is_some() {
        problems.add(&at(n, "again"), "rows at random never run dry; take `again` out");
    }
    let rows = match (&raw.loaded, &raw.rows) {
        (Some((file, text)), _) => feeder_csv::read(text, scenario).map_err(|wrong| {
            for (line, why) in wrong {
                problems.add_in(&at(n, "csv"), file, line, why);
            }
        }),
        (None, Some(text)) => feeder_csv::read(text.as_bytes(), scenario).map_err(|wrong| {
            let told: Vec<String> = wrong
                .into_iter()
                .map(|(line, why)| line.map_or_else(|| why.clone(), |line| format!("line {line} of it: {why}")))
                .collect();
            problems.add(&at(n, "rows"), told.join("; "));
        }),
        // The file could not be read, which is known.
        (None, None) => Err(()),
    };
    Some(FeederSource::Rows {
        rows: rows.ok()?.into(),
        order,
        again: raw.again.unwrap_or(false),
    })
}

/// A journey that two feeders both give the same, and what.
fn both_say(one: &Feeder, other: &Feeder) -> Option<(JourneyKind, &'static str)> {
    let journey = *one.journeys.iter().find(|journey| other.journeys.contains(journey))?;
    let what = match (&one.source, &other.source) {
        (FeederSource::Generated(_), FeederSource::Generated(_)) => "its skews",
        (FeederSource::Rows { rows: one, .. }, FeederSource::Rows { rows: other, .. }) => {
            let says = |rows: &[Row], field| rows.first().is_some_and(|row| row.get(field).is_some());
            let both = Field::ALL
                .into_iter()
                .find(|field| says(one, *field) && says(other, *field));
            match both? {
                Field::User => "its users",
                Field::Concert => "its concerts",
                Field::Schedule => "its schedules",
                Field::Seat => "its seats",
            }
        }
        _ => return None,
    };
    Some((journey, what))
}

fn name_of(journey: JourneyKind) -> String {
    // A unit variant is written as its name.
    serde_yaml::to_string(&journey).unwrap_or_default().trim().to_owned()
}

impl From<&Feeder> for RawFeeder {
    fn from(feeder: &Feeder) -> Self {
        let raw = Self {
            name: Some(feeder.name.clone()),
            journeys: Some(feeder.journeys.iter().copied().map(JourneyName).collect()),
            ..Self::default()
        };
        match &feeder.source {
            FeederSource::Generated(skew) => Self {
                generated: Some((*skew).into()),
                ..raw
            },
            FeederSource::Rows { rows, order, again } => Self {
                rows: Some(feeder_csv::write(rows)),
                order: Some(*order),
                again: again.then_some(true),
                ..raw
            },
        }
    }
}
