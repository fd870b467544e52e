//! The report of one run: what was offered, what was achieved, and how long users waited.

use std::collections::BTreeMap;

use super::judgement::{Judgement, value_of, window_of};
use super::{KindError, blank, common};
use crate::analysis::cuts::{self, Cut, Ended};
use crate::analysis::quantile::Value;
use crate::analysis::steady::{Steadiness, steadiness};
use crate::chart::{self, Band, BandKind, Chart, Curve, CurveStyle, Figure, Key, Panel, Timeline};
use crate::config::Stage;
use crate::format::{self, Unit};
use crate::objectives::{Limit, Ruling, Subject};
use crate::recording::event::{Accounting, NoteLevel, What};
use crate::recording::{Clock, Endpoint, RecordError, Recording};
use crate::report::{Badges, Cell, ChartBlock, Column, Document, GotWorse, Section, Table, Text};
use crate::units::{Nanos, Ratio};

/// A stage that moves by more than this share of its median has not settled.
const MOST_DRIFT: f64 = 0.1;

/// Builds the report.
pub(super) fn document(recording: &Recording) -> Result<Document, KindError> {
    let judgement = Judgement::of(recording)?;
    let validity = &judgement.validity;
    let badges = common::badges(&judgement.ledger, &judgement.events, &validity.doubts, validity.lag_p99);
    let run = Run {
        measured: Measured::of(recording)?,
        judgement,
    };
    Ok(run.document(recording, badges))
}

/// What ended between two cuts. Times are in seconds, of journeys; `None` where nothing was measured, or the rank falls
/// on what has no answer.
struct Second {
    start: Nanos,
    length_s: f64,
    /// Journeys that ended well.
    ok: u64,
    /// Journeys that failed, were dropped or were cut off.
    failed: u64,
    response_p50: Option<f64>,
    response_p99: Option<f64>,
    lag_p99: Option<f64>,
    wait_p99: Option<f64>,
}

impl Second {
    fn of(cut: &Cut) -> Self {
        let journeys = cut.by(|tag| tag.endpoint.is_journey().then_some(()));
        let journeys = journeys.into_values().next().unwrap_or_default();
        let seconds = |clock, q| seconds(journeys.quantile(clock, Ratio(q)));
        Self {
            start: cut.start,
            length_s: cut.length.as_secs_f64(),
            ok: journeys.ok(),
            failed: journeys.count(|outcome| !outcome.is_served()),
            response_p50: seconds(Clock::Response, 0.5),
            response_p99: seconds(Clock::Response, 0.99),
            lag_p99: seconds(Clock::Lag, 0.99),
            wait_p99: seconds(Clock::Wait, 0.99),
        }
    }
}

fn seconds(value: Option<Value>) -> Option<f64> {
    value.and_then(Value::finite).map(|ns| Nanos(ns).as_secs_f64())
}

/// What ended, second by second, and over the whole run, warm-up included.
#[derive(Default)]
struct Measured {
    seconds: Vec<Second>,
    rows: BTreeMap<Endpoint, Ended>,
}

impl Measured {
    fn of(recording: &Recording) -> Result<Self, RecordError> {
        let mut measured = Self::default();
        cuts::each_second::<RecordError>(recording, |cut| {
            measured.seconds.push(Second::of(cut));
            for (endpoint, ended) in cut.by(|tag| Some(tag.endpoint)) {
                measured.rows.entry(endpoint).or_default().join(&ended);
            }
            Ok(())
        })?;
        Ok(measured)
    }
}

struct Run {
    judgement: Judgement,
    measured: Measured,
}

impl Run {
    fn document(&self, recording: &Recording, badges: Badges) -> Document {
        let mut document = blank(recording, &format!("Run: {}", self.judgement.scenario.name), badges);
        (document.verdict, document.sentence) = self.judgement.verdict();
        document.sections = vec![
            Section::new("What was offered, and what came of it")
                .with(self.timeline())
                .with(accounts(&self.judgement.books))
                .with(self.outcomes()),
            self.objectives(),
            Section::new("How long users waited")
                .with(
                    "Response times begin when a user wanted to start, service times with the send. Only a journey's first \
                     request has an intended start of its own. Asked for: time-outs, arrivals that were dropped and journeys that were cut off count as \
                     endlessly slow.",
                )
                .with(self.times()),
            self.settling(),
            Section::new("Was anything sold twice, or lost?").with(common::invariants_table(&self.judgement.ledger)),
        ];
        document.got_worse = GotWorse::unknown("one run was made, and compared with nothing");
        let warnings = self.judgement.events.iter().filter_map(|event| match &event.what {
            What::Note {
                level: NoteLevel::Warning,
                text,
            } => Some(text),
            _ => None,
        });
        let notes = self.judgement.validity.notes.iter().chain(warnings);
        document.notes = notes.map(|note| Text::plain(note.clone())).collect();
        document
    }

    fn objectives(&self) -> Section {
        let section = Section::new("Was it good enough?");
        if self.judgement.judged.is_empty() {
            return section.with(Text::marked(
                "The run was held to no objective; `--objectives FILE` names them.",
            ));
        }
        let mut table = Table::new(
            "Objectives: a window that slides second by second decides, and one beyond the limit is a miss",
            [
                Column::text("Objective"),
                Column::text("Of"),
                Column::text("Limit"),
                Column::text("Window"),
                Column::text("Worst"),
                Column::text("At"),
                Column::text("Verdict"),
            ],
        );
        for (objective, ruling) in &self.judgement.judged {
            let worst = ruling.worst();
            table.row([
                Cell::from(objective.name.clone()),
                Cell::from(objective.of.to_string()),
                Cell::from(objective.limit.to_string()),
                Cell::from(window_of(objective)),
                Cell::from(value_of(objective.limit, worst.map(|worst| worst.value))),
                Cell::from(worst.map_or_else(
                    || format::MISSING.to_owned(),
                    |worst| {
                        format!(
                            "{:.0} to {:.0} s",
                            self.judgement.at(worst.from),
                            self.judgement.at(worst.until)
                        )
                    },
                )),
                Cell::from(match ruling {
                    Ruling::Met(_) => "met".to_owned(),
                    Ruling::Missed(_) if self.judgement.is_the_services(objective, ruling) => "missed".to_owned(),
                    Ruling::Missed(_) => "missed, perhaps by the generator's own lateness".to_owned(),
                    Ruling::Unknown(reason) => format!("unknown: {reason}"),
                }),
            ]);
        }
        match self.judgement.ended_early() {
            Some(reason) => section
                .with(Text::plain(format!("The run was ended early: {reason}.")))
                .with(table),
            None => section.with(table),
        }
    }

    fn timeline(&self) -> ChartBlock {
        let seconds: Vec<(f64, &Second)> = self
            .measured
            .seconds
            .iter()
            .map(|second| (self.judgement.at(second.start) + second.length_s / 2.0, second))
            .filter(|(at, _)| *at >= 0.0)
            .collect();
        let curve = |name: &str, slot: usize, value: &dyn Fn(&Second) -> Option<f64>| Curve {
            key: Key::new(name, slot),
            style: CurveStyle::Line,
            points: seconds.iter().map(|(at, second)| (*at, value(second))).collect(),
        };
        let rate = |count: u64, second: &Second| (second.length_s > 0.0).then(|| count as f64 / second.length_s);
        let limits = self
            .judgement
            .judged
            .iter()
            .filter_map(|(objective, _)| match (objective.of, objective.limit) {
                (Subject::Journeys, Limit::Quantile { most, .. }) => Some(chart::Limit {
                    value: most.as_secs_f64(),
                    label: objective.limit.to_string(),
                }),
                _ => None,
            });
        let panel = |title: &str, unit: Unit, log: bool, curves: Vec<Curve>| Panel {
            title: title.to_owned(),
            unit,
            log,
            top: None,
            curves,
            limits: Vec::new(),
        };
        let mut journeys = vec![
            curve("ended well", 1, &|second| rate(second.ok, second)),
            curve("failed", 2, &|second| rate(second.failed, second)),
        ];
        // Virtual users come when they are done: nobody can say beforehand how often.
        if self
            .judgement
            .scenario
            .stages
            .iter()
            .any(|stage| stage.from.0 > 0.0 || stage.to.0 > 0.0)
        {
            journeys.insert(0, self.offered());
        }
        let panels = vec![
            panel("journeys", Unit::PerSecond, false, journeys),
            Panel {
                limits: limits.collect(),
                ..panel(
                    "response time of journeys",
                    Unit::Seconds,
                    true,
                    vec![
                        curve("p50", 3, &|second| second.response_p50),
                        curve("p99", 4, &|second| second.response_p99),
                    ],
                )
            },
            panel(
                "how late journeys began, p99",
                Unit::Seconds,
                true,
                vec![
                    curve("generator late", 5, &|second| second.lag_p99),
                    curve("users exhausted", 6, &|second| second.wait_p99),
                ],
            ),
        ];
        let figure = match seconds.last() {
            None => Figure::NoData("nothing ended in any second".to_owned()),
            Some((end, second)) => Figure::Timeline(Timeline {
                x_title: "time since the first stage began".to_owned(),
                range: Some((0.0, end + second.length_s / 2.0)),
                panels,
                bands: self.bands(),
                marks: Vec::new(),
            }),
        };
        ChartBlock {
            id: "timeline".to_owned(),
            chart: Chart {
                title: "The run, second by second".to_owned(),
                subtitle: Some(self.judgement.scenario.about.clone()).filter(|about| !about.is_empty()),
                figure,
            },
            caption: "Offered is the rate that the scenario plans, whatever is answered. What has no answer counts as \
                      endlessly slow, so a percentile leaves the chart where too many journeys have none."
                .into(),
            alt:
                "Journeys offered, ended well and failed, their response times and how late they began, over time; the \
                  tables below hold the totals."
                    .to_owned(),
        }
    }

    /// The planned rate, as corners of its line.
    fn offered(&self) -> Curve {
        let mut points = Vec::new();
        let mut begin = 0.0;
        for stage in &self.judgement.scenario.stages {
            let end = begin + stage.length.as_secs_f64();
            points.push((begin, Some(stage.from.0)));
            points.push((end, Some(stage.to.0)));
            begin = end;
        }
        Curve {
            key: Key::new("offered", 0),
            style: CurveStyle::Line,
            points,
        }
    }

    fn bands(&self) -> Vec<Band> {
        let mut begin = 0.0;
        let mut bands = Vec::new();
        for stage in &self.judgement.scenario.stages {
            let end = begin + stage.length.as_secs_f64();
            if !stage.is_measured() {
                bands.push(excluded(stage.name.clone(), begin, end));
            }
            begin = end;
        }
        for (_, begin, steadiness) in self.steadiness() {
            if let Steadiness::Steady { warm_up } | Steadiness::Drifting { warm_up, .. } = steadiness
                && warm_up > 0
            {
                bands.push(excluded("settling".to_owned(), begin, begin + warm_up as f64));
            }
        }
        bands
    }

    /// Whether each stage at a constant load settled, and when; by the median response time of each of its seconds.
    fn steadiness(&self) -> Vec<(&Stage, f64, Steadiness)> {
        let mut begin = 0.0;
        let mut found = Vec::new();
        for stage in &self.judgement.scenario.stages {
            let end = begin + stage.length.as_secs_f64();
            let is_constant = stage.from == stage.to && stage.virtual_users.0 == stage.virtual_users.1;
            if is_constant && stage.is_measured() {
                let within = self.measured.seconds.iter().filter(|second| {
                    let middle = self.judgement.at(second.start) + second.length_s / 2.0;
                    // Where nothing ended there is no median, which is common where few come.
                    (begin..end).contains(&middle) && second.ok + second.failed > 0
                });
                let medians: Option<Vec<f64>> = within.map(|second| second.response_p50).collect();
                // A second without an answer at the median is no series that could settle.
                let steadiness = medians.map_or(Steadiness::TooShort, |medians| steadiness(&medians, MOST_DRIFT));
                found.push((stage, begin, steadiness));
            }
            begin = end;
        }
        found
    }

    fn settling(&self) -> Section {
        let section = Section::new("Did it settle?");
        let stages = self.steadiness();
        if stages.is_empty() {
            return section.with("The load was never constant, so that nothing could settle.");
        }
        let mut table = Table::new(
            "Stages at a constant load, by the median response time of each second",
            [
                Column::text("Stage"),
                Column::number("Settling", Unit::Seconds),
                Column::number("Drift after it", Unit::Percent),
                Column::text("Verdict"),
            ],
        );
        for (stage, _, steadiness) in stages {
            let (warm_up, drift, verdict) = match steadiness {
                Steadiness::Steady { warm_up } => (Some(warm_up as f64), None, "steady"),
                Steadiness::Drifting { warm_up, drift, .. } => {
                    (Some(warm_up as f64), Some(drift * 100.0), "never settled")
                }
                Steadiness::Settling { drift, .. } => (None, Some(drift * 100.0), "never settled"),
                Steadiness::TooShort => (None, None, "unknown: too short, or seconds without answers"),
            };
            table.row([
                Cell::from(stage.name.clone()),
                Cell::Number(warm_up),
                Cell::Number(drift),
                Cell::from(verdict),
            ]);
        }
        section
            .with(
                "The end of settling is the cut of MSER-5 (White, Cobb and Spratt 2000): the one after which the mean has \
                 the smallest standard error. A stage has settled when no trend or step over twenty parts of the rest \
                 moves it by more than 10 %. The figures of this report hold the settling as well.",
            )
            .with(table)
    }

    /// How often each journey ended how.
    fn outcomes(&self) -> Table {
        let mut table = Table::new(
            "How journeys ended, warm-up and cool-down included",
            [
                Column::text("Journey"),
                Column::text("Outcome"),
                Column::number("Count", Unit::Count),
                Column::number("Of its journeys", Unit::Percent),
            ],
        );
        let journeys = self.measured.rows.iter().filter(|(endpoint, _)| endpoint.is_journey());
        for (endpoint, row) in journeys {
            let all = row.count(|_| true);
            for (outcome, count) in &row.by_outcome {
                table.row([
                    Cell::from(common::words(*endpoint)),
                    Cell::from(outcome.name()),
                    Cell::count(Some(*count)),
                    Cell::Number((all > 0).then(|| *count as f64 / all as f64 * 100.0)),
                ]);
            }
        }
        table
    }

    fn times(&self) -> Table {
        let mut table = Table::new(
            "Requests and journeys over the whole run, warm-up and cool-down included",
            [
                Column::text("What"),
                Column::number("Ended", Unit::Count),
                Column::number("Failed", Unit::Count),
                Column::number("Service p50", Unit::Seconds),
                Column::number("Service p99", Unit::Seconds),
                Column::number("Response p50", Unit::Seconds),
                Column::number("Response p99", Unit::Seconds),
                Column::text("p99 asked for"),
            ],
        );
        for (endpoint, row) in &self.measured.rows {
            let of = |clock, q| Cell::Number(seconds(row.answered_quantile(clock, Ratio(q))));
            let asked = row.quantile(Clock::Response, Ratio(0.99));
            let asked = asked.or_else(|| row.quantile(Clock::Service, Ratio(0.99)));
            table.row([
                Cell::from(common::words(*endpoint)),
                Cell::count(Some(row.count(|_| true))),
                Cell::count(Some(row.count(|outcome| !outcome.is_served()))),
                of(Clock::Service, 0.5),
                of(Clock::Service, 0.99),
                of(Clock::Response, 0.5),
                of(Clock::Response, 0.99),
                Cell::from(match asked {
                    None => format::MISSING.to_owned(),
                    Some(Value::Infinite) => "no answer".to_owned(),
                    Some(Value::Finite(ns)) => format::quantity(Unit::Seconds, Some(ns as f64 / 1e9)),
                }),
            ]);
        }
        table
    }
}

fn excluded(label: String, from: f64, to: f64) -> Band {
    Band {
        from,
        to,
        label,
        kind: BandKind::Excluded,
    }
}

/// The two identities of the books, with their numbers.
fn accounts(books: &Accounting) -> Table {
    let mut table = Table::new(
        "What became of every arrival",
        [
            Column::text("Identity"),
            Column::text("In numbers"),
            Column::text("Holds"),
        ],
    );
    let holds = |is_so: bool| Cell::from(if is_so { "yes" } else { "no" });
    table.row([
        Cell::from("scheduled = started + dropped"),
        Cell::from(format!("{} = {} + {}", books.scheduled, books.started, books.dropped)),
        holds(books.scheduled == books.started + books.dropped),
    ]);
    table.row([
        Cell::from("started = ok + failed + unfinished"),
        Cell::from(format!(
            "{} = {} + {} + {}",
            books.started, books.ok, books.failed, books.unfinished
        )),
        holds(books.started == books.ok + books.failed + books.unfinished),
    ]);
    table.row([
        Cell::from("late = generator late + users exhausted"),
        Cell::from(format!(
            "{} = {} + {}",
            books.late, books.late_by_generator, books.late_by_busy_users
        )),
        holds(books.late == books.late_by_generator + books.late_by_busy_users),
    ]);
    table
}
