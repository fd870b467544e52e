//! The latency log cut by cut, as the recorder wrote it: about every second of a run, or once a slice of an experiment.
//! The encoded log is in memory as a whole, about as large as its file; of the decoded histograms, which are many times
//! as large, only those of one cut are.
//!
//! What counts of it and whether it is good is not asked here.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::ended::Ended;
use crate::recording::{RecordError, Recording, Tag};
use crate::units::Nanos;

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
/// was written, and a line drawn across them would tell of something. For runs that were recorded without a break, from
/// `zero` on where that is known: what is silent from the beginning is silent as well.
///
/// # Errors
/// As [`each`].
pub fn each_second<E: From<RecordError>>(
    recording: &Recording,
    zero: Option<Nanos>,
    mut look: impl FnMut(&Cut) -> Result<(), E>,
) -> Result<(), E> {
    let mut over = zero;
    each(recording, |cut| {
        for (start, length) in over.into_iter().flat_map(|over| silent(over, cut.start)) {
            look(&Cut {
                start,
                length,
                ended: Vec::new(),
            })?;
        }
        over = Some(cut.end());
        look(cut)
    })
}

/// The seconds between two cuts, and how long each of them is. No cut is exactly a second, so what lies between two is
/// none either: the last takes what is left over, and less than half a second is no second.
pub(super) fn silent(from: Nanos, until: Nanos) -> impl Iterator<Item = (Nanos, Duration)> {
    const SECOND: Duration = Duration::from_secs(1);
    let n = until.since(from).as_secs_f64().round() as u32;
    (0..n).map(move |nth| {
        let start = from.plus(SECOND * nth);
        let is_last = nth + 1 == n;
        (start, if is_last { until.since(start) } else { SECOND })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::ended::tests::{histogram, tag};
    use crate::recording::model::{ClockAnchor, Environment, Tool};
    use crate::recording::{Clock, Endpoint, Manifest, Outcome, RecordingWriter};

    const MS: u64 = 1_000_000;

    #[test]
    fn silence_between_cuts_is_told_in_seconds_however_the_clock_trembles() {
        let lengths = |gap_ms: u64| -> Vec<u128> {
            let from = Nanos(7 * MS);
            let all: Vec<_> = silent(from, Nanos((7 + gap_ms) * MS)).collect();
            let ends = all.iter().map(|(start, length)| start.plus(*length));
            let begins = all.iter().map(|(start, _)| *start).chain([Nanos((7 + gap_ms) * MS)]);
            assert!(
                begins.eq(std::iter::once(from).chain(ends)) || all.is_empty(),
                "{all:?}"
            );
            all.iter().map(|(_, length)| length.as_millis()).collect()
        };
        assert_eq!(lengths(0), [0; 0]);
        assert_eq!(lengths(3), [0; 0]);
        assert_eq!(lengths(999), [999]);
        assert_eq!(lengths(1_001), [1_001]);
        assert_eq!(lengths(1_998), [1_000, 998]);
        assert_eq!(lengths(3_002), [1_000, 1_000, 1_002]);
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

        // What began with silence has it in the beginning.
        for (zero, expected) in [(None, 0), (Some(Nanos(1_000 * MS)), 0), (Some(Nanos(0)), 1)] {
            let mut silent = 0;
            each_second::<RecordError>(&recording, zero, |cut| {
                silent += u32::from(cut.ended.is_empty());
                Ok(())
            })
            .unwrap();
            assert_eq!(silent, expected, "{zero:?}");
        }
    }
}
