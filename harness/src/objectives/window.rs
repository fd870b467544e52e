//! What ended in the seconds that an objective looks at. A second is kept as values and their counts, of which there are
//! hundreds where a histogram has tens of thousands of counters, and each is added once and taken away once, so that a
//! window of an hour costs no more a second than one of a few.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Second, Subject};
use crate::analysis::ended::{Ended, Times};
use crate::recording::{Clock, Outcome};
use crate::units::Nanos;

/// The seconds that are looked at, and their sum.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// By which clock it is counted and timed, and how late the generator itself was where that is in the time.
    clocks: &'static [Clock],
    /// Whether times are asked for, and not counts alone.
    is_timed: bool,
    seconds: VecDeque<Counted>,
    sum: Counts,
    /// From when to when it reaches.
    span: Option<(Nanos, Nanos)>,
}

/// One second.
#[derive(Clone, Debug)]
struct Counted {
    begin: Nanos,
    end: Nanos,
    counts: Counts,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    by_outcome: BTreeMap<Outcome, u64>,
    dropped_by_generator: u64,
    times: BTreeMap<Clock, Times>,
}

impl Window {
    /// For what `subject` is; with times when they are asked for.
    pub(super) fn new(subject: Subject, is_timed: bool) -> Self {
        let clocks: &[Clock] = match subject.clock() {
            Clock::Response => &[Clock::Response, Clock::Lag],
            // From the send on nothing is the generator's own.
            _ => &[Clock::Service],
        };
        Self {
            clocks,
            is_timed,
            seconds: VecDeque::new(),
            sum: Counts::default(),
            span: None,
        }
    }

    /// Adds a second; it can be taken away again if it `is_kept`.
    pub(super) fn add(&mut self, subject: Subject, second: &Second<'_>, is_kept: bool) {
        let (begin, end) = (second.begin, second.begin.plus(second.length));
        let mut ended = Ended::default();
        for (tag, histogram) in second.ended {
            if self.clocks.contains(&tag.clock) && subject.is(tag.endpoint) {
                ended.add(tag, histogram);
            }
        }
        let timed = if self.is_timed { self.clocks } else { &[] };
        let counts = Counts {
            times: timed.iter().map(|clock| (*clock, ended.times(*clock))).collect(),
            dropped_by_generator: ended.dropped_by_generator,
            by_outcome: ended.by_outcome,
        };
        self.sum.add(&counts);
        self.span = Some((self.span.map_or(begin, |(from, _)| from), end));
        if is_kept {
            self.seconds.push_back(Counted { begin, end, counts });
        }
    }

    /// Takes away the seconds that are not needed for a window of `length`.
    pub(super) fn shorten(&mut self, length: Duration) {
        while self.seconds.len() > 1 && self.length() > length {
            if let Some(first) = self.seconds.pop_front() {
                self.sum.take_away(&first.counts);
            }
        }
        if let (Some(first), Some(last)) = (self.seconds.front(), self.seconds.back()) {
            self.span = Some((first.begin, last.end));
        }
    }

    pub(super) fn clear(&mut self) {
        self.seconds.clear();
        self.sum = Counts::default();
        self.span = None;
    }

    /// Of its seconds, without what lies between them.
    pub(super) fn length(&self) -> Duration {
        self.seconds.iter().map(|second| second.end.since(second.begin)).sum()
    }

    /// From when to when it reaches; `None` while it is empty.
    pub(super) const fn span(&self) -> Option<(Nanos, Nanos)> {
        self.span
    }

    /// All that ended in it.
    pub(super) fn ended(&self) -> Ended {
        Ended::of_times(
            self.sum.by_outcome.clone(),
            self.sum.dropped_by_generator,
            &self.sum.times,
        )
    }

    #[cfg(test)]
    pub(super) fn n_seconds(&self) -> usize {
        self.seconds.len()
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        for (outcome, count) in &other.by_outcome {
            *self.by_outcome.entry(*outcome).or_default() += count;
        }
        self.dropped_by_generator += other.dropped_by_generator;
        for (clock, times) in &other.times {
            self.times.entry(*clock).or_default().add(times);
        }
    }

    /// What was added before.
    fn take_away(&mut self, other: &Self) {
        for (outcome, count) in &other.by_outcome {
            if let Some(sum) = self.by_outcome.get_mut(outcome) {
                *sum -= count;
            }
        }
        self.dropped_by_generator -= other.dropped_by_generator;
        for (clock, times) in &other.times {
            if let Some(sum) = self.times.get_mut(clock) {
                sum.take_away(times);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Endpoint, Tag, empty_histogram};
    use crate::units::Ratio;

    const MS: u64 = 1_000_000;

    /// Of each of `ms` one journey, the last of them without an answer.
    fn feed(window: &mut Window, at: u64, ms: &[u64]) {
        let lines: Vec<(Tag, _)> = ms
            .iter()
            .enumerate()
            .map(|(n, took)| {
                let mut histogram = empty_histogram();
                histogram.record(took * MS).unwrap();
                let tag = Tag {
                    variant: "v".to_owned(),
                    endpoint: Endpoint::JourneyBook,
                    outcome: if n + 1 == ms.len() {
                        Outcome::TimeOut
                    } else {
                        Outcome::Won
                    },
                    clock: Clock::Response,
                };
                (tag, histogram)
            })
            .collect();
        let ended: Vec<_> = lines.iter().map(|(tag, histogram)| (tag, histogram)).collect();
        let second = Second {
            begin: Nanos(at * 1_000 * MS),
            length: Duration::from_secs(1),
            ended: &ended,
        };
        window.add(Subject::Journeys, &second, true);
    }

    #[test]
    fn what_was_taken_away_was_never_there() {
        let mut slid = Window::new(Subject::Journeys, true);
        for at in 0..5 {
            feed(&mut slid, at, &[10 + at, 20 + at, 30]);
        }
        slid.shorten(Duration::from_secs(2));
        let mut alone = Window::new(Subject::Journeys, true);
        for at in 3..5 {
            feed(&mut alone, at, &[10 + at, 20 + at, 30]);
        }
        assert_eq!(slid.span(), alone.span());
        assert_eq!(slid.length(), Duration::from_secs(2));
        for window in [&slid, &alone] {
            let ended = window.ended();
            assert_eq!((ended.all(), ended.unserved()), (6, 2));
        }
        for q in [0.1, 0.3, 0.5, 0.6, 0.7, 1.0] {
            let value = |window: &Window| window.ended().quantile(Clock::Response, Ratio(q)).unwrap();
            assert_eq!(value(&slid), value(&alone), "{q}");
        }
        let beyond = |window: &Window| window.ended().beyond(Clock::Response, Duration::from_millis(20));
        assert_eq!(
            (beyond(&slid), beyond(&alone)),
            (4, 4),
            "two timed out, two took 23 and 24 ms"
        );
        // A second of an hour's window: far less than two histograms of 150 KB and more.
        let sparse: usize = slid.seconds[0].counts.times.values().map(Times::n_values).sum();
        assert_eq!(sparse, 2);
    }
}
