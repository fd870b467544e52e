//! Judges one objective second by second, in the same way while a run goes on and when it is read again.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Limit, Objective, Subject};
use crate::analysis::cuts::join;
use crate::analysis::quantile::{Value, quantile};
use crate::config::ScenarioConfig;
use crate::recording::event::Accounting;
use crate::recording::{Clock, Outcome, Tag};
use crate::units::Nanos;

/// The window that was nearest to the limit, or farthest beyond it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Worst {
    /// Seconds for a quantile, with infinity for no answer; per cent for the others.
    pub value: f64,
    pub from: Nanos,
    pub until: Nanos,
    /// The highest value of any window when what the generator itself can have added to it is taken off: of a quantile, how
    /// late it sent journeys at the same quantile, as if the slow ones had been the late ones; of failures, what it dropped.
    pub without_own: f64,
    /// When the first of the windows began that exceeded the limit without a break until the end; `None` where the last
    /// one did not.
    pub broken_for_good: Option<Nanos>,
}

/// Three values: an objective that nothing tested is not met.
#[derive(Clone, PartialEq, Debug)]
pub enum Ruling {
    Met(Worst),
    Missed(Worst),
    Unknown(String),
}

impl Ruling {
    /// The window that decided.
    pub const fn worst(&self) -> Option<Worst> {
        match self {
            Self::Met(worst) | Self::Missed(worst) => Some(*worst),
            Self::Unknown(_) => None,
        }
    }
}

/// What ended between two cuts.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a> {
    pub begin: Nanos,
    pub length: Duration,
    /// By variant, endpoint, outcome and clock.
    pub ended: &'a [(&'a Tag, &'a Histogram<u64>)],
}

/// What counts of it.
#[derive(Clone, Debug)]
struct Counted {
    begin: Nanos,
    end: Nanos,
    answered: Option<Histogram<u64>>,
    /// How late the generator itself was, where that is in the time that is judged.
    lag: Option<Histogram<u64>>,
    /// Dropped, since the generator woke nobody in time.
    own_drops: u64,
    unanswered: u64,
    failed: u64,
    all: u64,
}

/// Judges one objective.
#[derive(Clone, Debug)]
pub struct Judge {
    objective: Objective,
    /// When the objective holds.
    held: Vec<(Nanos, Nanos)>,
    /// Since when it holds without an end, where it holds in the last stage: whoever came then and waits still counts.
    held_on: Option<Nanos>,
    window: VecDeque<Counted>,
    /// In which of the stretches the window lies.
    stretch: usize,
    worst: Option<Worst>,
    /// When the first of the windows now beyond the limit began, and when it was over.
    broken_since: Option<(Nanos, Nanos)>,
    is_hopeless: bool,
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
            window: VecDeque::new(),
            stretch: 0,
            worst: None,
            broken_since: None,
            is_hopeless: false,
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
        let counted = count(self.objective.of, second);
        let Some(over) = self.objective.over else {
            // One sum for the whole run, however long it is.
            match self.window.back_mut() {
                Some(sum) => sum.join(counted),
                None => self.window.push_back(counted),
            }
            return;
        };
        // Stages that do not touch have no window in common.
        if self.is_apart(stretch) {
            self.window.clear();
            self.broken_since = None;
        }
        self.stretch = stretch;
        self.window.push_back(counted);
        // A cut is never exactly a second: the window is full when it lacks less than half of one.
        while self.length() > over.as_secs_f64() + 0.5 {
            self.window.pop_front();
        }
        if self.length() + 0.5 >= over.as_secs_f64() {
            self.judge_window();
        }
    }

    /// Whether time that is not judged lies between what is in the window and `stretch`.
    fn is_apart(&self, stretch: usize) -> bool {
        let ends = |n: usize| self.held.get(n).map(|(_, until)| *until);
        let begins = |n: usize| self.held.get(n).map(|(from, _)| *from);
        (self.stretch..stretch).any(|n| ends(n) != begins(n + 1))
    }

    fn length(&self) -> f64 {
        let lengths = self.window.iter().map(|counted| counted.end.since(counted.begin));
        lengths.sum::<Duration>().as_secs_f64()
    }

    fn judge_window(&mut self) {
        let Some(worst) = self.value() else { return };
        if self.objective.limit.is_kept_by(worst.value) {
            self.broken_since = None;
        } else {
            let (_, seen) = *self.broken_since.get_or_insert((worst.from, worst.until));
            let after = self.objective.abort_after;
            self.is_hopeless |= after.is_some_and(|after| worst.until.since(seen) >= after);
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
        let all: u64 = self.window.iter().map(|counted| counted.all).sum();
        if all < self.objective.limit.least_ended().max(1) {
            return None;
        }
        let mut own = 0.0;
        let value = match self.objective.limit {
            Limit::Quantile { quantile: q, .. } => {
                let unanswered = self.window.iter().map(|counted| counted.unanswered).sum();
                if let Some(lag) = self.merged(|counted| counted.lag.as_ref()) {
                    own = Nanos(lag.value_at_quantile(q.0)).as_secs_f64();
                }
                match self.merged(|counted| counted.answered.as_ref()) {
                    None => f64::INFINITY,
                    Some(answered) => match quantile(&answered, unanswered, q)? {
                        Value::Finite(ns) => Nanos(ns).as_secs_f64(),
                        Value::Infinite => f64::INFINITY,
                    },
                }
            }
            Limit::Failed { .. } => {
                let failed: u64 = self.window.iter().map(|counted| counted.failed).sum();
                let dropped: u64 = self.window.iter().map(|counted| counted.own_drops).sum();
                own = dropped as f64 / all as f64 * 100.0;
                failed as f64 / all as f64 * 100.0
            }
            Limit::Offered { .. } => return None,
        };
        Some(Worst {
            value,
            from: self.window.front()?.begin,
            until: self.window.back()?.end,
            without_own: value - own,
            broken_for_good: None,
        })
    }

    /// One kind of histogram of the whole window.
    fn merged(&self, of: impl Fn(&Counted) -> Option<&Histogram<u64>>) -> Option<Histogram<u64>> {
        let mut histograms = self.window.iter().filter_map(of);
        let mut merged = histograms.next()?.clone();
        for histogram in histograms {
            merged += histogram;
        }
        Some(merged)
    }

    /// The ruling over the run, whose books are `accounting`.
    pub fn finish(mut self, accounting: &Accounting) -> Ruling {
        if let Limit::Offered { .. } = self.objective.limit {
            return self.offered(accounting);
        }
        if self.objective.over.is_none() {
            self.judge_window();
        }
        match self.worst {
            Some(worst) if self.objective.limit.is_kept_by(worst.value) => Ruling::Met(worst),
            Some(worst) => Ruling::Missed(Worst {
                broken_for_good: self.broken_since.map(|(began, _)| began),
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

impl Counted {
    fn join(&mut self, later: Self) {
        self.end = later.end;
        for (sum, histogram) in [(&mut self.answered, later.answered), (&mut self.lag, later.lag)] {
            if let Some(histogram) = histogram {
                join(sum, &histogram);
            }
        }
        self.own_drops += later.own_drops;
        self.unanswered += later.unanswered;
        self.failed += later.failed;
        self.all += later.all;
    }
}

fn count(of: Subject, second: &Second<'_>) -> Counted {
    let mut counted = Counted {
        begin: second.begin,
        end: second.begin.plus(second.length),
        answered: None,
        lag: None,
        own_drops: 0,
        unanswered: 0,
        failed: 0,
        all: 0,
    };
    for (tag, histogram) in second.ended {
        let is_meant = match of {
            Subject::Journeys => tag.endpoint.is_journey(),
            Subject::Endpoint(endpoint) => tag.endpoint == endpoint,
        };
        let timed_by = if tag.endpoint.is_journey() {
            Clock::Response
        } else {
            Clock::Service
        };
        if is_meant && timed_by == Clock::Response && tag.clock == Clock::Lag {
            if tag.outcome == Outcome::Dropped {
                counted.own_drops += histogram.len();
            }
            join(&mut counted.lag, histogram);
        }
        if !is_meant || tag.clock != timed_by {
            continue;
        }
        counted.all += histogram.len();
        if !tag.outcome.is_served() {
            counted.failed += histogram.len();
        }
        if !tag.outcome.is_answered() {
            counted.unanswered += histogram.len();
        } else {
            join(&mut counted.answered, histogram);
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{JourneyKind, Stage};
    use crate::recording::Endpoint;
    use crate::units::{Percent, RatePerSec, Ratio};

    const SECOND: u64 = 1_000_000_000;
    const ZERO: Nanos = Nanos(5 * SECOND);

    /// Three seconds of warm-up and ten that count.
    fn scenario() -> ScenarioConfig {
        let mut scenario = ScenarioConfig::constant(
            "s",
            RatePerSec(100.0),
            Duration::from_secs(10),
            &[(JourneyKind::Browse, Percent(100.0))],
        );
        let warm_up = Stage {
            name: "warm-up".to_owned(),
            length: Duration::from_secs(3),
            is_warm_up: true,
            ..scenario.stages[0].clone()
        };
        let cool_down = Stage {
            name: "cool-down".to_owned(),
            is_warm_up: false,
            is_cool_down: true,
            ..warm_up.clone()
        };
        scenario.stages.insert(0, warm_up);
        scenario.stages.push(cool_down);
        scenario
    }

    fn objective(limit: Limit, over: Option<u64>) -> Objective {
        Objective {
            name: "o".to_owned(),
            of: Subject::Journeys,
            stage: None,
            over: over.map(Duration::from_secs),
            limit,
            abort_after: None,
        }
    }

    const P99: Limit = Limit::Quantile {
        quantile: Ratio(0.99),
        most: Duration::from_millis(250),
    };
    const FAILED: Limit = Limit::Failed { most: Percent(1.0) };

    /// Feeds seconds, each with the milliseconds that all of its journeys took, and how many failed in the end.
    fn fed(objective: &Objective, seconds: &[(u64, u64, Outcome)]) -> Judge {
        let mut judge = Judge::new(objective, &scenario(), ZERO);
        feed(&mut judge, seconds);
        judge
    }

    fn feed(judge: &mut Judge, seconds: &[(u64, u64, Outcome)]) {
        for (at, (ms, n_failed, how)) in (0..).zip(seconds) {
            let tag = |outcome| Tag {
                variant: "v".to_owned(),
                endpoint: Endpoint::JourneyBrowse,
                outcome,
                clock: Clock::Response,
            };
            let mut ok = Histogram::<u64>::new_with_bounds(1_000, 120 * SECOND, 3).unwrap();
            ok.record_n(ms * 1_000_000, 100 - n_failed).unwrap();
            let mut failed = ok.clone();
            failed.reset();
            failed.record_n(ms * 1_000_000, *n_failed).unwrap();
            let (ok_tag, failed_tag) = (tag(Outcome::Ok), tag(*how));
            judge.take(&Second {
                begin: ZERO.plus(Duration::from_secs(at)),
                length: Duration::from_secs(1),
                ended: &[(&ok_tag, &ok), (&failed_tag, &failed)],
            });
        }
    }

    fn ruling(objective: &Objective, seconds: &[(u64, u64, Outcome)]) -> Ruling {
        fed(objective, seconds).finish(&Accounting::default())
    }

    const GOOD: (u64, u64, Outcome) = (20, 0, Outcome::Error);
    const SLOW: (u64, u64, Outcome) = (300, 0, Outcome::Error);
    const FAILING: (u64, u64, Outcome) = (20, 10, Outcome::Error);
    const SILENT: (u64, u64, Outcome) = (20, 10, Outcome::TimeOut);

    #[test]
    fn one_window_beyond_the_limit_is_a_miss_and_the_warm_up_does_not_count() {
        let p99 = objective(P99, Some(2));
        let met = ruling(&p99, &[SLOW, SLOW, SLOW, GOOD, GOOD, GOOD, GOOD]);
        assert!(
            matches!(met, Ruling::Met(worst) if (worst.value - 0.02).abs() < 0.001),
            "{met:?}"
        );
        let missed = ruling(&p99, &[GOOD, GOOD, GOOD, GOOD, GOOD, SLOW, GOOD, GOOD]);
        let Ruling::Missed(worst) = missed else {
            panic!("{missed:?}")
        };
        assert!((worst.value - 0.3).abs() < 0.001, "{worst:?}");
        assert_eq!((worst.from, worst.until), (Nanos(9 * SECOND), Nanos(11 * SECOND)));
    }

    #[test]
    fn of_the_window_that_decides_it_is_known_how_late_the_generator_was_at_the_same_quantile() {
        let p99 = objective(P99, Some(1));
        let mut judge = Judge::new(&p99, &scenario(), ZERO);
        // Of a hundred journeys two are late in the fourth second, by 280 ms, and one in the fifth.
        for (at, ms, n_late) in [(3, 300, 2), (4, 20, 1)] {
            let tag = |clock| Tag {
                variant: "v".to_owned(),
                endpoint: Endpoint::JourneyBrowse,
                outcome: Outcome::Ok,
                clock,
            };
            let mut response = Histogram::<u64>::new_with_bounds(1_000, 120 * SECOND, 3).unwrap();
            let mut lag = response.clone();
            response.record_n(ms * 1_000_000, 100).unwrap();
            lag.record_n(50_000, 100 - n_late).unwrap();
            lag.record_n(280_000_000, n_late).unwrap();
            let (response_tag, lag_tag) = (tag(Clock::Response), tag(Clock::Lag));
            judge.take(&Second {
                begin: ZERO.plus(Duration::from_secs(at)),
                length: Duration::from_secs(1),
                ended: &[(&response_tag, &response), (&lag_tag, &lag)],
            });
        }
        let Ruling::Missed(worst) = judge.finish(&Accounting::default()) else {
            panic!("300 ms are beyond 250 ms")
        };
        // Of the 300 ms 280 may be its own; in the other second nobody waited for long.
        assert!((worst.without_own - 0.02).abs() < 0.001, "{worst:?}");
    }

    #[test]
    fn who_gets_no_answer_waits_for_ever_and_who_gets_an_error_does_not() {
        let p99 = objective(P99, Some(1));
        let seconds = [GOOD, GOOD, GOOD, GOOD, SILENT];
        assert!(matches!(ruling(&p99, &seconds), Ruling::Missed(worst) if worst.value.is_infinite()));
        assert!(matches!(ruling(&p99, &[GOOD, GOOD, GOOD, FAILING]), Ruling::Met(_)));
        let failed = objective(FAILED, Some(1));
        for bad in [SILENT, FAILING] {
            let ruling = ruling(&failed, &[GOOD, GOOD, GOOD, GOOD, bad]);
            assert!(
                matches!(ruling, Ruling::Missed(worst) if (worst.value - 10.0).abs() < 1e-9),
                "{ruling:?}"
            );
        }
    }

    #[test]
    fn without_a_window_the_whole_run_is_judged_at_once() {
        let failed = objective(FAILED, None);
        // 10 of 1,000: 1 % exactly.
        let mut seconds = vec![FAILING; 3];
        seconds.extend([GOOD; 9]);
        seconds.push(FAILING);
        assert!(matches!(ruling(&failed, &seconds), Ruling::Met(worst) if (worst.value - 1.0).abs() < 1e-9));
        seconds.truncate(12);
        seconds.push((20, 11, Outcome::Error));
        assert!(matches!(ruling(&failed, &seconds), Ruling::Missed(_)));
    }

    #[test]
    fn too_little_is_unknown() {
        let p999 = Limit::Quantile {
            quantile: Ratio(0.999),
            most: Duration::from_secs(1),
        };
        assert_eq!(
            (P99.least_ended(), p999.least_ended(), FAILED.least_ended()),
            (100, 1_000, 100)
        );
        let unknown = ruling(&objective(p999, Some(2)), &[GOOD; 13]);
        assert_eq!(unknown, Ruling::Unknown("no 2s had 1000 journeys".to_owned()));
        let of_seats = Objective {
            of: Subject::Endpoint(Endpoint::Seats),
            ..objective(P99, None)
        };
        let unknown = ruling(&of_seats, &[GOOD; 13]);
        assert_eq!(unknown, Ruling::Unknown("less than 100 of seats ended".to_owned()));
    }

    #[test]
    fn a_limit_that_stays_exceeded_ends_the_run() {
        let mut failed = objective(FAILED, Some(2));
        failed.abort_after = Some(Duration::from_secs(3));
        let mut seconds = vec![GOOD; 5];
        seconds.extend([FAILING; 3]);
        assert!(
            !fed(&failed, &seconds).is_hopeless(),
            "the first window beyond it was seen two seconds ago"
        );
        seconds.push(FAILING);
        let hopeless = fed(&failed, &seconds);
        assert!(hopeless.is_hopeless());
        // The window of the fifth and the sixth second is the first with failures.
        let worst = hopeless.finish(&Accounting::default()).worst().unwrap();
        assert_eq!(worst.broken_for_good, Some(Nanos(9 * SECOND)));
        let mut with_a_break = vec![GOOD; 5];
        with_a_break.extend([FAILING, FAILING, GOOD, GOOD, FAILING, FAILING, FAILING]);
        assert!(!fed(&failed, &with_a_break).is_hopeless());
        let mut mended = vec![GOOD; 5];
        mended.extend([FAILING, FAILING, GOOD, GOOD]);
        let worst = ruling(&failed, &mended).worst().unwrap();
        assert_eq!(worst.broken_for_good, None);
    }

    #[test]
    fn a_stage_alone_can_be_meant() {
        let warm_up = Objective {
            stage: Some("warm-up".to_owned()),
            ..objective(P99, Some(2))
        };
        assert!(matches!(
            ruling(&warm_up, &[SLOW, SLOW, SLOW, GOOD, GOOD]),
            Ruling::Missed(_)
        ));
        assert!(matches!(
            ruling(&warm_up, &[GOOD, GOOD, GOOD, SLOW, SLOW]),
            Ruling::Met(_)
        ));
    }

    /// Feeds seconds of a scenario whose last stage counts, from the fourth second on.
    fn fed_to_the_end(objective: &Objective, seconds: &[(u64, u64, Outcome)]) -> Judge {
        let mut scenario = scenario();
        scenario.stages.pop();
        let mut judge = Judge::new(objective, &scenario, ZERO);
        feed(&mut judge, seconds);
        judge
    }

    #[test]
    fn who_came_in_the_last_stage_and_waited_beyond_it_counts() {
        let failed = objective(FAILED, Some(2));
        let mut seconds = vec![GOOD; 14];
        seconds.push(SILENT);
        let judge = fed_to_the_end(&failed, &seconds);
        assert!(matches!(judge.finish(&Accounting::default()), Ruling::Missed(_)));
        // A cool-down takes it in, and is not judged.
        assert!(matches!(ruling(&failed, &seconds), Ruling::Met(_)));
    }

    #[test]
    fn a_run_without_a_window_is_one_sum_however_long_it_is() {
        for limit in [FAILED, Limit::Offered { least: Percent(99.0) }] {
            let judge = fed_to_the_end(&objective(limit, None), &[GOOD; 500]);
            assert!(judge.window.len() <= 1, "{} seconds are kept", judge.window.len());
        }
    }

    #[test]
    fn stages_that_do_not_touch_have_no_window_in_common() {
        let mut scenario = scenario();
        let mut again = scenario.stages[1].clone();
        again.name = "again".to_owned();
        scenario.stages.push(again);
        let failed = objective(FAILED, Some(2));
        let mut judge = Judge::new(&failed, &scenario, ZERO);
        // The second before the cool-down and the first one after it: neither stretch has two seconds.
        let mut seconds = vec![GOOD; 12];
        seconds.push(FAILING);
        seconds.extend([GOOD; 3]);
        seconds.push(GOOD);
        feed(&mut judge, &seconds);
        assert_eq!(judge.window.len(), 1);
        assert_eq!(judge.broken_since, None);
    }

    #[test]
    fn what_the_generator_itself_dropped_is_not_the_services() {
        let mut judge = Judge::new(&objective(FAILED, Some(1)), &scenario(), ZERO);
        let tag = |outcome, clock| Tag {
            variant: "v".to_owned(),
            endpoint: Endpoint::JourneyBrowse,
            outcome,
            clock,
        };
        let of = |n: u64| {
            let mut histogram = Histogram::<u64>::new_with_bounds(1_000, 120 * SECOND, 3).unwrap();
            histogram.record_n(20_000_000, n).unwrap();
            histogram
        };
        let (ok, failed, dropped) = (of(60), of(10), of(30));
        judge.take(&Second {
            begin: ZERO.plus(Duration::from_secs(4)),
            length: Duration::from_secs(1),
            ended: &[
                (&tag(Outcome::Ok, Clock::Response), &ok),
                (&tag(Outcome::Error, Clock::Response), &failed),
                (&tag(Outcome::Dropped, Clock::Response), &dropped),
                (&tag(Outcome::Dropped, Clock::Lag), &dropped),
            ],
        });
        let worst = judge.finish(&Accounting::default()).worst().unwrap();
        assert!(
            (worst.value - 40.0).abs() < 1e-9 && (worst.without_own - 10.0).abs() < 1e-9,
            "{worst:?}"
        );
    }

    #[test]
    fn of_an_endpoint_the_time_from_the_send_counts() {
        let of_seats = Objective {
            of: Subject::Endpoint(Endpoint::Seats),
            ..objective(P99, Some(1))
        };
        let mut judge = Judge::new(&of_seats, &scenario(), ZERO);
        let tag = |clock| Tag {
            variant: "v".to_owned(),
            endpoint: Endpoint::Seats,
            outcome: Outcome::Ok,
            clock,
        };
        let of = |ms: u64| {
            let mut histogram = Histogram::<u64>::new_with_bounds(1_000, 120 * SECOND, 3).unwrap();
            histogram.record_n(ms * 1_000_000, 100).unwrap();
            histogram
        };
        // Sent 400 ms late and answered within 100 ms; then answered after 300 ms.
        for (at, lag, service, expected) in [(4, 400, 100, None), (5, 0, 300, Some(0.3))] {
            let (lag, service, response) = (of(lag), of(service), of(lag + service));
            judge.take(&Second {
                begin: ZERO.plus(Duration::from_secs(at)),
                length: Duration::from_secs(1),
                ended: &[
                    (&tag(Clock::Response), &response),
                    (&tag(Clock::Service), &service),
                    (&tag(Clock::Lag), &lag),
                ],
            });
            let ruling = judge.clone().finish(&Accounting::default());
            match expected {
                None => assert!(matches!(ruling, Ruling::Met(_)), "{ruling:?}"),
                Some(value) => {
                    let worst = ruling.worst().unwrap();
                    assert!(matches!(ruling, Ruling::Missed(_)), "{ruling:?}");
                    // Nothing of it is the generator's: it was in no hurry before the send.
                    assert!(
                        (worst.value - value).abs() < 0.001 && worst.value == worst.without_own,
                        "{worst:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_started_late_or_never_was_not_offered() {
        let limit = Limit::Offered { least: Percent(99.0) };
        let books = |dropped: u64, late: u64| Accounting {
            scheduled: 1_000,
            started: 1_000 - dropped,
            dropped,
            late,
            ..Accounting::default()
        };
        let judge = |books: Accounting| fed(&objective(limit, None), &[GOOD; 13]).finish(&books);
        // Beside ten times as many visits of virtual users, late arrivals are as late.
        let among_visits = |late: u64| Accounting {
            scheduled: 11_000,
            started: 11_000,
            visits: 10_000,
            late,
            ..Accounting::default()
        };
        assert!(matches!(judge(among_visits(10)), Ruling::Met(_)));
        assert!(matches!(judge(among_visits(11)), Ruling::Missed(_)));
        let visits_alone = Accounting {
            scheduled: 100,
            started: 100,
            visits: 100,
            ..Accounting::default()
        };
        assert!(matches!(judge(visits_alone), Ruling::Unknown(_)));
        assert!(matches!(judge(books(5, 5)), Ruling::Met(worst) if (worst.value - 99.0).abs() < 1e-9));
        assert!(matches!(judge(books(5, 6)), Ruling::Missed(_)));
        assert!(matches!(judge(Accounting::default()), Ruling::Unknown(_)));
    }
}
