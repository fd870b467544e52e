//! Whether stages at a constant load settled, and where their settling ends.

use super::document::Run;
use crate::analysis::steady::{Steadiness, steadiness};
use crate::config::Stage;
use crate::format::{self, Unit};
use crate::report::{Cell, Column, Section, Table};

/// A stage that moves by more than this share of its median has not settled.
const MOST_DRIFT: f64 = 0.1;

/// What came of one stage at a constant load. Moments are seconds since the schedule began.
pub(super) struct Settled<'a> {
    pub(super) stage: &'a Stage,
    pub(super) begin: f64,
    /// The end of the stage, or of what was measured where that is earlier.
    pub(super) end: f64,
    /// The end of settling, where one was found; a stage that drifts has one too.
    cut: Option<f64>,
    /// `None` where the median of a second got no answer: that is no series that could settle.
    steadiness: Option<Steadiness>,
}

impl Settled<'_> {
    /// The drift that is left after the best cut, as a share; `None` for a stage that settled, or of which nobody knows.
    const fn drift(&self) -> Option<f64> {
        match self.steadiness {
            Some(Steadiness::Drifting { drift, .. } | Steadiness::Settling { drift, .. }) => Some(drift),
            Some(Steadiness::Steady { .. } | Steadiness::TooShort) | None => None,
        }
    }

    pub(super) const fn never_settled(&self) -> bool {
        self.drift().is_some()
    }

    /// The end of settling, where the stage settled and did not do so at once.
    pub(super) fn settled_at(&self) -> Option<f64> {
        let is_steady = matches!(self.steadiness, Some(Steadiness::Steady { .. }));
        self.cut.filter(|_| is_steady && self.cut_after() > Some(0.0))
    }

    /// How many seconds after the beginning the cut lies; seconds begin a little beside the stage.
    fn cut_after(&self) -> Option<f64> {
        self.cut.map(|cut| (cut - self.begin).round())
    }

    const fn verdict(&self) -> &'static str {
        match self.steadiness {
            Some(Steadiness::Steady { .. }) => "steady",
            Some(Steadiness::Drifting { .. } | Steadiness::Settling { .. }) => "never settled",
            Some(Steadiness::TooShort) => "unknown: too short",
            None => "unknown: in some seconds the median got no answer",
        }
    }
}

impl Run<'_> {
    /// Each measured stage at a constant load, by the median response time of each of its seconds.
    pub(super) fn settled(&self) -> Vec<Settled<'_>> {
        let mut begin = 0.0;
        let mut found = Vec::new();
        for stage in &self.judgement.scenario.stages {
            let end = begin + stage.length.as_secs_f64();
            let is_constant = stage.from == stage.to && stage.virtual_users.0 == stage.virtual_users.1;
            if is_constant && stage.is_measured() {
                found.push(self.settled_stage(stage, begin, end));
            }
            begin = end;
        }
        found
    }

    fn settled_stage<'a>(&self, stage: &'a Stage, begin: f64, end: f64) -> Settled<'a> {
        let from = |second: &super::measured::Second| self.judgement.at(second.start);
        let within: Vec<_> = self
            .measured
            .seconds
            .iter()
            .filter(|second| (begin..end).contains(&(from(second) + second.length_s / 2.0)))
            .collect();
        let last = within.last().map(|second| from(second) + second.length_s);
        // Where nothing ended there is no median, which is common where few come.
        let told: Vec<_> = within
            .into_iter()
            .filter(|second| second.ok + second.unserved > 0)
            .collect();
        let medians: Option<Vec<f64>> = told.iter().map(|second| second.response_p50).collect();
        let steadiness = medians.map(|medians| steadiness(&medians, MOST_DRIFT));
        let cut = match steadiness {
            Some(Steadiness::Steady { warm_up } | Steadiness::Drifting { warm_up, .. }) => {
                told.get(warm_up).map(|first| from(first).max(begin))
            }
            Some(Steadiness::Settling { .. } | Steadiness::TooShort) | None => None,
        };
        Settled {
            stage,
            begin,
            end: last.map_or(end, |last| last.min(end)),
            cut,
            steadiness,
        }
    }

    /// For those who read no further than the notes: figures of what never settled are those of no state.
    pub(super) fn unsettled(&self) -> Vec<String> {
        let settled = self.settled().into_iter();
        let notes = settled.filter_map(|settled| {
            let drift = settled.drift()?;
            Some(format!(
                "the stage “{}” never settled: after the best cut, its median response time still moved by {} from the \
                 first to the last quarter, so its figures depend on how long it lasted",
                settled.stage.name,
                format::quantity(Unit::Percent, Some(drift * 100.0))
            ))
        });
        notes.collect()
    }

    pub(super) fn settling(&self) -> Section {
        let section = Section::new("Did it settle?");
        let stages = self.settled();
        if stages.is_empty() {
            return section.with("No measured stage had a constant load, so that nothing could settle.");
        }
        let mut table = Table::new(
            "Measured stages at a constant load, by the median response time of each second",
            [
                Column::text("Stage"),
                Column::number("Cut after", Unit::Seconds),
                Column::number("Drift after it", Unit::Percent),
                Column::text("Verdict"),
            ],
        );
        for settled in stages {
            table.row([
                Cell::from(settled.stage.name.clone()),
                Cell::Number(settled.cut_after()),
                Cell::Number(settled.drift().map(|drift| drift * 100.0)),
                Cell::from(settled.verdict()),
            ]);
        }
        section
            .with(
                "The end of settling is the cut of MSER-5 (White, Cobb and Spratt 2000): the one after which the mean has \
                 the smallest standard error. A stage has settled when no trend or step over twenty parts of the rest \
                 moves it by more than 10 %. The figures of this report hold the settling as well: what they leave out \
                 are the stages that the scenario marks as warm-up or cool-down.",
            )
            .with(table)
    }
}
