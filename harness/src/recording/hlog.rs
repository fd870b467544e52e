//! `latency.hlog`: the HdrHistogram interval log, version 1.3, one histogram per tag and interval, in nanoseconds.
//! An interval is one second of a run, or one slice of an experiment. Any tool that reads such logs reads this one.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag as LogTag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use super::appender::Appender;
use super::error::RecordError;
use super::model::ClockAnchor;
use super::sample::Tag;
use crate::units::Nanos;

const LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// Of every histogram of the recorder: the smallest and the longest duration, in nanoseconds, and the significant digits.
/// One with others is none of its, and could not be added to its own.
const BOUNDS: (u64, u64, u8) = (1_000, LONGEST.as_nanos() as u64, 3);
/// Longer ones count as this long.
pub const LONGEST: Duration = Duration::from_secs(60 * 60);
/// As long as the longest stage: no run is silent for longer. Readers fill every second of a silence.
const LONGEST_SILENCE: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// A histogram of durations in nanoseconds, 1 µs to [`LONGEST`] with three significant digits.
pub fn empty_histogram() -> Histogram<u64> {
    #[expect(
        clippy::expect_used,
        reason = "the bounds are constants that the type accepts; a test makes one"
    )]
    Histogram::new_with_bounds(BOUNDS.0, BOUNDS.1, BOUNDS.2).expect("constant bounds are valid")
}

/// Writes the log.
pub(crate) struct HlogWriter {
    file: Appender,
    serializer: V2DeflateSerializer,
    line: Vec<u8>,
}

impl std::fmt::Debug for HlogWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HlogWriter")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl HlogWriter {
    pub(crate) fn new(mut file: Appender, clock: &ClockAnchor) -> Result<Self, RecordError> {
        let start_seconds = clock.unix_ns as f64 / 1e9;
        file.append(
            format!(
                "#[Histogram log format version 1.3]\n#[StartTime: {start_seconds:.3} (seconds since epoch)]\n\
                 #[Values are nanoseconds]\n{LEGEND}"
            )
            .as_bytes(),
        )?;
        Ok(Self {
            file,
            serializer: V2DeflateSerializer::new(),
            line: Vec::new(),
        })
    }

    /// One line. The format keeps milliseconds of `start` and `length`, so both are rounded to those.
    pub(crate) fn interval(
        &mut self,
        start: Nanos,
        length: Duration,
        tag: &Tag,
        histogram: &Histogram<u64>,
    ) -> Result<(), RecordError> {
        let text = tag.to_string();
        let tag = LogTag::new(&text).ok_or_else(|| RecordError::Tag(text.clone()))?;
        self.line.clear();
        // A builder without headers writes none, so that each line can have a short-lived writer of its own.
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.line, &mut self.serializer)
            .map_err(|error| RecordError::write(self.file.path(), error))?
            .write_histogram(histogram, Duration::from_nanos(start.0), length, Some(tag))
            .map_err(|error| RecordError::Histogram {
                path: self.file.path().to_owned(),
                reason: error.to_string(),
            })?;
        self.file.append(&self.line)
    }

    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        self.file.flush()
    }

    pub(crate) fn sync(&mut self) -> Result<(), RecordError> {
        self.file.sync()
    }
}

/// The log in memory; histograms are decoded when asked for.
#[derive(Debug)]
pub struct Latency {
    path: PathBuf,
    bytes: Vec<u8>,
    /// When the run was over, where that is known.
    over: Option<Nanos>,
}

/// One line of the log.
#[derive(Debug)]
pub struct Interval<'a> {
    pub tag: Tag,
    pub start: Nanos,
    pub length: Duration,
    line: IntervalLogHistogram<'a>,
    log: &'a Latency,
}

impl Latency {
    pub(crate) fn new(path: PathBuf, bytes: Vec<u8>, over: Option<Nanos>) -> Self {
        Self { path, bytes, over }
    }

    /// The intervals, in the order in which they were written, which is that of time.
    pub fn intervals(&self) -> impl Iterator<Item = Result<Interval<'_>, RecordError>> {
        let mut before = (Nanos(0), Duration::ZERO);
        IntervalLogIterator::new(&self.bytes).filter_map(move |entry| match entry {
            Ok(LogEntry::Interval(line)) => Some(self.interval(line).and_then(|interval| {
                interval.check_follows(before)?;
                before = (interval.start, interval.length);
                Ok(interval)
            })),
            Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_)) => None,
            Err(hdrhistogram::serialization::interval_log::LogIteratorError::ParseError { offset }) => {
                Some(Err(self.malformed(offset, "not a line of a histogram log")))
            }
        })
    }

    fn interval<'a>(&'a self, line: IntervalLogHistogram<'a>) -> Result<Interval<'a>, RecordError> {
        let offset = self.offset(&line);
        let tag = line
            .tag()
            .ok_or_else(|| self.malformed(offset, "an interval without a tag"))?;
        let tag = tag
            .as_str()
            .parse::<Tag>()
            .map_err(|error| self.malformed(offset, error))?;
        let start = Nanos::from_duration(line.start_timestamp());
        Ok(Interval {
            tag,
            start,
            length: line.duration(),
            line,
            log: self,
        })
    }

    /// Where in the log a line is.
    fn offset(&self, line: &IntervalLogHistogram<'_>) -> usize {
        line.encoded_histogram().as_ptr() as usize - self.bytes.as_ptr() as usize
    }

    fn malformed(&self, offset: usize, reason: impl ToString) -> RecordError {
        let before = self.bytes.get(..offset).unwrap_or(&self.bytes);
        RecordError::malformed(
            &self.path,
            before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            reason,
        )
    }
}

impl Interval<'_> {
    /// Decodes the histogram; values are nanoseconds.
    ///
    /// # Errors
    /// When the line does not hold a histogram, or none of the recorder's.
    pub fn histogram(&self) -> Result<Histogram<u64>, RecordError> {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(self.line.encoded_histogram())
            .map_err(|error| self.malformed(error))?;
        let histogram: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| self.malformed(error))?;
        let bounds = (histogram.low(), histogram.high(), histogram.sigfig());
        if bounds != BOUNDS {
            let (low, high, digits) = bounds;
            return Err(self.malformed(format!(
                "its histogram is of {low} to {high} ns with {digits} digits, as no run records"
            )));
        }
        Ok(histogram)
    }

    /// Fails where time went back, or on beyond the end of the run, or by more than a run can be silent.
    fn check_follows(&self, (start, length): (Nanos, Duration)) -> Result<(), RecordError> {
        let seconds = |time: Nanos| time.since(Nanos(0)).as_secs_f64();
        if self.start < start {
            Err(self.malformed(format!(
                "its interval starts at {:.3} s, and the one before it at {:.3} s",
                seconds(self.start),
                seconds(start)
            )))
        } else if let Some(over) = self.log.over.filter(|over| *over < self.start) {
            Err(self.malformed(format!(
                "its interval starts at {:.3} s, and the run was over at {:.3} s",
                seconds(self.start),
                seconds(over)
            )))
        } else if self.start.since(start.plus(length)) > LONGEST_SILENCE {
            Err(self.malformed(format!(
                "its interval starts at {:.3} s, and the one before it ends at {:.3} s: longer than a run is silent",
                seconds(self.start),
                seconds(start.plus(length))
            )))
        } else if self.length > LONGEST_SILENCE {
            Err(self.malformed(format!("its interval lasts {} s", self.length.as_secs())))
        } else {
            Ok(())
        }
    }

    fn malformed(&self, reason: impl ToString) -> RecordError {
        self.log.malformed(self.log.offset(&self.line), reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::sample::{Clock, Endpoint, Outcome};

    fn tag() -> Tag {
        Tag {
            variant: "redis".to_owned(),
            endpoint: Endpoint::Seats,
            outcome: Outcome::Ok,
            clock: Clock::Response,
        }
    }

    /// The log of such intervals, in seconds.
    fn log(intervals: &[(u64, u64)], histogram: &Histogram<u64>) -> Latency {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latency.hlog");
        let anchor = ClockAnchor {
            unix_ns: 1_700_000_000_123_000_000,
            offsets: Vec::new(),
        };
        let mut writer = HlogWriter::new(Appender::create(path.clone()).unwrap(), &anchor).unwrap();
        for &(start, length) in intervals {
            let (start, length) = (Nanos(start * 1_000_000_000), Duration::from_secs(length));
            writer.interval(start, length, &tag(), histogram).unwrap();
        }
        writer.flush().unwrap();
        Latency::new(path.clone(), std::fs::read(&path).unwrap(), None)
    }

    /// Every interval as `start+length` in seconds, until one fails.
    fn read(log: &Latency) -> Result<Vec<String>, RecordError> {
        let read = log.intervals().map(|interval| {
            let interval = interval?;
            interval.histogram()?;
            let start = interval.start.since(Nanos(0)).as_secs();
            Ok(format!("{start}+{}", interval.length.as_secs()))
        });
        read.collect()
    }

    #[track_caller]
    fn check_refused(log: &Latency, line: usize, words: &str) {
        let error = read(log).unwrap_err().to_string();
        let place = format!("latency.hlog, line {line}: ");
        assert!(error.contains(&place) && error.contains(words), "{error}");
    }

    #[test]
    fn histograms_have_the_bounds_of_the_recorder_or_are_refused() {
        let ours = empty_histogram();
        assert_eq!(read(&log(&[(0, 1), (0, 1)], &ours)).unwrap(), ["0+1", "0+1"]);
        for (low, high, digits) in [(1, BOUNDS.1, 3), (BOUNDS.0, 2 * BOUNDS.1, 3), (BOUNDS.0, BOUNDS.1, 2)] {
            let other = Histogram::new_with_bounds(low, high, digits).unwrap();
            check_refused(&log(&[(0, 1)], &other), 5, "as no run records");
        }
    }

    #[test]
    fn time_goes_on_and_by_no_more_than_a_run_is_silent() {
        let empty = empty_histogram();
        let longest = LONGEST_SILENCE.as_secs();
        // As long as a run may be silent, between two intervals and before the first.
        let silent = [(longest, 2), (2 * longest + 2, 1)];
        assert_eq!(read(&log(&silent, &empty)).unwrap().len(), 2);
        check_refused(
            &log(&[(0, 1), (7, 1), (6, 1)], &empty),
            7,
            "starts at 6.000 s, and the one before it at 7.000 s",
        );
        check_refused(&log(&[(longest + 1, 1)], &empty), 5, "longer than a run is silent");
        check_refused(
            &log(&[(0, 1), (9_000_000_000, 1)], &empty),
            6,
            "starts at 9000000000.000 s",
        );
        check_refused(&log(&[(0, longest + 1)], &empty), 5, "lasts 2678401 s");
    }

    #[test]
    fn nothing_ends_when_the_run_is_over() {
        let mut log = log(&[(0, 1), (7, 1)], &empty_histogram());
        log.over = Some(Nanos(7_000_000_000));
        assert_eq!(read(&log).unwrap().len(), 2);
        log.over = Some(Nanos(6_000_000_000));
        check_refused(&log, 6, "starts at 7.000 s, and the run was over at 6.000 s");
    }

    #[test]
    fn histograms_come_back_equal_with_tag_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latency.hlog");
        let anchor = ClockAnchor {
            unix_ns: 1_700_000_000_123_000_000,
            offsets: Vec::new(),
        };
        let mut writer = HlogWriter::new(Appender::create(path.clone()).unwrap(), &anchor).unwrap();
        let tag = tag();
        let mut histogram = empty_histogram();
        for value in [1_000, 5_000_000, 59_000_000_000] {
            histogram.record(value).unwrap();
        }
        for second in 0..3 {
            writer
                .interval(Nanos(second * 1_000_000_000), Duration::from_secs(1), &tag, &histogram)
                .unwrap();
        }
        let spaced = Tag {
            variant: "a b".to_owned(),
            ..tag.clone()
        };
        assert!(matches!(
            writer.interval(Nanos(0), Duration::from_secs(1), &spaced, &histogram),
            Err(RecordError::Tag(_))
        ));
        writer.flush().unwrap();

        let latency = Latency::new(path.clone(), std::fs::read(&path).unwrap(), None);
        let intervals: Vec<_> = latency.intervals().collect::<Result<_, _>>().unwrap();
        assert_eq!(intervals.len(), 3);
        assert_eq!(intervals[2].start, Nanos(2_000_000_000));
        assert_eq!(intervals[2].tag, tag);
        assert_eq!(intervals[2].histogram().unwrap(), histogram);
    }
}
