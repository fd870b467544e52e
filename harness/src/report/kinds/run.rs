//! The report of one run: what was offered, what was achieved, and how long users waited.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{KindError, blank, common};
use crate::analysis::quantile::{Value, quantile};
use crate::analysis::steady::{Steadiness, steadiness};
use crate::chart::{self, Band, BandKind, Chart, Curve, CurveStyle, Figure, Key, Panel, Timeline};
use crate::config::{ScenarioConfig, Stage};
use crate::format::{self, Unit};
use crate::objectives::{self, Judge, Limit, Objective, Ruling, Second as CutSecond, Subject};
use crate::plan::ScenarioPlan;
use crate::recording::event::{Accounting, Edge, NoteLevel, What};
use crate::recording::{Clock, Endpoint, Event, Outcome, RecordError, Recording, Tag};
use crate::report::{Badges, Cell, ChartBlock, Column, Document, GotWorse, Section, Table, Text, Verdict};
use crate::units::{Nanos, Ratio};
use crate::verdict::ledger::{self, LedgerReport, Overall};
use crate::verdict::validity::{self, Validity};

/// A stage that moves by more than this share of its median has not settled.
const MOST_DRIFT: f64 = 0.1;

/// Builds the report.
pub(super) fn document(recording: &Recording) -> Result<Document, KindError> {
    let text = recording
        .plan()?
        .ok_or_else(|| KindError::NoPlan(recording.dir().to_owned()))?;
    let plan: ScenarioPlan = serde_yaml::from_str(&text).map_err(|source| KindError::Plan {
        dir: recording.dir().to_owned(),
        source,
    })?;
    let scenario = plan.scenario().map_err(|source| KindError::Scenario {
        dir: recording.dir().to_owned(),
        source,
    })?;
    let objectives = match plan.objectives() {
        None => Vec::new(),
        Some(text) => objectives::parse("plan.yaml", &text, &scenario).map_err(|source| KindError::Scenario {
            dir: recording.dir().to_owned(),
            source,
        })?,
    };
    let events = recording.events()?;
    let zero = zero(&events, &scenario);
    let judged = judge(recording, &objectives, &scenario, zero, &common::accounting(&events))?;
    let ledger = ledger::verify(recording)?;
    let mut validity = validity::validity(recording)?;
    validity.doubts.append(&mut validity.lag);
    let badges = common::badges(&ledger, &events, &validity.doubts, validity.lag_p99);
    let run = Run {
        measured: Measured::of(recording)?,
        zero,
        scenario,
        judged,
        events,
        ledger,
        validity,
    };
    Ok(run.document(recording, badges))
}

/// When the schedule began: with its first stage.
fn zero(events: &[Event], scenario: &ScenarioConfig) -> Option<Nanos> {
    let first = scenario.stages.first()?;
    let begin = events
        .iter()
        .find(|event| matches!(&event.what, What::Phase { name, edge: Edge::Begin } if *name == first.name));
    begin.map(|event| event.t)
}

/// Each objective and what came of it.
fn judge(
    recording: &Recording,
    objectives: &[Objective],
    scenario: &ScenarioConfig,
    zero: Option<Nanos>,
    books: &Accounting,
) -> Result<Vec<(Objective, Ruling)>, RecordError> {
    let Some(zero) = zero else {
        let unknown = |objective: &Objective| {
            let reason = "the schedule never began".to_owned();
            (objective.clone(), Ruling::Unknown(reason))
        };
        return Ok(objectives.iter().map(unknown).collect());
    };
    let mut judges: Vec<Judge> = objectives
        .iter()
        .map(|objective| Judge::new(objective, scenario, zero))
        .collect();
    let latency = recording.latency()?;
    let mut seconds: BTreeMap<(Nanos, std::time::Duration), Vec<(Tag, Histogram<u64>)>> = BTreeMap::new();
    for interval in latency.intervals() {
        let interval = interval?;
        let histogram = interval.histogram()?;
        let second = seconds.entry((interval.start, interval.length)).or_default();
        second.push((interval.tag.clone(), histogram));
    }
    for ((begin, length), ended) in &seconds {
        let ended: Vec<_> = ended.iter().map(|(tag, histogram)| (tag, histogram)).collect();
        let second = CutSecond {
            begin: *begin,
            length: *length,
            ended: &ended,
        };
        for judge in &mut judges {
            judge.take(&second);
        }
    }
    let rulings = judges.into_iter().map(|judge| {
        let objective = judge.objective().clone();
        (objective, judge.finish(books))
    });
    Ok(rulings.collect())
}

/// What ended between two cuts.
#[derive(Default)]
struct Second {
    length_s: f64,
    /// Journeys that ended, well or not.
    ok: u64,
    failed: u64,
    /// From the intended start, of journeys that were answered.
    response: Option<Histogram<u64>>,
    /// Journeys without an answer.
    unanswered: u64,
    lag: Option<Histogram<u64>>,
    wait: Option<Histogram<u64>>,
}

/// One endpoint over the whole run, warm-up and cool-down included.
#[derive(Default)]
struct Row {
    by_outcome: BTreeMap<Outcome, u64>,
    service: Option<Histogram<u64>>,
    response: Option<Histogram<u64>>,
}

impl Row {
    fn count(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        let of = self.by_outcome.iter().filter(|(outcome, _)| which(**outcome));
        of.map(|(_, count)| count).sum()
    }

    fn unanswered(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::TimeOut | Outcome::Dropped))
    }
}

#[derive(Default)]
struct Measured {
    seconds: BTreeMap<Nanos, Second>,
    rows: BTreeMap<Endpoint, Row>,
}

fn add(into: &mut Option<Histogram<u64>>, histogram: &Histogram<u64>) {
    match into {
        // Every histogram of a recording has the recorder's bounds.
        Some(sum) => *sum += histogram,
        None => *into = Some(histogram.clone()),
    }
}

impl Measured {
    fn of(recording: &Recording) -> Result<Self, RecordError> {
        let mut measured = Self::default();
        for interval in recording.latency()?.intervals() {
            let interval = interval?;
            let histogram = interval.histogram()?;
            let tag = &interval.tag;
            let is_answered = !matches!(tag.outcome, Outcome::TimeOut | Outcome::Dropped);
            let second = measured.seconds.entry(interval.start).or_default();
            second.length_s = second.length_s.max(interval.length.as_secs_f64());
            if tag.endpoint.is_journey() {
                match tag.clock {
                    Clock::Response => {
                        let count = if tag.outcome.is_served() {
                            &mut second.ok
                        } else {
                            &mut second.failed
                        };
                        *count += histogram.len();
                        if is_answered {
                            add(&mut second.response, &histogram);
                        } else {
                            second.unanswered += histogram.len();
                        }
                    }
                    Clock::Lag => add(&mut second.lag, &histogram),
                    Clock::Wait => add(&mut second.wait, &histogram),
                    Clock::Service => {}
                }
            }
            let row = measured.rows.entry(tag.endpoint).or_default();
            let counted_by = if tag.endpoint.is_journey() {
                Clock::Response
            } else {
                Clock::Service
            };
            if tag.clock == counted_by {
                *row.by_outcome.entry(tag.outcome).or_default() += histogram.len();
            }
            match tag.clock {
                Clock::Response if is_answered => add(&mut row.response, &histogram),
                Clock::Service if is_answered => add(&mut row.service, &histogram),
                _ => {}
            }
        }
        Ok(measured)
    }
}

struct Run {
    scenario: ScenarioConfig,
    judged: Vec<(Objective, Ruling)>,
    events: Vec<Event>,
    measured: Measured,
    zero: Option<Nanos>,
    ledger: LedgerReport,
    validity: Validity,
}

impl Run {
    fn document(&self, recording: &Recording, badges: Badges) -> Document {
        let mut document = blank(recording, &format!("Run: {}", self.scenario.name), badges);
        let books = common::accounting(&self.events);
        (document.verdict, document.sentence) = self.verdict(&books);
        document.sections = vec![
            Section::new("What was offered, and what came of it")
                .with(self.timeline())
                .with(accounts(&books))
                .with(self.outcomes()),
            self.objectives(),
            Section::new("How long users waited")
                .with(
                    "Response times begin when a user wanted to start, service times with the send. Only a journey's first \
                     request has an intended start of its own. Asked for: time-outs and arrivals that were dropped count as \
                     endlessly slow.",
                )
                .with(self.times()),
            self.settling(),
            Section::new("Was anything sold twice, or lost?").with(common::invariants_table(&self.ledger)),
        ];
        document.got_worse = GotWorse::unknown("one run was made, and compared with nothing");
        let warnings = self.events.iter().filter_map(|event| match &event.what {
            What::Note {
                level: NoteLevel::Warning,
                text,
            } => Some(text),
            _ => None,
        });
        let notes = self.validity.notes.iter().chain(warnings);
        document.notes = notes.map(|note| Text::plain(note.clone())).collect();
        document
    }

    fn verdict(&self, books: &Accounting) -> (Verdict, Text) {
        match self.ledger.overall() {
            Overall::Invalid => {
                let broken = self.ledger.broken().next();
                let broken = broken.map_or("", |(_, finding)| finding.invariant.promise());
                return (Verdict::Broken, Text::plain(format!("An invariant broke: {broken}.")));
            }
            Overall::Unknown => {
                let text = "Whether every booking and every payment survived is unknown; see the badge.";
                return (Verdict::Unknown, Text::plain(text));
            }
            Overall::Valid => {}
        }
        // A doubt takes away a pass. It takes away a miss only where the generator itself could have made it.
        let mut missed = self
            .judged
            .iter()
            .filter(|(objective, ruling)| self.is_the_services(objective, ruling, books));
        if self.scenario.until_broken
            && let Some(found) = self.broken_at(missed.clone())
        {
            return (Verdict::Pass, found);
        }
        if !self.scenario.until_broken
            && let Some((objective, ruling)) = missed.next()
        {
            return (Verdict::Fail, self.miss(objective, ruling));
        }
        if let Some(doubt) = self.validity.doubts.first() {
            let text = format!("The run cannot carry a claim: {doubt}.");
            return (Verdict::Unknown, Text::plain(text));
        }
        if self.scenario.until_broken {
            let text = format!(
                "No objective was broken for good up to {}: more must be offered to find what breaks one.",
                format::quantity(Unit::PerSecond, Some(self.scenario.peak().0))
            );
            return (Verdict::Unknown, Text::plain(text));
        }
        if let Some((objective, Ruling::Unknown(reason))) = self
            .judged
            .iter()
            .find(|(_, ruling)| matches!(ruling, Ruling::Unknown(_)))
        {
            let text = format!(
                "Whether the objective “{}” is met is unknown: {reason}.",
                objective.name
            );
            return (Verdict::Unknown, Text::plain(text));
        }
        let count = |n: u64| format::quantity(Unit::Count, Some(n as f64));
        let kept = match self.judged.len() {
            0 => String::new(),
            1 => "; its objective is met".to_owned(),
            n => format!("; all {n} objectives are met"),
        };
        let text = format!(
            "**{}** of {} arrivals ended well, {} failed; no seat sold twice, no money and no event lost{kept}.",
            count(books.ok),
            count(books.scheduled),
            count(books.failed)
        );
        (Verdict::Pass, Text::marked(&text))
    }

    /// Whether an objective was missed by more than the generator's own lateness explains. Where users waited since all of
    /// them were busy, that wait is what the service made of the load.
    fn is_the_services(&self, objective: &Objective, ruling: &Ruling, books: &Accounting) -> bool {
        let Ruling::Missed(worst) = ruling else { return false };
        let own = match objective.limit {
            _ if !self.validity.is_generators_fault => 0.0,
            Limit::Offered { .. } => 0.0,
            Limit::Quantile { .. } => self.validity.lag_p99.map_or(0.0, Nanos::as_secs_f64),
            Limit::Failed { .. } => books.dropped as f64 / (books.scheduled as f64).max(1.0) * 100.0,
        };
        match objective.limit {
            Limit::Offered { .. } => true,
            limit => !limit.is_kept_by(worst.value - own),
        }
    }

    /// Of a run whose rate rose until an objective broke: where it did; `None` when none of `missed` ended it.
    fn broken_at<'a>(&self, missed: impl Iterator<Item = &'a (Objective, Ruling)>) -> Option<Text> {
        self.ended_early()?;
        let broken = missed.filter(|(objective, _)| objective.abort_after.is_some());
        let broken = broken.filter_map(|(objective, ruling)| Some((ruling.worst()?.broken_for_good?, objective)));
        let (since, objective) = broken.min_by_key(|(since, _)| *since)?;
        Some(Text::marked(&format!(
            "Up to **{}** offered, no objective was missed for good; from there on “{}” was: {} {}.",
            format::quantity(Unit::PerSecond, self.offered_at(self.at(since))),
            objective.name,
            objective.of,
            objective.limit
        )))
    }

    /// The planned rate so many seconds after the beginning.
    fn offered_at(&self, at: f64) -> Option<f64> {
        let mut begin = 0.0;
        for stage in &self.scenario.stages {
            let length = stage.length.as_secs_f64();
            if at < begin + length {
                let part = ((at - begin) / length).max(0.0);
                return Some(stage.from.0 + (stage.to.0 - stage.from.0) * part);
            }
            begin += length;
        }
        None
    }

    fn miss(&self, objective: &Objective, ruling: &Ruling) -> Text {
        let worst = ruling.worst().map(|worst| worst.value);
        let mut text = format!(
            "The objective “{}” was missed: {} {}, and {} in the worst window",
            objective.name,
            objective.of,
            objective.limit,
            value_of(objective.limit, worst)
        );
        if let Some(reason) = self.ended_early() {
            text.push_str(&format!("; the run was ended early, since {reason}"));
        }
        text.push('.');
        Text::plain(text)
    }

    fn ended_early(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match &event.what {
            What::EndedEarly { reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    fn objectives(&self) -> Section {
        let section = Section::new("Was it good enough?");
        if self.judged.is_empty() {
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
        for (objective, ruling) in &self.judged {
            let worst = ruling.worst();
            let window = match (&objective.stage, objective.over) {
                (None, None) => "the run".to_owned(),
                (Some(stage), None) => stage.clone(),
                (None, Some(over)) => humantime::format_duration(over).to_string(),
                (Some(stage), Some(over)) => format!("{} of {stage}", humantime::format_duration(over)),
            };
            table.row([
                Cell::from(objective.name.clone()),
                Cell::from(objective.of.to_string()),
                Cell::from(objective.limit.to_string()),
                Cell::from(window),
                Cell::from(value_of(objective.limit, worst.map(|worst| worst.value))),
                Cell::from(worst.map_or_else(
                    || format::MISSING.to_owned(),
                    |worst| format!("{:.0} to {:.0} s", self.at(worst.from), self.at(worst.until)),
                )),
                Cell::from(match ruling {
                    Ruling::Met(_) => "met".to_owned(),
                    Ruling::Missed(_) => "missed".to_owned(),
                    Ruling::Unknown(reason) => format!("unknown: {reason}"),
                }),
            ]);
        }
        match self.ended_early() {
            Some(reason) => section
                .with(Text::plain(format!("The run was ended early: {reason}.")))
                .with(table),
            None => section.with(table),
        }
    }

    fn at(&self, moment: Nanos) -> f64 {
        moment.as_secs_f64() - self.zero.unwrap_or(Nanos(0)).as_secs_f64()
    }

    fn timeline(&self) -> ChartBlock {
        let seconds: Vec<(f64, &Second)> = self
            .measured
            .seconds
            .iter()
            .map(|(start, second)| (self.at(*start) + second.length_s / 2.0, second))
            .filter(|(at, _)| *at >= 0.0)
            .collect();
        let curve = |name: &str, slot: usize, value: &dyn Fn(&Second) -> Option<f64>| Curve {
            key: Key::new(name, slot),
            style: CurveStyle::Line,
            points: seconds.iter().map(|(at, second)| (*at, value(second))).collect(),
        };
        let rate = |count: u64, second: &Second| (second.length_s > 0.0).then(|| count as f64 / second.length_s);
        let asked_for = |q: f64| move |second: &Second| of_asked(second.response.as_ref(), second.unanswered, q);
        let limits = self
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
                    vec![curve("p50", 3, &asked_for(0.5)), curve("p99", 4, &asked_for(0.99))],
                )
            },
            panel(
                "how late journeys began, p99",
                Unit::Seconds,
                true,
                vec![
                    curve("generator late", 5, &|second| of_asked(second.lag.as_ref(), 0, 0.99)),
                    curve("users exhausted", 6, &|second| of_asked(second.wait.as_ref(), 0, 0.99)),
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
                subtitle: Some(self.scenario.about.clone()).filter(|about| !about.is_empty()),
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
        for stage in &self.scenario.stages {
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
        for stage in &self.scenario.stages {
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
        for stage in &self.scenario.stages {
            let end = begin + stage.length.as_secs_f64();
            let is_constant = stage.from == stage.to && stage.virtual_users.0 == stage.virtual_users.1;
            if is_constant && stage.is_measured() {
                let within = self.measured.seconds.iter().filter(|(start, second)| {
                    let middle = self.at(**start) + second.length_s / 2.0;
                    (begin..end).contains(&middle)
                });
                let medians: Option<Vec<f64>> = within
                    .map(|(_, second)| of_asked(second.response.as_ref(), second.unanswered, 0.5))
                    .collect();
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
            let of = |histogram: &Option<Histogram<u64>>, q: f64| Cell::Number(of_asked(histogram.as_ref(), 0, q));
            let unanswered = row.unanswered();
            let whole = row.response.as_ref().or(row.service.as_ref());
            let asked = whole.and_then(|histogram| quantile(histogram, unanswered, Ratio(0.99)));
            table.row([
                Cell::from(common::words(*endpoint)),
                Cell::count(Some(row.count(|_| true))),
                Cell::count(Some(row.count(|outcome| !outcome.is_served()))),
                of(&row.service, 0.5),
                of(&row.service, 0.99),
                of(&row.response, 0.5),
                of(&row.response, 0.99),
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

fn value_of(limit: Limit, value: Option<f64>) -> String {
    match (limit, value) {
        (Limit::Quantile { .. }, Some(value)) if value.is_infinite() => "no answer".to_owned(),
        (Limit::Quantile { .. }, value) => format::quantity(Unit::Seconds, value),
        (Limit::Failed { .. } | Limit::Offered { .. }, value) => format::quantity(Unit::Percent, value),
    }
}

/// In seconds; `None` where nothing was measured, or the rank falls on what has no answer.
fn of_asked(histogram: Option<&Histogram<u64>>, unanswered: u64, q: f64) -> Option<f64> {
    quantile(histogram?, unanswered, Ratio(q))?
        .finite()
        .map(|ns| ns as f64 / 1e9)
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
