//! Takes every sample into histograms of its own, apart by variant, endpoint, outcome and clock.
//!
//! Users record through shards, so that they do not wait for each other; whoever writes the recording cuts off what has
//! gathered, once a second or once a slice. Nothing is averaged, and nothing is kept longer than until the next cut, apart
//! from the names of the few slowest requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::selector::Selector;
use super::slowest::{Slow, Slowest};
use crate::recording::{Clock, Endpoint, Lateness, Outcome, RunClock, Sample, Tag, empty_histogram};
use crate::units::Nanos;

/// More causes of failure than this are noise: one that puts an id into its text for instance.
const MAX_CAUSES: usize = 500;
const MAX_CAUSE_CHARS: usize = 200;

/// Which samples are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// All: the run is one whole.
    Everything,
    /// Of an experiment, those that lie within one slice and began after its settling time.
    WithinSlices { settle: Duration },
}

/// How many samples were left out of an experiment's slices, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// Began in one slice and ended in another.
    pub straddling: u64,
    /// Began while a slice settled.
    pub settling: u64,
    /// Belonged to no slice.
    pub outside: u64,
}

/// What gathered under one tag since the last cut.
#[derive(Clone, Debug)]
pub struct Cut {
    pub tag: Tag,
    /// The slice; 0 in a run that is no experiment.
    pub slice: u32,
    /// Since when it gathered.
    pub start: Nanos,
    pub length: Duration,
    /// In nanoseconds.
    pub histogram: Histogram<u64>,
}

/// Everything that gathered since the last cut, be it nothing.
#[derive(Clone, Debug)]
pub struct Gathered {
    pub start: Nanos,
    pub length: Duration,
    pub cuts: Vec<Cut>,
}

/// A failure that was counted by its cause.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cause {
    /// Index of the variant.
    pub variant: u16,
    pub endpoint: Endpoint,
    pub outcome: Outcome,
    /// The problem's code, or what happened to the connection.
    pub text: String,
}

/// Shared by all users of all attacks that write into one recording.
#[derive(Debug)]
pub struct Recorder {
    clock: RunClock,
    selector: Arc<Selector>,
    variants: Vec<String>,
    keep: Keep,
    shards: Box<[Mutex<Shard>]>,
    last_cut: Mutex<Nanos>,
    straddling: AtomicU64,
    settling: AtomicU64,
    outside: AtomicU64,
    causes: Mutex<BTreeMap<Cause, u64>>,
    processes: AtomicU32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    slice: u32,
    variant: u16,
    endpoint: Endpoint,
    outcome: Outcome,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Shard {
    histograms: HashMap<Key, Histogram<u64>>,
    slowest: Slowest,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}/{}/{}/{}",
            self.slice, self.variant, self.endpoint, self.outcome, self.clock
        )
    }
}

impl Recorder {
    /// `variants` are the names behind the indices of samples; a run that is no experiment has one.
    pub fn new(variants: Vec<String>, selector: Arc<Selector>, keep: Keep, clock: RunClock) -> Self {
        // More shards than cores would cost memory and save no wait.
        let shards = std::thread::available_parallelism()
            .map_or(1, std::num::NonZero::get)
            .min(8);
        Self {
            clock,
            selector,
            variants,
            keep,
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            last_cut: Mutex::new(clock.now()),
            straddling: AtomicU64::new(0),
            settling: AtomicU64::new(0),
            outside: AtomicU64::new(0),
            causes: Mutex::new(BTreeMap::new()),
            processes: AtomicU32::new(1),
        }
    }

    /// The clock of all samples.
    pub fn clock(&self) -> RunClock {
        self.clock
    }

    /// The number of a client in the operation history, given to nobody else in this recording.
    pub(crate) fn next_process(&self) -> u32 {
        self.processes.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes one sample. `user` spreads users over the shards.
    pub fn record(&self, user: usize, sample: &Sample) {
        self.take(user, sample, None);
    }

    /// Takes the sample of a request, which is found again by its trace and its span.
    pub(crate) fn record_request(&self, user: usize, sample: &Sample, trace: u128, span: u64) {
        self.take(user, sample, Some((trace, span)));
    }

    fn take(&self, user: usize, sample: &Sample, found_by: Option<(u128, u64)>) {
        if let Some(reason) = self.reason_to_leave_out(sample) {
            reason.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut shard = self.shards[user % self.shards.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((trace, span)) = found_by {
            shard.slowest.note(Slow {
                variant: sample.variant,
                endpoint: sample.endpoint,
                outcome: sample.outcome,
                sent: sample.sent,
                took: sample.done.since(sample.sent),
                trace,
                span,
            });
        }
        let mut add = |clock, duration: Duration| {
            let key = Key {
                slice: sample.slice,
                variant: sample.variant,
                endpoint: sample.endpoint,
                outcome: sample.outcome,
                clock,
            };
            shard
                .histograms
                .entry(key)
                .or_insert_with(empty_histogram)
                .saturating_record(Nanos::from_duration(duration).0);
        };
        // What was never sent has no service time.
        if sample.outcome != Outcome::Dropped {
            add(Clock::Service, sample.done.since(sample.sent));
        }
        if let Some(intended) = sample.intended {
            add(Clock::Response, sample.done.since(intended));
            let late = sample.sent.since(intended);
            match sample.lateness {
                Lateness::Generator => add(Clock::Lag, late),
                Lateness::BusyUsers => add(Clock::Wait, late),
                Lateness::Untimed => {}
            }
        }
    }

    fn reason_to_leave_out(&self, sample: &Sample) -> Option<&AtomicU64> {
        let Keep::WithinSlices { settle } = self.keep else {
            return None;
        };
        if sample.slice == 0 {
            return Some(&self.outside);
        }
        let slice = self.selector.current();
        let began = sample
            .intended
            .map_or(sample.sent, |intended| intended.min(sample.sent));
        if slice.number != sample.slice || began < slice.start {
            Some(&self.straddling)
        } else if began < slice.start.plus(settle) {
            Some(&self.settling)
        } else {
            None
        }
    }

    /// Counts a failure by its cause, of which no more is kept than fits into a line: a server may say what it likes.
    pub(crate) fn count_cause(&self, variant: u16, endpoint: Endpoint, outcome: Outcome, text: &str) {
        let mut cause = Cause {
            variant,
            endpoint,
            outcome,
            text: text.chars().take(MAX_CAUSE_CHARS).collect(),
        };
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        if causes.len() >= MAX_CAUSES && !causes.contains_key(&cause) {
            cause.text = "further causes".to_owned();
        }
        *causes.entry(cause).or_default() += 1;
    }

    /// Every failure by its cause, since the recorder was made. In an experiment these are not kept apart by slice.
    pub fn causes(&self) -> BTreeMap<Cause, u64> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was left out of the slices so far.
    pub fn left_out(&self) -> LeftOut {
        LeftOut {
            straddling: self.straddling.load(Ordering::Relaxed),
            settling: self.settling.load(Ordering::Relaxed),
            outside: self.outside.load(Ordering::Relaxed),
        }
    }

    /// Takes out the slowest requests since the last time, by variant and endpoint.
    pub fn take_slowest(&self) -> Vec<Slow> {
        let mut all = Slowest::default();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.join(std::mem::take(&mut shard.slowest));
        }
        all.into_vec()
    }

    /// Takes out what has gathered, in the order of slices and tags.
    ///
    /// In an experiment, cut within the settling time of the next slice: what ends just before the switch and is
    /// recorded just after it is still in time then, and carries the number of its own slice in any case.
    pub fn cut(&self) -> Vec<Cut> {
        self.gathered().cuts
    }

    /// As [`Self::cut`], with the time in which it gathered.
    pub fn gathered(&self) -> Gathered {
        let now = self.clock.now();
        let start = std::mem::replace(&mut *self.last_cut.lock().unwrap_or_else(PoisonError::into_inner), now);
        let mut gathered: BTreeMap<Key, Histogram<u64>> = BTreeMap::new();
        for shard in &self.shards {
            let histograms = std::mem::take(&mut shard.lock().unwrap_or_else(PoisonError::into_inner).histograms);
            for (key, histogram) in histograms {
                match gathered.entry(key) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(histogram);
                    }
                    std::collections::btree_map::Entry::Occupied(mut entry) => {
                        // All have the same bounds, which is all that adding asks for.
                        *entry.get_mut() += histogram;
                    }
                }
            }
        }
        let cuts = gathered
            .into_iter()
            .map(|(key, histogram)| Cut {
                tag: Tag {
                    variant: self
                        .variants
                        .get(usize::from(key.variant))
                        .cloned()
                        .unwrap_or_else(|| key.variant.to_string()),
                    endpoint: key.endpoint,
                    outcome: key.outcome,
                    clock: key.clock,
                },
                slice: key.slice,
                start,
                length: now.since(start),
                histogram,
            })
            .collect();
        Gathered {
            start,
            length: now.since(start),
            cuts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::selector::Slice;

    fn recorder(keep: Keep) -> (Recorder, Arc<Selector>) {
        let selector = Arc::new(Selector::new(0));
        let variants = vec!["off".to_owned(), "redis".to_owned()];
        (
            Recorder::new(variants, Arc::clone(&selector), keep, RunClock::start()),
            selector,
        )
    }

    fn sample(slice: u32, intended_ms: Option<u64>, sent_ms: u64, done_ms: u64) -> Sample {
        let at = |ms: u64| Nanos(ms * 1_000_000);
        Sample {
            variant: 1,
            slice,
            endpoint: Endpoint::Seats,
            outcome: Outcome::Ok,
            intended: intended_ms.map(at),
            lateness: Lateness::Generator,
            sent: at(sent_ms),
            done: at(done_ms),
        }
    }

    fn close(histogram: &Histogram<u64>, ms: u64) -> bool {
        histogram.len() == 1 && histogram.max().abs_diff(ms * 1_000_000) <= ms * 1_000
    }

    #[test]
    fn the_clocks_are_kept_apart() {
        let (recorder, _) = recorder(Keep::Everything);
        recorder.record(0, &sample(0, Some(100), 130, 150));
        recorder.record(1, &sample(0, None, 130, 140));
        let waited = Sample {
            lateness: Lateness::BusyUsers,
            ..sample(0, Some(100), 160, 170)
        };
        recorder.record(0, &waited);
        let cut = recorder.cut();
        let names: Vec<String> = cut.iter().map(|cut| cut.tag.to_string()).collect();
        assert_eq!(
            names,
            [
                "redis/seats/ok/response",
                "redis/seats/ok/service",
                "redis/seats/ok/lag",
                "redis/seats/ok/wait",
            ]
        );
        assert_eq!((cut[0].histogram.len(), cut[1].histogram.len()), (2, 3));
        assert!(close(&cut[2].histogram, 30) && close(&cut[3].histogram, 60));
        assert!(recorder.cut().is_empty(), "a cut takes everything out");
    }

    #[test]
    fn the_slowest_requests_are_kept_by_name_until_they_are_taken() {
        let (recorder, _) = recorder(Keep::Everything);
        for (user, took_ms) in [20, 300, 10, 90, 80].into_iter().enumerate() {
            let sample = sample(0, None, 100, 100 + took_ms);
            recorder.record_request(user, &sample, 1 << 100, took_ms);
        }
        // Journeys have no request of their own.
        recorder.record(0, &sample(0, Some(1), 1, 5_000));
        recorder.cut();
        let slowest = recorder.take_slowest();
        let spans: Vec<u64> = slowest.iter().map(|slow| slow.span).collect();
        assert_eq!(spans, [300, 90, 80]);
        assert_eq!(
            (slowest[0].trace, slowest[0].took),
            (1 << 100, Duration::from_millis(300))
        );
        assert_eq!(recorder.take_slowest(), []);
    }

    #[test]
    fn a_dropped_arrival_has_a_response_time_and_no_service_time() {
        let (recorder, _) = recorder(Keep::Everything);
        recorder.record(
            0,
            &Sample {
                outcome: Outcome::Dropped,
                ..sample(0, Some(0), 40, 40)
            },
        );
        let names: Vec<String> = recorder.cut().iter().map(|cut| cut.tag.to_string()).collect();
        assert_eq!(names, ["redis/seats/dropped/response", "redis/seats/dropped/lag"]);
    }

    #[test]
    fn samples_that_straddle_or_settle_are_left_out_and_counted() {
        let (recorder, selector) = recorder(Keep::WithinSlices {
            settle: Duration::from_millis(250),
        });
        recorder.record(0, &sample(0, Some(1), 1, 2));
        selector.switch(Slice {
            number: 4,
            variant: 1,
            start: Nanos(1_000_000_000),
        });
        recorder.record(0, &sample(4, Some(1_300), 1_300, 1_310));
        recorder.record(0, &sample(4, Some(1_249), 1_300, 1_310));
        recorder.record(0, &sample(4, Some(990), 1_300, 1_310));
        recorder.record(0, &sample(3, Some(900), 900, 1_010));
        assert_eq!(
            recorder.left_out(),
            LeftOut {
                straddling: 2,
                settling: 1,
                outside: 1
            }
        );
        let cut = recorder.cut();
        assert_eq!(cut.len(), 3);
        assert!(cut.iter().all(|cut| cut.slice == 4 && cut.histogram.len() == 1));
    }

    #[test]
    fn causes_are_counted_and_bounded() {
        let (recorder, _) = recorder(Keep::Everything);
        for n in 0..(MAX_CAUSES + 10) {
            recorder.count_cause(0, Endpoint::Pay, Outcome::Error, &format!("cause {n}"));
        }
        // One that is known keeps its name, however many others there are.
        recorder.count_cause(0, Endpoint::Pay, Outcome::Error, "cause 7");
        let causes = recorder.causes();
        assert_eq!(causes.len(), MAX_CAUSES + 1);
        assert_eq!(causes.values().sum::<u64>(), MAX_CAUSES as u64 + 11);
        let known = causes.iter().find(|(cause, _)| cause.text == "cause 7");
        assert_eq!(known.map(|(_, count)| *count), Some(2));
    }

    #[test]
    fn no_server_says_more_of_a_cause_than_a_line() {
        let (recorder, _) = recorder(Keep::Everything);
        recorder.count_cause(0, Endpoint::Pay, Outcome::Error, &"é".repeat(1 << 20));
        let causes = recorder.causes();
        assert!(causes.keys().all(|cause| cause.text == "é".repeat(MAX_CAUSE_CHARS)));
    }
}
