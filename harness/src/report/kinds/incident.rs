//! The incident report: one fault, when it was noticed, whom it hurt, when it was over, and whether the books balance.

use std::time::Duration;

use super::consistency::Consistency;
use super::slowest::slowest;
use super::{KindError, blank};
use super::{common, ways};
use crate::analysis::backlog::Backlog;
use crate::analysis::blast_radius::{Impact, PhaseSummary, Reach, blast_radius};
use crate::analysis::experiment::service_source;
use crate::analysis::incident::{FaultWindow, Objective, Quality, Runs, Second, Times, budget_spent, times};
use crate::analysis::timeline::{Timeline as Seconds, fault_window};
use crate::chart::{Band, BandKind, Chart, Curve, CurveStyle, Figure, Key, Limit, Mark, Panel, Timeline};
use crate::format::{self, Unit};
use crate::plan::IncidentPlan;
use crate::recording::event::{Edge, NoteLevel, What};
use crate::recording::{Event, Recording, SeriesSet};
use crate::report::{Block, Cell, ChartBlock, Column, Document, GotWorse, Section, Table, Text, Verdict};
use crate::units::{Nanos, Ratio};
use crate::verdict::ledger::{self, LedgerReport, Overall};
use crate::verdict::validity::{self, Validity};

/// Arrivals this frequent make a second without any answer a bad one.
const BUSY_PER_SECOND: f64 = 5.0;

struct Incident {
    plan: IncidentPlan,
    events: Vec<Event>,
    series: SeriesSet,
    seconds: Vec<Second>,
    impacts: Vec<Impact>,
    fault: FaultWindow,
    times: Times,
    warm: Nanos,
    consistency: Consistency,
    ledger: LedgerReport,
    validity: Validity,
    /// How far other clocks were from the run's.
    clocks: Option<Text>,
}

/// Builds the report.
pub(super) fn document(recording: &Recording) -> Result<Document, KindError> {
    let text = recording
        .plan()?
        .ok_or_else(|| KindError::NoPlan(recording.dir().to_owned()))?;
    let plan: IncidentPlan = serde_yaml::from_str(&text).map_err(|source| KindError::Plan {
        dir: recording.dir().to_owned(),
        source,
    })?;
    let events = recording.events()?;
    let ledger = ledger::verify(recording)?;
    let mut validity = validity::validity(recording)?;
    validity.doubts.append(&mut validity.lag);
    let badges = common::badges(&ledger, &events, &validity.doubts, validity.late_p99);
    let mut document = blank(recording, &format!("Incident: {}", plan.fault.words()), badges);
    let Some(fault) = fault_window(&events) else {
        document.sentence = "Nothing can be said: the fault was not injected and healed within the recording.".into();
        document.got_worse = GotWorse::unknown("there was no fault");
        document.sections.push(ledger_section(&ledger));
        document.notes.extend(noted(&events));
        return Ok(document);
    };
    // As long as it was, which is not as planned where somebody ended the drill early.
    let lasted = fault.healed.since(fault.injected).as_secs_f64();
    document.title.push_str(&format!(" for {lasted:.1} s"));
    let warm = warm_since(&events);
    let timeline = Seconds::of(recording, "service")?;
    let seconds: Vec<Second> = timeline
        .seconds(|_| true)
        .into_iter()
        .filter(|second| second.at >= warm)
        .collect();
    let offered = offered(&events);
    let objective = Objective {
        availability: plan.promise.availability,
        p99_at_most: Some(plan.promise.p99),
    };
    let silence = if offered.is_some_and(|rate| rate >= BUSY_PER_SECOND) {
        Quality::Bad
    } else {
        Quality::Unknown
    };
    let times = times(
        &seconds,
        objective,
        fault,
        Runs {
            silence,
            ..Runs::default()
        },
    );
    let phases: Vec<_> = timeline
        .intervals
        .iter()
        .zip(timeline.phases(fault, times.recovered))
        .filter(|(interval, _)| interval.start >= warm)
        .map(|(_, phase)| phase)
        .collect();
    let impacts = blast_radius(&phases);
    let series = recording.series()?;
    let incident = Incident {
        plan,
        events,
        clocks: common::clocks(recording.manifest()),
        consistency: Consistency::of(recording, &series, warm, fault)?,
        series,
        seconds,
        impacts,
        fault,
        times,
        warm,
        ledger,
        validity,
    };
    incident.fill(document)
}

fn warm_since(events: &[Event]) -> Nanos {
    let end = events
        .iter()
        .find(|event| matches!(&event.what, What::Phase { name, edge: Edge::End } if name == "warm-up"));
    end.map_or(Nanos(0), |event| event.t)
}

fn offered(events: &[Event]) -> Option<f64> {
    events.iter().find_map(|event| match &event.what {
        What::Fact { name, value, .. } if *name == crate::plan::offered_fact("") => Some(*value),
        _ => None,
    })
}

fn ledger_section(ledger: &LedgerReport) -> Section {
    Section::new("Was anything sold twice, or lost?").with(common::invariants_table(ledger))
}

fn seconds_text(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| format::MISSING.to_owned(), |seconds| format!("{seconds:.1} s"))
}

/// How it is found that a backlog is over.
fn caught_up(what: &str, backlog: Option<Backlog>) -> String {
    let Some(backlog) = backlog else {
        return format!("{what} were not counted before and after the fault");
    };
    format!(
        "from the heal until the first scrape, one a second, with no more {what} than before the fault ({}); at most there were {}",
        format::quantity(Unit::Count, Some(backlog.before as f64)),
        format::quantity(Unit::Count, Some(backlog.most as f64))
    )
}

/// Whether users were well before the fault, and again soon enough after it; of a run that is beyond doubt.
fn recovery(plan: &IncidentPlan, fault: FaultWindow, times: &Times) -> (Verdict, Text) {
    if times.bad_before > 0 {
        let text = format!(
            "The steady state did not hold: {} of the seconds before the fault already missed the objective.",
            times.bad_before
        );
        return (Verdict::Unknown, Text::plain(text));
    }
    let is_soon_enough = |at: Nanos| at.since(fault.healed).as_secs_f64() <= plan.promise.recover_within.as_secs_f64();
    match (times.first_bad, times.recovered) {
        (None, _) => (
            Verdict::Pass,
            Text::plain(format!(
                "Users did not notice: no second missed the objective ({}), and every booking and payment is accounted for.",
                plan.fault.words()
            )),
        ),
        (Some(_), Some(recovered)) => {
            let verdict = if is_soon_enough(recovered) {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            let seconds = |time: Option<Duration>| seconds_text(time.map(|time| time.as_secs_f64()));
            let text = format!(
                "Noticeable **{}** after the fault, good again **{}** after the heal{}; no seat sold twice, no money and no event lost.",
                seconds(times.to_detect(fault)),
                seconds(times.to_recover(fault)),
                match times.bad_after {
                    0 => String::new(),
                    1 => ", but for one bad second later".to_owned(),
                    n => format!(", but for {n} bad seconds later, each alone"),
                }
            );
            (verdict, Text::marked(&text))
        }
        // Had the recording gone on, that might have been good again in time.
        (Some(_), None) if times.good_since.or(times.last).is_some_and(is_soon_enough) => (
            Verdict::Unknown,
            Text::plain(
                "Whether the objective was good again in time is unknown: too few seconds at the end of the recording are known to be good; no seat was sold twice and no money was lost.",
            ),
        ),
        (Some(_), None) => (
            Verdict::Fail,
            Text::plain(
                "The objective was not good again before the recording ended; no seat was sold twice and no money was lost.",
            ),
        ),
    }
}

impl Incident {
    fn fill(&self, mut document: Document) -> Result<Document, KindError> {
        let detect = self.times.to_detect(self.fault).map(|time| time.as_secs_f64());
        let recover = self.times.to_recover(self.fault).map(|time| time.as_secs_f64());
        (document.verdict, document.sentence) = self.verdict();
        document.sections.push(
            Section::new("What happened")
                .with(self.timeline_chart())
                .with(self.moments(detect, recover)),
        );
        document.sections.push(self.radius());
        document.sections.push(ledger_section(&self.ledger));
        document.sections.extend(ways::section(&self.series, self.fault));
        document.got_worse = self.got_worse();
        document.notes = self.notes();
        Ok(document)
    }

    fn verdict(&self) -> (Verdict, Text) {
        let what = self.plan.fault.words();
        match self.ledger.overall() {
            Overall::Invalid => {
                let broken = self
                    .ledger
                    .broken()
                    .next()
                    .map_or("", |(_, finding)| finding.invariant.promise());
                return (
                    Verdict::Broken,
                    Text::plain(format!("With the {what}, an invariant broke: {broken}.")),
                );
            }
            Overall::Unknown => {
                return (
                    Verdict::Unknown,
                    Text::plain("Whether every booking and every payment survived is unknown; see the badge."),
                );
            }
            Overall::Valid => {}
        }
        if let Some(doubt) = self.validity.doubts.first() {
            return (
                Verdict::Unknown,
                Text::marked(&format!("The run cannot carry a claim: {doubt}.")),
            );
        }
        recovery(&self.plan, self.fault, &self.times)
    }

    fn since_start(&self, at: Nanos) -> f64 {
        at.as_secs_f64() - self.warm.as_secs_f64()
    }

    fn timeline_chart(&self) -> ChartBlock {
        let at = |second: &Second| self.since_start(second.at) + 0.5;
        let curve = |name: &str, slot: usize, style: CurveStyle, value: &dyn Fn(&Second) -> Option<f64>| Curve {
            key: Key::new(name, slot),
            style,
            points: self.seconds.iter().map(|second| (at(second), value(second))).collect(),
        };
        let mut panels = vec![
            Panel {
                title: "requests ended".to_owned(),
                unit: Unit::PerSecond,
                log: false,
                top: None,
                curves: vec![
                    curve("served", 0, CurveStyle::Line, &|second| Some(second.served as f64)),
                    curve("failed", 1, CurveStyle::Line, &|second| Some(second.failed as f64)),
                ],
                limits: Vec::new(),
            },
            Panel {
                title: "p99, failures endless".to_owned(),
                unit: Unit::Seconds,
                log: true,
                top: None,
                curves: vec![curve("p99", 2, CurveStyle::Line, &|second| {
                    second.p99.and_then(|value| value.finite()).map(|ns| ns as f64 / 1e9)
                })],
                limits: vec![Limit {
                    value: self.plan.promise.p99.as_secs_f64(),
                    label: "objective".to_owned(),
                }],
            },
        ];
        panels.extend(self.gauge_panel(
            "requests in flight",
            Unit::Count,
            &[("in flight", "booking_http_requests_in_flight")],
        ));
        panels.extend(self.gauge_panel(
            "waiting for a broker",
            Unit::Count,
            &[
                ("outbox", "booking_outbox_pending"),
                ("consumer lag", "booking_consumer_lag_messages"),
            ],
        ));
        let mark = |moment: Option<Nanos>, label: &str| {
            moment.map(|moment| Mark {
                at: self.since_start(moment),
                label: label.to_owned(),
            })
        };
        let marks = [
            mark(self.times.detected, "noticeable"),
            mark(self.times.recovered.filter(|at| *at > self.fault.healed), "good again"),
        ];
        let end = self.seconds.last().map(|second| self.since_start(second.at) + 1.0);
        let figure = if self.seconds.is_empty() {
            Figure::NoData("nothing ended in any second after the warm-up".to_owned())
        } else {
            Figure::Timeline(Timeline {
                x_title: "time since the warm-up".to_owned(),
                range: end.map(|end| (0.0, end)),
                panels,
                bands: vec![Band {
                    from: self.since_start(self.fault.injected),
                    to: self.since_start(self.fault.healed),
                    label: self.plan.fault.words().to_owned(),
                    kind: BandKind::Fault,
                }],
                marks: marks.into_iter().flatten().collect(),
            })
        };
        let subtitle = offered(&self.events).map(|rate| {
            format!(
                "{} journeys offered, whatever is answered",
                format::quantity(Unit::PerSecond, Some(rate))
            )
        });
        ChartBlock {
            id: "timeline".to_owned(),
            chart: Chart { title: "The incident, second by second".to_owned(), subtitle, figure },
            caption: "A gap is a second of which nothing is known. p99 counts failed requests as endlessly slow, so it leaves the chart where 1 % or more failed.".into(),
            alt: "Requests served and failed, p99, requests in flight and waiting events over time, with the fault marked; the tables below hold the moments.".to_owned(),
        }
    }

    fn gauge_panel(&self, title: &str, unit: Unit, gauges: &[(&str, &str)]) -> Option<Panel> {
        let source = service_source("service");
        let mut curves = Vec::new();
        for (slot, (label, name)) in gauges.iter().enumerate() {
            let Some(series) = self.series.named(name).find(|series| series.def.source == source) else {
                continue;
            };
            let mut points: Vec<(f64, Option<f64>)> = self
                .series
                .points(series)
                .filter(|(at, _)| *at >= self.warm)
                .map(|(at, value)| (self.since_start(at), Some(value)))
                .collect();
            let gaps = self
                .series
                .sources()
                .get(&source)
                .into_iter()
                .flat_map(|source| &source.gaps);
            points.extend(
                gaps.filter(|(at, _)| *at >= self.warm)
                    .map(|(at, _)| (self.since_start(*at), None)),
            );
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if !points.is_empty() {
                curves.push(Curve {
                    key: Key::new(*label, slot + 3),
                    style: CurveStyle::Line,
                    points,
                });
            }
        }
        (!curves.is_empty()).then(|| Panel {
            title: title.to_owned(),
            unit,
            log: false,
            top: None,
            curves,
            limits: Vec::new(),
        })
    }

    fn moments(&self, detect: Option<f64>, recover: Option<f64>) -> Table {
        let mut table = Table::new(
            "Moments and durations",
            [
                Column::text("What"),
                Column::text("Value"),
                Column::text("How it is found"),
            ],
        );
        let promise = format!(
            "{} served and p99 at most {}",
            format::quantity(Unit::Percent, Some(self.plan.promise.availability.0 * 100.0)),
            format::quantity(Unit::Seconds, Some(self.plan.promise.p99.as_secs_f64()))
        );
        let Runs { to_recover, .. } = Runs::default();
        let moment = |at: Option<Nanos>| seconds_text(at.map(|at| self.since_start(at)));
        let budget = budget_spent(&self.seconds, self.plan.promise.availability);
        let rows = [
            (
                "Fault injected",
                moment(Some(self.fault.injected)),
                "since the warm-up".to_owned(),
            ),
            (
                "First bad second",
                moment(self.times.first_bad),
                format!("the objective: {promise}"),
            ),
            (
                "Time to detect",
                seconds_text(detect),
                "from the injection until two bad seconds in a row".to_owned(),
            ),
            (
                "Fault healed",
                moment(Some(self.fault.healed)),
                "and seen to work again".to_owned(),
            ),
            (
                "Time to recover",
                seconds_text(recover),
                format!(
                    "from the heal until the first of {to_recover} good seconds in a row, after which none was bad but alone among as many; promised within {}",
                    seconds_text(Some(self.plan.promise.recover_within.as_secs_f64()))
                ),
            ),
            (
                "Tickets caught up",
                self.since_heal(self.consistency.tickets),
                caught_up("payments without a ticket", self.consistency.tickets),
            ),
            (
                "Holds caught up",
                self.since_heal(self.consistency.holds),
                caught_up("overdue holds", self.consistency.holds),
            ),
            (
                "Time to consistency",
                seconds_text(self.consistency.reached().map(|at| self.seconds_after_heal(at))),
                "from the heal until both were caught up; that nothing was lost is for the ledger to say".to_owned(),
            ),
            (
                "Bad seconds",
                self.times.bad_seconds.to_string(),
                match (self.times.recovered, self.times.bad_after) {
                    (None, _) | (_, 0) => "after the injection".to_owned(),
                    (Some(_), after) => format!("after the injection; {after} of them, each alone, after the recovery"),
                },
            ),
            (
                "Error budget spent",
                budget.map_or_else(
                    || format::MISSING.to_owned(),
                    |spent| format!("{spent:.1} times the budget of these seconds"),
                ),
                "failures over what the objective allows".to_owned(),
            ),
        ];
        for (what, value, how) in rows {
            table.row([Cell::from(what), Cell::from(value), Cell::from(how)]);
        }
        table
    }

    fn seconds_after_heal(&self, at: Nanos) -> f64 {
        at.since(self.fault.healed).as_secs_f64()
    }

    fn since_heal(&self, backlog: Option<Backlog>) -> String {
        let at = backlog.and_then(|backlog| backlog.caught_up);
        seconds_text(at.map(|at| self.seconds_after_heal(at)))
    }

    fn radius(&self) -> Section {
        let mut table = Table::new(
            "Requests by endpoint: share failed and p95 before, during and after",
            [
                Column::text("Endpoint"),
                Column::text("Reached"),
                Column::number("Requests during", Unit::Count),
                Column::number("Failed before", Unit::Percent),
                Column::number("Failed during", Unit::Percent),
                Column::number("Failed after", Unit::Percent),
                Column::number("p95 before", Unit::Seconds),
                Column::number("p95 during", Unit::Seconds),
                Column::number("p95 after", Unit::Seconds),
            ],
        );
        for impact in &self.impacts {
            let share = |summary: &PhaseSummary| Cell::Number(summary.failure_ratio.map(|Ratio(ratio)| ratio * 100.0));
            let p95 = |summary: &PhaseSummary| {
                let Some(estimate) = summary.p95 else {
                    return Cell::Number(None);
                };
                match estimate.value.finite() {
                    Some(ns) => Cell::Number(Some(ns as f64 / 1e9)),
                    None => Cell::from("no answer"),
                }
            };
            table.row([
                Cell::from(common::words(impact.endpoint)),
                Cell::from(match impact.reach {
                    Reach::Touched => "touched",
                    Reach::Untouched => "shown untouched",
                    Reach::Unknown => "unknown",
                }),
                Cell::count(Some(impact.during.requests)),
                share(&impact.before),
                share(&impact.during),
                share(&impact.after),
                p95(&impact.before),
                p95(&impact.during),
                p95(&impact.after),
            ]);
        }
        Section::new("Whom it hurt")
            .with("“During” lasts from the injection until the objective was good again. Touched means more failures or slower than chance explains; untouched is shown, not assumed.")
            .with(table)
            .with_some(self.slowest())
    }

    fn slowest(&self) -> Option<Table> {
        let over = self.times.recovered;
        slowest(
            &self.events,
            |at| at >= self.fault.injected && over.is_none_or(|over| at < over),
            |at| self.since_start(at),
            "that ended “during”",
        )
    }

    fn got_worse(&self) -> GotWorse {
        let touched: Vec<Text> = self
            .impacts
            .iter()
            .filter(|impact| impact.reach == Reach::Touched)
            .map(|impact| {
                let failed = |summary: &PhaseSummary| {
                    format::quantity(Unit::Percent, summary.failure_ratio.map(|ratio| ratio.0 * 100.0))
                };
                Text::plain(format!(
                    "{}: {} failed during, {} before, {} after",
                    common::words(impact.endpoint),
                    failed(&impact.during),
                    failed(&impact.before),
                    failed(&impact.after)
                ))
            })
            .collect();
        if touched.is_empty() {
            return GotWorse::of(
                Text::plain("No endpoint is shown to have been touched by the fault."),
                [],
            );
        }
        GotWorse::of(
            Text::plain("While the fault lasted:"),
            [Block::List {
                ordered: false,
                items: touched,
            }],
        )
    }

    fn notes(&self) -> Vec<Text> {
        let mut notes = vec![Text::plain(
            "Method: journeys arrive by a schedule that does not wait for answers. Each second is judged by what ended in it, as somebody watching could have done. Noticing rests on the users' own requests, since the alert rules of production are not evaluated here.",
        )];
        notes.extend(self.clocks.clone());
        notes.extend(noted(&self.events));
        notes.extend(self.validity.notes.iter().map(|note| Text::plain(note.clone())));
        notes
    }
}

/// What the run itself noted, and why its requests failed.
fn noted(events: &[Event]) -> impl Iterator<Item = Text> {
    events.iter().filter_map(|event| match &event.what {
        What::Note { level, text } => {
            let prefix = if *level == NoteLevel::Warning { "Warning: " } else { "" };
            Some(Text::plain(format!("{prefix}{text}")))
        }
        What::Failed {
            endpoint,
            outcome,
            cause,
            count,
            ..
        } => Some(Text::plain(format!(
            "{endpoint} ended with {outcome} ({cause}), {count} times"
        ))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::incident::{self as plans, DrillFault};
    use crate::plan::spec;
    use crate::recording::{Endpoint, Outcome};
    use crate::units::Nanos;

    /// One letter a second, good or bad, with the fault from second 5 to 10; ten seconds are promised.
    #[track_caller]
    fn check(letters: &str, expected: Verdict, says: &str) {
        let at = |second: usize| Nanos(second as u64 * 1_000_000_000);
        let second = |(n, letter): (usize, char)| Second {
            at: at(n),
            served: 100,
            failed: if letter == 'b' { 50 } else { 0 },
            p99: None,
        };
        let seconds: Vec<Second> = letters.chars().enumerate().map(second).collect();
        let plan = plans::plan(DrillFault::MysqlPause, spec::Profile::Smoke, 1);
        let objective = Objective {
            availability: plan.promise.availability,
            p99_at_most: None,
        };
        let fault = FaultWindow {
            injected: at(5),
            healed: at(10),
        };
        let (verdict, text) = recovery(&plan, fault, &times(&seconds, objective, fault, Runs::default()));
        assert_eq!(verdict, expected, "{letters}: {text:?}");
        assert!(format!("{text:?}").contains(says), "{letters}: {text:?}");
    }

    #[test]
    fn recovery_is_promised_within_ten_seconds_and_lasts() {
        check("ggggggggggggggg", Verdict::Pass, "did not notice");
        check("gggggbbbbbbgggggg", Verdict::Pass, "1.0 s");
        check(&format!("gggggbbbbb{}ggggg", "b".repeat(10)), Verdict::Pass, "10.0 s");
        check(&format!("gggggbbbbb{}ggggg", "b".repeat(11)), Verdict::Fail, "11.0 s");
        check("gggbgbbbbbggggggg", Verdict::Unknown, "did not hold: 1 of");
        let alone = |n: usize| format!("gggggbbbbbb{}", "gggggb".repeat(n) + "ggggg");
        check(
            &alone(1),
            Verdict::Pass,
            " after the heal, but for one bad second later",
        );
        check(&alone(2), Verdict::Pass, "but for 2 bad seconds later, each alone");
        check(
            &format!("gggggbbbbbb{}bb", "g".repeat(9)),
            Verdict::Fail,
            "not good again before the recording ended",
        );
    }

    #[test]
    fn of_an_end_too_soon_after_the_last_bad_second_nothing_is_claimed() {
        for ending in ["gggg", "gggggb", "gggggbgggg", "gggggbb", "bbbb"] {
            check(&format!("gggggbbbbbb{ending}"), Verdict::Unknown, "too few seconds");
        }
        check(
            &format!("gggggbbbbb{}gggg", "b".repeat(11)),
            Verdict::Fail,
            "not good again",
        );
    }

    #[test]
    fn notes_say_why_requests_failed() {
        let failed = What::Failed {
            variant: 0,
            endpoint: Endpoint::Hold,
            outcome: Outcome::TimeOut,
            cause: "no answer in time".to_owned(),
            count: 12,
        };
        let warning = What::Note {
            level: NoteLevel::Warning,
            text: "clocks differ".to_owned(),
        };
        let events = [warning, failed].map(|what| Event { t: Nanos(0), what });
        let said: Vec<String> = noted(&events).map(|text| format!("{text:?}")).collect();
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("Warning: clocks differ"), "{said:?}");
        assert!(
            said[1].contains("hold ended with time-out (no answer in time), 12 times"),
            "{said:?}"
        );
    }
}
