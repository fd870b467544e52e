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
    given_up: Option<Nanos>,
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
    cuts::each_second::<RecordError>(recording, Some(zero), |cut| {
        let ended: Vec<_> = cut.ended.iter().map(|(tag, histogram)| (tag, histogram)).collect();
        let second = Second {
            begin: cut.start,
            length: cut.length,
            ended: &ended,
        };
        if given_up.is_some_and(|given_up| cut.middle() >= given_up) {
            judges.iter_mut().for_each(Judge::give_up);
        }
        judges.iter_mut().for_each(|judge| judge.take(&second));
        Ok(())
    })?;
    if given_up.is_some() {
        judges.iter_mut().for_each(Judge::give_up);
    }
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
        let given_up = events
            .iter()
            .find(|event| matches!(event.what, What::EndedEarly { .. } | What::RanDry { .. }));
        let given_up = given_up.map(|event| event.t);
        let judged = judge(recording, &objectives, &scenario, zero, given_up, &books)?;
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
                    (Verdict::Unknown, Text::marked(&text))
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
            return (Verdict::Unknown, Text::marked(&text));
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
