//! The latency log cut by cut, as the recorder wrote it: about every second of a run, or once a slice of an experiment.
//! One cut at a time is in memory, so that a run of hours is read in the memory of one second.
//!
//! What counts of it and whether it is good is not asked here.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::quantile::{self, Value};
use crate::recording::{Clock, Outcome, RecordError, Recording, Tag};
use crate::units::{Nanos, Ratio};

/// What ended between two cuts.
#[derive(Clone, Debug)]
pub struct Cut {
    pub start: Nanos,
    pub length: Duration,
    /// In nanoseconds.
    pub ended: Vec<(Tag, Histogram<u64>)>,
}

impl Cut {
    /// The moment that says in which stage it lies.
    pub fn middle(&self) -> Nanos {
        self.start.plus(self.length / 2)
    }

    /// The end.
    pub const fn end(&self) -> Nanos {
        self.start.plus(self.length)
    }

    /// What is chosen of it, apart by `key`.
    pub fn by<K: Ord>(&self, key: impl Fn(&Tag) -> Option<K>) -> BTreeMap<K, Ended> {
        let mut all: BTreeMap<K, Ended> = BTreeMap::new();
        for (tag, histogram) in &self.ended {
            if let Some(key) = key(tag) {
                all.entry(key).or_default().add(tag, histogram);
            }
        }
        all
    }
}

/// Hands every cut to `look`, in the order in which they were written, which is that of time.
///
/// # Errors
/// When the log cannot be read or a line of it is damaged; or the first error of `look`.
pub fn each<E: From<RecordError>>(recording: &Recording, mut look: impl FnMut(&Cut) -> Result<(), E>) -> Result<(), E> {
    let latency = recording.latency()?;
    let mut open: Option<Cut> = None;
    for interval in latency.intervals() {
        let interval = interval?;
        let histogram = interval.histogram()?;
        if open.as_ref().is_some_and(|cut| cut.start != interval.start)
            && let Some(whole) = open.take()
        {
            look(&whole)?;
        }
        let cut = open.get_or_insert_with(|| Cut {
            start: interval.start,
            length: interval.length,
            ended: Vec::new(),
        });
        cut.length = cut.length.max(interval.length);
        cut.ended.push((interval.tag, histogram));
    }
    open.as_ref().map_or(Ok(()), look)
}

/// Hands every cut to `look` as [`each`] does, and one for each second in between in which nothing ended: of those nothing
/// was written, and a line drawn across them would tell of something. For runs that were recorded without a break.
///
/// # Errors
/// As [`each`].
pub fn each_second<E: From<RecordError>>(
    recording: &Recording,
    mut look: impl FnMut(&Cut) -> Result<(), E>,
) -> Result<(), E> {
    const SECOND: Duration = Duration::from_secs(1);
    let mut over: Option<Nanos> = None;
    each(recording, |cut| {
        while let Some(start) = over.filter(|over| over.plus(SECOND) <= cut.start) {
            look(&Cut {
                start,
                length: SECOND,
                ended: Vec::new(),
            })?;
            over = Some(start.plus(SECOND));
        }
        over = Some(cut.end());
        look(cut)
    })
}

/// Journeys or requests of one sort that ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// Of those that were answered, from the intended start.
    response: Option<Histogram<u64>>,
    /// Of those that were answered, from the send.
    service: Option<Histogram<u64>>,
    lag: Option<Histogram<u64>>,
    wait: Option<Histogram<u64>>,
    /// Without an answer, by the clocks that would have timed it.
    unanswered_responses: u64,
    unanswered_services: u64,
}

impl Ended {
    fn add(&mut self, tag: &Tag, histogram: &Histogram<u64>) {
        // What was dropped was never sent, so that one clock alone has it.
        let counted_by = match tag.endpoint.is_journey() || tag.outcome == Outcome::Dropped {
            true => Clock::Response,
            false => Clock::Service,
        };
        if tag.clock == counted_by {
            *self.by_outcome.entry(tag.outcome).or_default() += histogram.len();
        }
        let is_answered = tag.outcome.is_answered();
        match tag.clock {
            Clock::Response if is_answered => join(&mut self.response, histogram),
            Clock::Service if is_answered => join(&mut self.service, histogram),
            Clock::Response => self.unanswered_responses += histogram.len(),
            Clock::Service => self.unanswered_services += histogram.len(),
            Clock::Lag => join(&mut self.lag, histogram),
            Clock::Wait => join(&mut self.wait, histogram),
        }
    }

    /// Adds others, of another cut for instance.
    pub fn join(&mut self, other: &Self) {
        for (outcome, count) in &other.by_outcome {
            *self.by_outcome.entry(*outcome).or_default() += count;
        }
        let pairs = [
            (&mut self.response, &other.response),
            (&mut self.service, &other.service),
            (&mut self.lag, &other.lag),
            (&mut self.wait, &other.wait),
        ];
        for (into, from) in pairs {
            if let Some(from) = from {
                join(into, from);
            }
        }
        self.unanswered_responses += other.unanswered_responses;
        self.unanswered_services += other.unanswered_services;
    }

    /// How many ended in a way that is chosen.
    pub fn count(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        let of = self.by_outcome.iter().filter(|(outcome, _)| which(**outcome));
        of.map(|(_, count)| count).sum()
    }

    /// Started, and ended as the service is there for.
    pub fn ok(&self) -> u64 {
        self.count(Outcome::is_served)
    }

    /// Started, and ended with an error or a time-out.
    pub fn failed(&self) -> u64 {
        self.count(|outcome| !outcome.is_served() && !matches!(outcome, Outcome::Dropped | Outcome::Unfinished))
    }

    /// Never started.
    pub fn dropped(&self) -> u64 {
        self.count(|outcome| outcome == Outcome::Dropped)
    }

    /// A quantile by one clock, in nanoseconds; what never got an answer took for ever. `None` where the clock timed
    /// nothing.
    pub fn quantile(&self, clock: Clock, q: Ratio) -> Option<Value> {
        let (answered, unanswered) = match clock {
            Clock::Response => (&self.response, self.unanswered_responses),
            Clock::Service => (&self.service, self.unanswered_services),
            Clock::Lag => (&self.lag, 0),
            Clock::Wait => (&self.wait, 0),
        };
        match answered {
            Some(answered) => quantile::quantile(answered, unanswered, q),
            None => (unanswered > 0).then_some(Value::Infinite),
        }
    }

    /// The same among those that were answered alone.
    pub fn answered_quantile(&self, clock: Clock, q: Ratio) -> Option<Value> {
        let answered = match clock {
            Clock::Response => &self.response,
            Clock::Service => &self.service,
            Clock::Lag => &self.lag,
            Clock::Wait => &self.wait,
        };
        quantile::quantile(answered.as_ref()?, 0, q)
    }
}

/// Adds a histogram to what there is already.
pub fn join(into: &mut Option<Histogram<u64>>, histogram: &Histogram<u64>) {
    match into {
        // Every histogram of a recording has the recorder's bounds.
        Some(sum) => *sum += histogram,
        None => *into = Some(histogram.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::model::{ClockAnchor, Environment, Tool};
    use crate::recording::{Endpoint, Manifest, RecordingWriter};

    const MS: u64 = 1_000_000;

    fn tag(endpoint: Endpoint, outcome: Outcome, clock: Clock) -> Tag {
        Tag {
            variant: "v".to_owned(),
            endpoint,
            outcome,
            clock,
        }
    }

    fn histogram(values_ms: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::<u64>::new_with_bounds(1_000, 120_000 * MS, 3).unwrap();
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
        let cut = Cut {
            start: Nanos(0),
            length: Duration::from_secs(1),
            ended: lines
                .into_iter()
                .map(|(outcome, clock, ms)| (tag(endpoint, outcome, clock), histogram(&[ms])))
                .collect(),
        };
        cut.by(|tag| Some(tag.endpoint)).remove(&endpoint).unwrap()
    }

    #[test]
    fn each_is_counted_once_and_without_an_answer_it_took_for_ever() {
        for endpoint in [Endpoint::JourneyBook, Endpoint::Hold] {
            let ended = ended(endpoint);
            assert_eq!((ended.ok(), ended.failed(), ended.dropped()), (1, 1, 1), "{endpoint}");
            let ms = |clock, q: f64| {
                let value = ended.quantile(clock, Ratio(q)).unwrap();
                value.finite().map(|ns| ns / MS)
            };
            assert_eq!(ms(Clock::Response, 0.3), Some(10));
            assert_eq!((ms(Clock::Response, 0.5), ms(Clock::Response, 0.99)), (None, None));
            // A drop was never sent: half of what was sent has an answer.
            assert_eq!((ms(Clock::Service, 0.5), ms(Clock::Service, 0.99)), (Some(8), None));
            assert_eq!((ms(Clock::Lag, 0.99), ms(Clock::Wait, 0.99)), (Some(2), Some(500)));
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
    fn cuts_come_one_by_one_with_all_that_ended_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let tool = Tool {
            version: "0".to_owned(),
            commit: None,
        };
        let clock = ClockAnchor {
            unix_ns: 0,
            offsets: Vec::new(),
        };
        let manifest = Manifest::new("run", tool, 1, Environment::default(), clock);
        let writer = RecordingWriter::create(&folder.path().join("run"), &manifest).unwrap();
        for (start, length) in [(1_000, 1_000), (2_000, 1_001)] {
            for clock in [Clock::Response, Clock::Service] {
                let tag = tag(Endpoint::JourneyBook, Outcome::Won, clock);
                let (start, length) = (Nanos(start * MS), Duration::from_millis(length));
                writer.interval(start, length, &tag, &histogram(&[5])).unwrap();
            }
        }
        writer.close().unwrap();
        let recording = Recording::open(&folder.path().join("run")).unwrap();
        let mut seen = Vec::new();
        each::<RecordError>(&recording, |cut| {
            seen.push((cut.start.0 / MS, cut.end().0 / MS, cut.ended.len()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(1_000, 2_000, 2), (2_000, 3_001, 2)]);
    }
}
