//! The load of a recording cut by cut, each with its stage and with what ended of every sort: what all exports share.

use std::collections::{BTreeMap, BTreeSet};

use super::ExportError;
use crate::analysis::cuts::{self, Cut};
use crate::analysis::ended::Ended;
use crate::config::ScenarioConfig;
use crate::plan::scenario::KIND as RUN;
use crate::recording::event::Edge;
use crate::recording::model::ClockAnchor;
use crate::recording::{Clock, Endpoint, Event, Recording, What};
use crate::report::kinds::judgement;
use crate::units::{Nanos, RatePerSec, Ratio};

/// The kind without samples of its own.
const OVERVIEW: &str = "overview";

/// A figure by one of the clocks: which, and which quantile of it.
pub(super) const TIMES: [(Clock, Ratio); 9] = [
    (Clock::Response, Ratio(0.5)),
    (Clock::Response, Ratio(0.95)),
    (Clock::Response, Ratio(0.99)),
    (Clock::Service, Ratio(0.5)),
    (Clock::Service, Ratio(0.99)),
    (Clock::Lag, Ratio(0.5)),
    (Clock::Lag, Ratio(0.99)),
    (Clock::Wait, Ratio(0.5)),
    (Clock::Wait, Ratio(0.99)),
];

/// What ended between two cuts.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    pub(super) stage: Option<&'a str>,
    /// The slice of an experiment in which it lies.
    pub(super) slice: Option<u32>,
    /// The rate that the plan has for its middle; `None` where no schedule says so.
    pub(super) planned: Option<RatePerSec>,
    /// By variant and endpoint. Of a run every pair that was there before is here again, be it with nothing that ended.
    pub(super) ended: BTreeMap<(String, Endpoint), Ended>,
}

/// What surrounds the samples of a recording.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) events: Vec<Event>,
    pub(super) clock: ClockAnchor,
    stages: Vec<(String, Nanos, Option<Nanos>)>,
    schedule: Option<Schedule>,
    is_continuous: bool,
}

/// A scenario, and when its first stage began.
#[derive(Debug)]
struct Schedule {
    zero: Nanos,
    scenario: ScenarioConfig,
}

impl Surroundings {
    /// # Errors
    /// When the recording cannot be read, is an overview, or is a run without its plan.
    pub(super) fn of(recording: &Recording) -> Result<Self, ExportError> {
        if recording.manifest().kind == OVERVIEW {
            return Err(ExportError::Overview(recording.dir().to_owned()));
        }
        let events = recording.events()?;
        let schedule = match recording.manifest().kind.as_str() {
            RUN => {
                let (scenario, _) = judgement::planned(recording)?;
                judgement::zero(&events, &scenario).map(|zero| Schedule { zero, scenario })
            }
            _ => None,
        };
        Ok(Self {
            stages: stages(&events),
            clock: recording.manifest().clock.clone(),
            schedule,
            // Between the slices of an experiment nobody records.
            is_continuous: !events.iter().any(|event| matches!(event.what, What::Slice(_))),
            events,
        })
    }

    /// When the first stage began; when the recording began where there are none.
    pub(super) fn zero(&self) -> Nanos {
        self.stages.first().map_or(Nanos(0), |(_, begin, _)| *begin)
    }

    /// The stage at this moment; `None` between and around them.
    pub(super) fn stage(&self, at: Nanos) -> Option<&str> {
        let lasting =
            |(_, begin, end): &&(String, Nanos, Option<Nanos>)| *begin <= at && end.is_none_or(|end| at < end);
        self.stages.iter().rev().find(lasting).map(|(name, ..)| name.as_str())
    }

    fn slice(&self, at: Nanos) -> Option<u32> {
        self.events.iter().find_map(|event| match &event.what {
            What::Slice(slice) if slice.start <= at && at < slice.end => Some(slice.slice),
            _ => None,
        })
    }

    fn planned(&self, at: Nanos) -> Option<RatePerSec> {
        let schedule = self.schedule.as_ref().filter(|schedule| schedule.zero <= at)?;
        schedule.scenario.planned_at(at.since(schedule.zero).as_secs_f64())
    }

    /// Hands every cut to `look`, and one for each second in between in which nothing ended.
    ///
    /// # Errors
    /// When the log cannot be read; or the first error of `look`.
    pub(super) fn frames(
        &self,
        recording: &Recording,
        mut look: impl FnMut(&Frame<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut seen: BTreeSet<(String, Endpoint)> = BTreeSet::new();
        let look = |cut: &Cut| look(&self.frame(cut, &mut seen));
        if self.is_continuous {
            cuts::each_second(recording, self.schedule.as_ref().map(|schedule| schedule.zero), look)
        } else {
            cuts::each(recording, look)
        }
    }

    fn frame(&self, cut: &Cut, seen: &mut BTreeSet<(String, Endpoint)>) -> Frame<'_> {
        let mut ended = cut.by(|tag| Some((tag.variant.clone(), tag.endpoint)));
        if self.is_continuous {
            seen.extend(ended.keys().cloned());
            for known in seen.iter() {
                ended.entry(known.clone()).or_default();
            }
        }
        Frame {
            start: cut.start,
            end: cut.end(),
            stage: self.stage(cut.middle()),
            slice: self.slice(cut.middle()),
            planned: self.planned(cut.middle()),
            ended,
        }
    }
}

/// The phases of the events, each with its end where it came to one. Where the load was over before, the books were the
/// last to know: nobody notes the moment at which an end was asked for.
fn stages(events: &[Event]) -> Vec<(String, Nanos, Option<Nanos>)> {
    let mut stages: Vec<(String, Nanos, Option<Nanos>)> = Vec::new();
    for event in events {
        match &event.what {
            What::Phase {
                name,
                edge: Edge::Begin,
            } => stages.push((name.clone(), event.t, None)),
            What::Phase { name, edge: Edge::End } => {
                let open = stages
                    .iter_mut()
                    .rev()
                    .find(|(open, _, end)| open == name && end.is_none());
                if let Some((.., end)) = open {
                    *end = Some(event.t);
                }
            }
            _ => {}
        }
    }
    for (_, begin, end) in stages.iter_mut().filter(|(.., end)| end.is_none()) {
        let ends = events.iter().filter(|event| is_over(&event.what)).map(|event| event.t);
        *end = ends.filter(|at| at >= begin).min();
    }
    stages
}

/// Whether there is no load any more from this event on.
const fn is_over(what: &What) -> bool {
    matches!(
        what,
        What::EndedEarly { .. } | What::RanDry { .. } | What::Accounting { slice: None, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::event::Accounting;
    use crate::report::kinds::fixture::{Fixture, ms};

    /// The stage in the middle of each second of a run that began a stage in its first second, was over by `ends` and took
    /// until its fifth second for its last users.
    #[track_caller]
    fn check(ends: &[(u64, What)], expected: [Option<&str>; 6]) {
        let fixture = Fixture::run(None);
        fixture.phase("before", ms(0), Edge::Begin);
        fixture.phase("before", ms(1_000), Edge::End);
        fixture.stage(ms(1_000), Edge::Begin);
        for (at, what) in ends {
            fixture.writer.event(ms(*at), what.clone()).unwrap();
        }
        fixture.account(ms(5_000), Accounting::default());
        let surroundings = Surroundings::of(&fixture.read()).unwrap();
        let stages: Vec<_> = (0..6)
            .map(|second| surroundings.stage(ms(second * 1_000 + 500)))
            .collect();
        assert_eq!(stages, expected, "{ends:?}");
    }

    #[test]
    fn a_stage_that_was_broken_off_is_over_when_the_load_is() {
        let early = || What::EndedEarly {
            reason: "hopeless".to_owned(),
        };
        let dry = || What::RanDry {
            feeder: "fans".to_owned(),
            rows: 8,
        };
        let end = || What::Phase {
            name: "steady".to_owned(),
            edge: Edge::End,
        };
        let (before, steady) = (Some("before"), Some("steady"));
        check(&[(3_000, early())], [before, steady, steady, None, None, None]);
        check(&[(2_000, dry())], [before, steady, None, None, None, None]);
        // Interrupted: from the books on nobody is on the way any more.
        check(&[], [before, steady, steady, steady, steady, None]);
        // It came to its end, and that one counts.
        check(
            &[(3_000, end()), (4_000, early())],
            [before, steady, steady, None, None, None],
        );
    }
}
