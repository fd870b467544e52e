//! Judges one objective second by second, in the same way while a run goes on and when it is read again.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::ruling::{Ruling, Worst};
use super::window::Window;
use super::{Limit, Objective, Subject};
use crate::analysis::ended::Ended;
use crate::analysis::quantile::Value;
use crate::config::ScenarioConfig;
use crate::recording::event::Accounting;
use crate::recording::{Clock, Tag};
use crate::units::Nanos;

/// What ended between two cuts.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a> {
    pub begin: Nanos,
    pub length: Duration,
    /// By variant, endpoint, outcome and clock.
    pub ended: &'a [(&'a Tag, &'a Histogram<u64>)],
}

/// No cut is exactly a second: by so much a time may lack, or have too much.
const TREMBLING: Duration = Duration::from_millis(500);

/// Judges one objective.
#[derive(Clone, Debug)]
pub struct Judge {
    objective: Objective,
    /// When the objective holds.
    held: Vec<(Nanos, Nanos)>,
    /// Since when it holds without an end, where it holds in the last stage: whoever came then and waits still counts.
    held_on: Option<Nanos>,
    pub(super) window: Window,
    /// In which of the stretches the window lies.
    stretch: usize,
    worst: Option<Worst>,
    /// When the first of the windows now beyond the limit began, and when it was over.
    pub(super) broken_since: Option<(Nanos, Nanos)>,
    /// Until when the last window reached that was beyond the limit.
    broken_until: Option<Nanos>,
    is_hopeless: bool,
    /// `broken_since` as it was when the load was ended before its time.
    when_given_up: Option<Option<(Nanos, Nanos)>>,
}

impl Judge {
    /// For a run of `scenario` whose first stage began at `zero`.
    pub fn new(objective: &Objective, scenario: &ScenarioConfig, zero: Nanos) -> Self {
        let mut begin = zero;
        let mut held = Vec::new();
        let mut held_on = None;
        for stage in &scenario.stages {
            let end = begin.plus(stage.length);
            let is_held = match &objective.stage {
                Some(name) => *name == stage.name,
                None => stage.is_measured(),
            };
            if is_held {
                held.push((begin, end));
            }
            held_on = is_held.then_some(begin);
            begin = end;
        }
        Self {
            objective: objective.clone(),
            held,
            held_on,
            window: Window::new(objective.of, matches!(objective.limit, Limit::Quantile { .. })),
            stretch: 0,
            worst: None,
            broken_since: None,
            broken_until: None,
            is_hopeless: false,
            when_given_up: None,
        }
    }

    /// The objective.
    pub const fn objective(&self) -> &Objective {
        &self.objective
    }

    /// Whether the limit was exceeded for so long that the run need not go on.
    pub const fn is_hopeless(&self) -> bool {
        self.is_hopeless
    }

    /// The load was ended before its time. What still ends then is judged as well, but under ever less load: how things
    /// stood when it was given up is not mended by that.
    pub fn give_up(&mut self) {
        self.when_given_up.get_or_insert(self.broken_since);
    }

    /// Takes one second; seconds come in their order.
    pub fn take(&mut self, second: &Second<'_>) {
        let middle = second.begin.plus(second.length / 2);
        if let Limit::Offered { .. } = self.objective.limit {
            return;
        }
        let within = |(from, until): &(Nanos, Nanos)| (*from..*until).contains(&middle);
        let stretch = match self.held.iter().position(within) {
            Some(stretch) => stretch,
            None if self.held_on.is_some_and(|since| middle >= since) => self.held.len() - 1,
            None => return,
        };
        let Some(over) = self.objective.over else {
            // One sum for the whole run, however long it is.
            self.window.add(self.objective.of, second, false);
            return;
        };
        // Stages that do not touch have no window in common.
        if self.is_apart(stretch) {
            self.window.clear();
            self.broken_since = None;
        }
        self.stretch = stretch;
        self.window.add(self.objective.of, second, true);
        // A cut is never exactly a second: the window is full when it lacks less than half of one.
        self.window.shorten(over + TREMBLING);
        if self.window.length() + TREMBLING >= over {
            self.judge_window();
        }
    }

    /// Whether time that is not judged lies between what is in the window and `stretch`.
    fn is_apart(&self, stretch: usize) -> bool {
        let ends = |n: usize| self.held.get(n).map(|(_, until)| *until);
        let begins = |n: usize| self.held.get(n).map(|(from, _)| *from);
        (self.stretch..stretch).any(|n| ends(n) != begins(n + 1))
    }

    fn judge_window(&mut self) {
        let Some(worst) = self.value() else { return };
        if self.objective.limit.is_kept_by(worst.value) {
            self.broken_since = None;
        } else {
            // Where windows in between said nothing, for want of requests, it was not broken without a break.
            if self.broken_until.is_some_and(|until| worst.from > until) {
                self.broken_since = None;
            }
            self.broken_until = Some(worst.until);
            let (_, seen) = *self.broken_since.get_or_insert((worst.from, worst.until));
            let after = self.objective.abort_after;
            self.is_hopeless |= after.is_some_and(|after| worst.until.since(seen) + TREMBLING >= after);
        }
        let without_own = self.worst.map_or(f64::NEG_INFINITY, |known| known.without_own);
        let highest = match self.worst {
            Some(known) if known.value >= worst.value => known,
            _ => worst,
        };
        self.worst = Some(Worst {
            without_own: worst.without_own.max(without_own),
            ..highest
        });
    }

    /// The value of what is in the window; `None` when that is too little.
    fn value(&self) -> Option<Worst> {
        let ended = self.window.ended();
        let all = ended.all();
        if all < self.objective.limit.least_ended().max(1) && !self.is_missed_for_certain(&ended) {
            return None;
        }
        let share = |part: u64| part as f64 / all as f64 * 100.0;
        let (value, own) = match self.objective.limit {
            Limit::Quantile { quantile: q, .. } => {
                let seconds = |value: Value| match value {
                    Value::Finite(ns) => Nanos(ns).as_secs_f64(),
                    Value::Infinite => f64::INFINITY,
                };
                let value = seconds(ended.quantile(self.objective.of.clock(), q)?);
                (value, ended.quantile(Clock::Lag, q).map_or(0.0, seconds))
            }
            Limit::Failed { .. } => (share(ended.unserved()), share(ended.dropped_by_generator)),
            Limit::Offered { .. } => return None,
        };
        let (from, until) = self.window.span()?;
        Some(Worst {
            value,
            from,
            until,
            without_own: value - own,
            broken_for_good: None,
        })
    }

    /// Whether so few have ended beyond the limit already that all others which the window lacks could not mend it.
    fn is_missed_for_certain(&self, ended: &Ended) -> bool {
        let beyond = match self.objective.limit {
            Limit::Failed { .. } => ended.unserved(),
            Limit::Quantile { most, .. } => ended.beyond(self.objective.of.clock(), most),
            Limit::Offered { .. } => 0,
        };
        let share = self.objective.limit.share_beyond();
        beyond as f64 > share * self.objective.limit.least_ended() as f64
    }

    /// The ruling over the run, whose books are `accounting`.
    pub fn finish(mut self, accounting: &Accounting) -> Ruling {
        if let Limit::Offered { .. } = self.objective.limit {
            return self.offered(accounting);
        }
        if self.objective.over.is_none() {
            self.judge_window();
        }
        let broken = self.when_given_up.unwrap_or(self.broken_since);
        match self.worst {
            Some(worst) if self.objective.limit.is_kept_by(worst.value) => Ruling::Met(worst),
            Some(worst) => Ruling::Missed(Worst {
                broken_for_good: broken.map(|(began, _)| began),
                ..worst
            }),
            None => {
                let least = self.objective.limit.least_ended().max(1);
                let ended = match self.objective.of {
                    Subject::Journeys => "journeys".to_owned(),
                    Subject::Endpoint(endpoint) => format!("of {endpoint}"),
                };
                Ruling::Unknown(match self.objective.over {
                    Some(over) => format!("no {} had {least} {ended}", humantime::format_duration(over)),
                    None => format!("less than {least} {ended} ended"),
                })
            }
        }
    }

    fn offered(&self, accounting: &Accounting) -> Ruling {
        let (Some((from, _)), Some((_, until))) = (self.held.first(), self.held.last()) else {
            return Ruling::Unknown("no stage was held to it".to_owned());
        };
        if accounting.arrivals() == 0 {
            return Ruling::Unknown("no arrival was scheduled; virtual users come when they are done".to_owned());
        }
        if self.when_given_up.is_some() {
            return Ruling::Unknown("the load was ended before its schedule was over".to_owned());
        }
        let in_time = accounting.started.saturating_sub(accounting.visits + accounting.late);
        let value = in_time as f64 / accounting.arrivals() as f64 * 100.0;
        let worst = Worst {
            value,
            from: *from,
            until: *until,
            without_own: value,
            broken_for_good: None,
        };
        if self.objective.limit.is_kept_by(worst.value) {
            Ruling::Met(worst)
        } else {
            Ruling::Missed(worst)
        }
    }
}
