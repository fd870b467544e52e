//! A run judged: its objectives, its invariants, whether its numbers carry a claim, and what follows from all of it.
//!
//! One judgement for the report and for what is exported; how it is told is theirs.

use super::{KindError, common};
use crate::analysis::cuts;
use crate::config::ScenarioConfig;
use crate::format::{self, Unit};
use crate::objectives::{self, Judge, Limit, Objective, Ruling, Second};
use crate::plan::ScenarioPlan;
use crate::recording::event::{Accounting, Edge, What};
use crate::recording::{Event, RecordError, Recording};
use crate::report::{Text, Verdict};
use crate::units::Nanos;
use crate::verdict::ledger::{self, LedgerReport, Overall};
use crate::verdict::validity::{self, Validity};

/// Everything that decides over a run.
#[derive(Debug)]
pub struct Judgement {
    pub scenario: ScenarioConfig,
    /// Each objective and what came of it.
    pub judged: Vec<(Objective, Ruling)>,
    pub events: Vec<Event>,
    /// When the schedule began; `None` where it never did.
    pub zero: Option<Nanos>,
    /// Every arrival of the run, added up.
    pub books: Accounting,
    pub ledger: LedgerReport,
    pub validity: Validity,
}

/// The scenario of a run, and what it was held to, as its plan has them.
///
/// # Errors
/// When there is no plan, or it is of another form.
pub fn planned(recording: &Recording) -> Result<(ScenarioConfig, Vec<Objective>), KindError> {
    let text = recording
        .plan()?
        .ok_or_else(|| KindError::NoPlan(recording.dir().to_owned()))?;
    let plan: ScenarioPlan = serde_yaml::from_str(&text).map_err(|source| KindError::Plan {
        dir: recording.dir().to_owned(),
        source,
    })?;
    let unreadable = |source| KindError::Scenario {
        dir: recording.dir().to_owned(),
        source,
    };
    let scenario = plan.scenario().map_err(unreadable)?;
    let objectives = match plan.objectives() {
        None => Vec::new(),
        Some(text) => objectives::parse("plan.yaml", &text, &scenario).map_err(unreadable)?,
    };
    Ok((scenario, objectives))
}

/// When the schedule began: with its first stage.
pub fn zero(events: &[Event], scenario: &ScenarioConfig) -> Option<Nanos> {
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
    cuts::each_second::<RecordError>(recording, |cut| {
        let ended: Vec<_> = cut.ended.iter().map(|(tag, histogram)| (tag, histogram)).collect();
        let second = Second {
            begin: cut.start,
            length: cut.length,
            ended: &ended,
        };
        judges.iter_mut().for_each(|judge| judge.take(&second));
        Ok(())
    })?;
    let rulings = judges.into_iter().map(|judge| {
        let objective = judge.objective().clone();
        (objective, judge.finish(books))
    });
    Ok(rulings.collect())
}

impl Judgement {
    /// Judges a run.
    ///
    /// # Errors
    /// When its recording cannot be read, or its plan is none of a run.
    pub fn of(recording: &Recording) -> Result<Self, KindError> {
        let (scenario, objectives) = planned(recording)?;
        let events = recording.events()?;
        let zero = zero(&events, &scenario);
        let books = common::accounting(&events);
        let judged = judge(recording, &objectives, &scenario, zero, &books)?;
        let ledger = ledger::verify(recording)?;
        let mut validity = validity::validity(recording)?;
        // A single run claims response times, which rest on the generator's being in time.
        validity.doubts.append(&mut validity.lag);
        Ok(Self {
            scenario,
            judged,
            events,
            zero,
            books,
            ledger,
            validity,
        })
    }

    /// The answer in one word and in one sentence.
    pub fn verdict(&self) -> (Verdict, Text) {
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
            .filter(|(objective, ruling)| self.is_the_services(objective, ruling));
        if self.scenario.until_broken
            && let Some(found) = self.broken_at(missed.clone())
        {
            // Users who are all busy are what the end of such a run is like; nothing else may have had a part in it.
            return match self.validity.beside_overload() {
                None => (Verdict::Pass, found),
                Some(doubt) => {
                    let text = format!("Something broke, but the run cannot carry a claim about the load: {doubt}.");
                    (Verdict::Unknown, Text::plain(text))
                }
            };
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
                "No objective was broken for good up to {}: a higher rate must be planned to find what breaks one.",
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
            count(self.books.ok),
            count(self.books.scheduled),
            count(self.books.failed)
        );
        (Verdict::Pass, Text::marked(&text))
    }

    /// Whether an objective was missed by more than the generator's own lateness explains. Where users waited since all of
    /// them were busy, that wait is what the service made of the load.
    pub fn is_the_services(&self, objective: &Objective, ruling: &Ruling) -> bool {
        let Ruling::Missed(worst) = ruling else { return false };
        match objective.limit {
            Limit::Offered { .. } => true,
            // What was never sent is in every figure, and nobody knows how much of it.
            _ if self.is_out_of_sockets() => false,
            limit if self.validity.is_generators_fault => !limit.is_kept_by(worst.without_own),
            _ => true,
        }
    }

    fn is_out_of_sockets(&self) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event.what, What::OutOfSockets { .. }))
    }

    /// Of a run whose rate rose until an objective broke: where it did; `None` when none of `missed` ended it.
    fn broken_at<'a>(&self, missed: impl Iterator<Item = &'a (Objective, Ruling)>) -> Option<Text> {
        self.ended_early()?;
        let broken = missed.filter(|(objective, _)| objective.abort_after.is_some());
        let broken = broken.filter_map(|(objective, ruling)| Some((ruling.worst()?.broken_for_good?, objective)));
        let (since, objective) = broken.min_by_key(|(since, _)| *since)?;
        Some(Text::marked(&format!(
            "Up to **{}** planned, no objective was missed for good; from there on “{}” was: {} {}.",
            format::quantity(
                Unit::PerSecond,
                self.scenario.planned_at(self.at(since)).map(|rate| rate.0)
            ),
            objective.name,
            objective.of,
            objective.limit
        )))
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

    /// Why the load was ended before its schedule was over; `None` where it was not.
    pub fn ended_early(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match &event.what {
            What::EndedEarly { reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    /// Seconds since the schedule began.
    pub fn at(&self, moment: Nanos) -> f64 {
        moment.as_secs_f64() - self.zero.unwrap_or(Nanos(0)).as_secs_f64()
    }
}

/// A value of an objective as people read it.
pub fn value_of(limit: Limit, value: Option<f64>) -> String {
    match (limit, value) {
        (Limit::Quantile { .. }, value) => format::waited(value),
        (Limit::Failed { .. } | Limit::Offered { .. }, value) => format::quantity(Unit::Percent, value),
    }
}

/// Over what an objective is judged.
pub fn window_of(objective: &Objective) -> String {
    match (&objective.stage, objective.over) {
        (None, None) => "the run".to_owned(),
        (Some(stage), None) => stage.clone(),
        (None, Some(over)) => humantime::format_duration(over).to_string(),
        (Some(stage), Some(over)) => format!("{} of {stage}", humantime::format_duration(over)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{JourneyKind, Stage};
    use crate::recording::{Clock, Endpoint, Outcome};
    use crate::report::kinds::fixture::{Fixture, ms, valid_ledger, whole};
    use crate::units::{Percent, RatePerSec};
    use std::time::Duration;

    const QUICK: &str = "objectives:\n  - {name: quick, p99: 250ms, over: 2s, abort-after: 2s}\n";

    /// A run of six seconds with forty journeys in each, which took and were begun late as long as these say, by a service
    /// that kept its promises.
    fn judged(until_broken: bool, took_ms: [u64; 6], lag_ms: [u64; 6], counts: Accounting) -> Judgement {
        let mix = [(JourneyKind::Book, Percent(100.0))];
        let constant = ScenarioConfig::constant("s", RatePerSec(10.0), Duration::from_secs(6), &mix);
        let rise = Stage {
            to: RatePerSec(70.0),
            ..constant.stages[0].clone()
        };
        let scenario = ScenarioConfig {
            stages: vec![rise],
            until_broken,
            ..constant
        };
        let fixture = Fixture::of(&scenario, Some(QUICK));
        fixture.phase("s", ms(1_000), Edge::Begin);
        for (second, (took, lag)) in (1..).zip(took_ms.into_iter().zip(lag_ms)) {
            let clocks = [(Clock::Response, took), (Clock::Service, took - lag), (Clock::Lag, lag)];
            for (clock, ms_of_it) in clocks {
                fixture.second(
                    ms(second * 1_000),
                    Endpoint::JourneyBook,
                    Outcome::Won,
                    clock,
                    100,
                    ms_of_it,
                );
            }
        }
        fixture.account(ms(7_000), counts);
        let reason = "the objective `quick` was missed for 2s without a break".to_owned();
        if until_broken && took_ms[5] > 250 {
            fixture.writer.event(ms(7_000), What::EndedEarly { reason }).unwrap();
        }
        let mut judgement = Judgement::of(&fixture.read()).unwrap();
        judgement.ledger = valid_ledger();
        judgement
    }

    #[track_caller]
    fn check(judgement: &Judgement, expected: Verdict, part: &str) {
        let (verdict, sentence) = judgement.verdict();
        let sentence = sentence.to_plain().replace('\u{a0}', " ");
        assert!(
            verdict == expected && sentence.contains(part),
            "{verdict:?}: {sentence}"
        );
    }

    const GOOD: [u64; 6] = [20; 6];
    const IN_TIME: [u64; 6] = [0; 6];
    /// Beyond the limit from the fourth second on.
    const SLOW: [u64; 6] = [20, 20, 20, 300, 300, 300];

    #[test]
    fn a_miss_is_the_services_unless_the_generator_may_have_made_it() {
        check(
            &judged(false, GOOD, IN_TIME, whole()),
            Verdict::Pass,
            "its objective is met",
        );
        check(
            &judged(false, SLOW, IN_TIME, whole()),
            Verdict::Fail,
            "“quick” was missed: journeys p99 ≤ 250ms, and 300 ms",
        );
        // Of the 300 ms the generator overslept 280.
        let late = [0, 0, 0, 280, 280, 280];
        let generators = judged(false, SLOW, late, whole());
        check(&generators, Verdict::Unknown, "the generator's own fault");
        let (objective, ruling) = &generators.judged[0];
        assert!(matches!(ruling, Ruling::Missed(_)) && !generators.is_the_services(objective, ruling));
        // It overslept 5 ms of them, which is no excuse.
        let hardly = [0, 0, 0, 16, 16, 16];
        let services = judged(false, SLOW, hardly, whole());
        assert!(services.validity.is_generators_fault, "{:?}", services.validity);
        check(&services, Verdict::Fail, "“quick” was missed");
    }

    #[test]
    fn a_doubt_takes_away_a_pass_and_no_miss() {
        let dropped = Accounting {
            scheduled: 200,
            dropped: 40,
            ..whole()
        };
        let doubt = "40 of 200 arrivals were dropped, since every user was busy";
        check(&judged(false, GOOD, IN_TIME, dropped), Verdict::Unknown, doubt);
        check(&judged(false, SLOW, IN_TIME, dropped), Verdict::Fail, "missed");
    }

    #[test]
    fn what_broke_is_found_and_passes_only_where_nothing_but_the_load_can_have_broken_it() {
        // Of 160 arrivals a fifth came to no free user, which is how a service gives way.
        let overload = Accounting {
            scheduled: 200,
            dropped: 40,
            ..whole()
        };
        for counts in [whole(), overload] {
            // The first window beyond the limit is that of the third and the fourth second.
            check(
                &judged(true, SLOW, IN_TIME, counts),
                Verdict::Pass,
                "Up to 30.0/s planned, no objective was missed for good",
            );
        }
        let overslept = Accounting {
            late: 40,
            late_by_generator: 40,
            ..whole()
        };
        check(
            &judged(true, SLOW, IN_TIME, overslept),
            Verdict::Unknown,
            "started late, through the generator's own fault",
        );
        let unbalanced = Accounting { ok: 150, ..whole() };
        check(
            &judged(true, SLOW, IN_TIME, unbalanced),
            Verdict::Unknown,
            "160 arrivals started, but 150 ended well",
        );
        check(
            &judged(true, GOOD, IN_TIME, whole()),
            Verdict::Unknown,
            "No objective was broken for good up to 70.0/s",
        );
        let mut unknown = judged(true, SLOW, IN_TIME, whole());
        unknown.ledger.variants[0]
            .doubts
            .push("a reader was refused".to_owned());
        check(&unknown, Verdict::Unknown, "is unknown; see the badge");
    }

    #[test]
    fn a_broken_invariant_comes_before_everything() {
        let mut broken = judged(false, SLOW, IN_TIME, whole());
        broken.ledger.variants[0].findings[0].verdict = ledger::Verdict::Invalid {
            reason: "sold twice".to_owned(),
            witness: Vec::new(),
        };
        check(&broken, Verdict::Broken, "a seat is sold once");
    }
}
