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

use super::outcome::NO_SOCKET;
use super::selector::Selector;
use super::slowest::{Slow, Slowest};
use crate::recording::{Clock, Endpoint, Lateness, Outcome, RunClock, Sample, Tag, empty_histogram};
use crate::units::Nanos;

/// More causes of failure than this are noise: one that puts an id into its text for instance.
pub(super) const MAX_CAUSES: usize = 500;
pub(super) const MAX_CAUSE_CHARS: usize = 200;

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
        // What this machine could not send is looked for by its name, and has few.
        let is_ours = text.starts_with(NO_SOCKET);
        if causes.len() >= MAX_CAUSES && !is_ours && !causes.contains_key(&cause) {
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

    /// The schedule began at `zero`: the first cut holds what ends from then on.
    pub fn begins_at(&self, zero: Nanos) {
        *self.last_cut.lock().unwrap_or_else(PoisonError::into_inner) = zero;
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
