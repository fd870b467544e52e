//! What ended, by how it did and how long it took: one answer for the judge, for those who watch, for reports and exports.
//!
//! Of which second or stage it is, and whether it is good, is not asked here.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::quantile::{self, Value};
use crate::recording::{Clock, Outcome, Tag, empty_histogram};
use crate::units::Ratio;

/// Journeys or requests of one sort that ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// Of the dropped, those for which a user stood ready whom the generator woke too late.
    pub dropped_by_generator: u64,
    response: Timed,
    service: Timed,
    lag: Timed,
    wait: Timed,
}

/// By one clock.
#[derive(Clone, Debug, Default)]
struct Timed {
    /// In nanoseconds; of a time until an answer, of those who got one.
    known: Option<Histogram<u64>>,
    /// Who got none, and so waited for ever.
    endless: u64,
}

impl Timed {
    fn join(&mut self, other: &Self) {
        if let Some(known) = &other.known {
            join(&mut self.known, known);
        }
        self.endless += other.endless;
    }
}

/// Times by one clock as values with their counts: of few things, or of many alike, a small part of a histogram.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// How often each value of the histogram was recorded, in nanoseconds.
    by_value: BTreeMap<u64, u64>,
    endless: u64,
}

impl Times {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (value, count) in &other.by_value {
            *self.by_value.entry(*value).or_default() += count;
        }
        self.endless += other.endless;
    }

    /// Takes away others that were added before.
    pub fn take_away(&mut self, other: &Self) {
        for (value, count) in &other.by_value {
            if let Some(sum) = self.by_value.get_mut(value) {
                *sum -= count;
                if *sum == 0 {
                    self.by_value.remove(value);
                }
            }
        }
        self.endless -= other.endless;
    }

    /// How many different ones.
    pub fn n_values(&self) -> usize {
        self.by_value.len()
    }
}

impl Ended {
    /// What was told apart into counts and times; clocks that are not among `times` timed nothing.
    pub fn of_times(
        by_outcome: BTreeMap<Outcome, u64>,
        dropped_by_generator: u64,
        times: &BTreeMap<Clock, Times>,
    ) -> Self {
        let mut ended = Self {
            by_outcome,
            dropped_by_generator,
            ..Self::default()
        };
        for (clock, times) in times {
            let mut known = empty_histogram();
            for (value, count) in &times.by_value {
                // Values of a histogram with the same bounds.
                known.saturating_record_n(*value, *count);
            }
            *ended.timed_mut(*clock) = Timed {
                known: (!known.is_empty()).then_some(known),
                endless: times.endless,
            };
        }
        ended
    }

    /// The times of one clock.
    pub fn times(&self, clock: Clock) -> Times {
        let timed = self.timed(clock);
        let recorded = timed.known.iter().flat_map(Histogram::iter_recorded);
        Times {
            by_value: recorded
                .map(|value| (value.value_iterated_to(), value.count_at_value()))
                .collect(),
            endless: timed.endless,
        }
    }

    /// Adds what ended in one way, by one clock.
    pub fn add(&mut self, tag: &Tag, histogram: &Histogram<u64>) {
        // What was dropped was never sent, so that one clock alone has it.
        let counted_by = match tag.endpoint.is_journey() || tag.outcome == Outcome::Dropped {
            true => Clock::Response,
            false => Clock::Service,
        };
        if tag.clock == counted_by {
            *self.by_outcome.entry(tag.outcome).or_default() += histogram.len();
        }
        if tag.clock == Clock::Lag && tag.outcome == Outcome::Dropped {
            self.dropped_by_generator += histogram.len();
        }
        let timed = self.timed_mut(tag.clock);
        if tag.clock.is_lateness() || tag.outcome.is_answered() {
            join(&mut timed.known, histogram);
        } else {
            timed.endless += histogram.len();
        }
    }

    /// Adds others, of another cut for instance.
    pub fn join(&mut self, other: &Self) {
        for (outcome, count) in &other.by_outcome {
            *self.by_outcome.entry(*outcome).or_default() += count;
        }
        self.dropped_by_generator += other.dropped_by_generator;
        self.response.join(&other.response);
        self.service.join(&other.service);
        self.lag.join(&other.lag);
        self.wait.join(&other.wait);
    }

    /// How many ended in a way that is chosen.
    pub fn count(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        let of = self.by_outcome.iter().filter(|(outcome, _)| which(**outcome));
        of.map(|(_, count)| count).sum()
    }

    /// However it ended.
    pub fn all(&self) -> u64 {
        self.by_outcome.values().sum()
    }

    /// Started, and ended as the service is there for.
    pub fn ok(&self) -> u64 {
        self.count(Outcome::is_served)
    }

    /// Started, and ended with an error, a time-out or a connection that was lost or never came about.
    pub fn failed(&self) -> u64 {
        self.count(|outcome| !outcome.is_served() && !matches!(outcome, Outcome::Dropped | Outcome::Unfinished))
    }

    /// Not what the service is there for, be it that nothing was sent.
    pub fn unserved(&self) -> u64 {
        self.count(|outcome| !outcome.is_served())
    }

    /// Never started.
    pub fn dropped(&self) -> u64 {
        self.count(|outcome| outcome == Outcome::Dropped)
    }

    /// A quantile by one clock, in nanoseconds; what never got an answer took for ever. `None` where the clock timed
    /// nothing.
    pub fn quantile(&self, clock: Clock, q: Ratio) -> Option<Value> {
        let timed = self.timed(clock);
        match &timed.known {
            Some(known) => quantile::quantile(known, timed.endless, q),
            None => (timed.endless > 0).then_some(Value::Infinite),
        }
    }

    /// The same among those that were answered alone.
    pub fn answered_quantile(&self, clock: Clock, q: Ratio) -> Option<Value> {
        quantile::quantile(self.timed(clock).known.as_ref()?, 0, q)
    }

    /// How many took longer than `most` by one clock; who got no answer did.
    pub fn beyond(&self, clock: Clock, most: Duration) -> u64 {
        let timed = self.timed(clock);
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let slow = timed.known.as_ref().map_or(0, |known| {
            let up_to = known.highest_equivalent(most);
            known
                .iter_recorded()
                .filter(|value| value.value_iterated_to() > up_to)
                .map(|value| value.count_at_value())
                .sum()
        });
        slow + timed.endless
    }

    /// A quantile of how late they began, whoever is to blame.
    pub fn lateness_quantile(&self, q: Ratio) -> Option<Value> {
        let mut all = self.lag.clone();
        all.join(&self.wait);
        quantile::quantile(all.known.as_ref()?, 0, q)
    }

    const fn timed_mut(&mut self, clock: Clock) -> &mut Timed {
        match clock {
            Clock::Response => &mut self.response,
            Clock::Service => &mut self.service,
            Clock::Lag => &mut self.lag,
            Clock::Wait => &mut self.wait,
        }
    }

    const fn timed(&self, clock: Clock) -> &Timed {
        match clock {
            Clock::Response => &self.response,
            Clock::Service => &self.service,
            Clock::Lag => &self.lag,
            Clock::Wait => &self.wait,
        }
    }
}

/// Adds a histogram to what there is already.
fn join(into: &mut Option<Histogram<u64>>, histogram: &Histogram<u64>) {
    match into {
        // Every histogram of a recording has the recorder's bounds.
        Some(sum) => *sum += histogram,
        None => *into = Some(histogram.clone()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::recording::Endpoint;

    const MS: u64 = 1_000_000;

    pub(in crate::analysis) fn tag(endpoint: Endpoint, outcome: Outcome, clock: Clock) -> Tag {
        Tag {
            variant: "v".to_owned(),
            endpoint,
            outcome,
            clock,
        }
    }

    pub(in crate::analysis) fn histogram(values_ms: &[u64]) -> Histogram<u64> {
        let mut histogram = empty_histogram();
        for ms in values_ms {
            histogram.record(ms * MS).unwrap();
        }
        histogram
    }

    /// One journey was answered in 10 ms, one timed out after a second, one was dropped.
    fn ended(endpoint: Endpoint) -> Ended {
        let lines = [
            (Outcome::Won, Clock::Response, 10),
            (Outcome::Won, Clock::Service, 8),
            (Outcome::Won, Clock::Lag, 2),
            (Outcome::TimeOut, Clock::Response, 1_003),
            (Outcome::TimeOut, Clock::Service, 1_000),
            (Outcome::TimeOut, Clock::Wait, 3),
            (Outcome::Dropped, Clock::Response, 500),
            (Outcome::Dropped, Clock::Wait, 500),
        ];
        let mut ended = Ended::default();
        for (outcome, clock, ms) in lines {
            ended.add(&tag(endpoint, outcome, clock), &histogram(&[ms]));
        }
        ended
    }

    #[test]
    fn each_is_counted_once_and_without_an_answer_it_took_for_ever() {
        for endpoint in [Endpoint::JourneyBook, Endpoint::Hold] {
            let ended = ended(endpoint);
            assert_eq!((ended.ok(), ended.failed(), ended.dropped()), (1, 1, 1), "{endpoint}");
            assert_eq!(
                (ended.all(), ended.unserved(), ended.dropped_by_generator),
                (3, 2, 0),
                "{endpoint}: who was dropped found no free user"
            );
            let ms = |clock, q: f64| {
                let value = ended.quantile(clock, Ratio(q)).unwrap();
                value.finite().map(|ns| ns / MS)
            };
            assert_eq!(ms(Clock::Response, 0.3), Some(10));
            assert_eq!((ms(Clock::Response, 0.5), ms(Clock::Response, 0.99)), (None, None));
            // A drop was never sent: half of what was sent has an answer.
            assert_eq!((ms(Clock::Service, 0.5), ms(Clock::Service, 0.99)), (Some(8), None));
            assert_eq!((ms(Clock::Lag, 0.99), ms(Clock::Wait, 0.99)), (Some(2), Some(500)));
            let latest = ended.lateness_quantile(Ratio(0.99)).and_then(Value::finite);
            assert_eq!(latest.map(|ns| ns / MS), Some(500));
            let answered = ended.answered_quantile(Clock::Response, Ratio(0.99));
            assert_eq!(answered.and_then(Value::finite).map(|ns| ns / MS), Some(10));
        }
        let nothing = Ended::default();
        assert_eq!(nothing.quantile(Clock::Response, Ratio(0.5)), None);
    }

    #[test]
    fn joined_are_the_counts_and_times_of_both() {
        let mut both = ended(Endpoint::Hold);
        both.join(&ended(Endpoint::Hold));
        both.join(&Ended::default());
        assert_eq!((both.ok(), both.failed(), both.dropped()), (2, 2, 2));
        let third = both.quantile(Clock::Response, Ratio(1.0 / 3.0)).unwrap();
        assert_eq!(third.finite().map(|ns| ns / MS), Some(10));
        assert_eq!(both.quantile(Clock::Response, Ratio(0.34)), Some(Value::Infinite));
    }

    #[test]
    fn what_the_generator_dropped_is_told_apart() {
        let mut ended = Ended::default();
        for clock in [Clock::Response, Clock::Lag] {
            ended.add(
                &tag(Endpoint::JourneyBook, Outcome::Dropped, clock),
                &histogram(&[30, 40]),
            );
        }
        let mut twice = ended.clone();
        twice.join(&ended);
        assert_eq!((twice.dropped(), twice.dropped_by_generator), (4, 4));
    }
}
