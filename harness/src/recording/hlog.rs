//! `latency.hlog`: the HdrHistogram interval log, version 1.3, one histogram per tag and interval, in nanoseconds.
//! An interval is one second of a run, or one slice of an experiment. Any tool that reads such logs reads this one.

use std::path::{Path, PathBuf};
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
}

/// One line of the log.
#[derive(Debug)]
pub struct Interval<'a> {
    pub tag: Tag,
    pub start: Nanos,
    pub length: Duration,
    line: IntervalLogHistogram<'a>,
    path: &'a Path,
}

impl Latency {
    pub(crate) fn new(path: PathBuf, bytes: Vec<u8>) -> Self {
        Self { path, bytes }
    }

    /// The intervals, in the order in which they were written.
    pub fn intervals(&self) -> impl Iterator<Item = Result<Interval<'_>, RecordError>> {
        IntervalLogIterator::new(&self.bytes).filter_map(|entry| match entry {
            Ok(LogEntry::Interval(line)) => Some(self.interval(line)),
            Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_)) => None,
            Err(hdrhistogram::serialization::interval_log::LogIteratorError::ParseError { offset }) => {
                Some(Err(self.malformed(offset, "not a line of a histogram log")))
            }
        })
    }

    fn interval<'a>(&'a self, line: IntervalLogHistogram<'a>) -> Result<Interval<'a>, RecordError> {
        let offset = line.encoded_histogram().as_ptr() as usize - self.bytes.as_ptr() as usize;
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
            path: &self.path,
        })
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
    /// When the line does not hold a histogram.
    pub fn histogram(&self) -> Result<Histogram<u64>, RecordError> {
        let malformed = |reason: String| RecordError::Histogram {
            path: self.path.to_owned(),
            reason,
        };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(self.line.encoded_histogram())
            .map_err(|error| malformed(error.to_string()))?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::sample::{Clock, Endpoint, Outcome};

    #[test]
    fn histograms_come_back_equal_with_tag_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latency.hlog");
        let anchor = ClockAnchor {
            unix_ns: 1_700_000_000_123_000_000,
            offsets: Vec::new(),
        };
        let mut writer = HlogWriter::new(Appender::create(path.clone()).unwrap(), &anchor).unwrap();
        let tag = Tag {
            variant: "redis".to_owned(),
            endpoint: Endpoint::Seats,
            outcome: Outcome::Ok,
            clock: Clock::Response,
        };
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
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

        let latency = Latency::new(path.clone(), std::fs::read(&path).unwrap());
        let intervals: Vec<_> = latency.intervals().collect::<Result<_, _>>().unwrap();
        assert_eq!(intervals.len(), 3);
        assert_eq!(intervals[2].start, Nanos(2_000_000_000));
        assert_eq!(intervals[2].tag, tag);
        assert_eq!(intervals[2].histogram().unwrap(), histogram);
    }
}
