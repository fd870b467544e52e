//! Samples by series, in order of time, cut into requests of remote write.

use std::collections::{BTreeMap, HashMap};

use prometheus_remote_write::{LABEL_NAME, Label, Sample, TimeSeries, WriteRequest};

use super::ExportError;
use crate::recording::model::ClockAnchor;
use crate::units::Nanos;

/// The bits of the one NaN that means "nothing is known from here on".
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Everything that is to be sent.
#[derive(Debug)]
pub struct Outgoing {
    keys: Vec<Vec<Label>>,
    /// In order of time: Unix time in milliseconds, the series' place in `keys`, the value.
    samples: Vec<(i64, usize, f64)>,
}

impl Outgoing {
    /// How many series there are.
    pub fn n_series(&self) -> usize {
        self.keys.len()
    }

    /// How many samples.
    pub fn n_samples(&self) -> usize {
        self.samples.len()
    }

    /// The requests, of at most so many samples each. They are to be sent one after the other.
    pub fn requests(&self, most_samples: usize) -> impl Iterator<Item = WriteRequest> {
        self.samples.chunks(most_samples.max(1)).map(|chunk| {
            let mut by_series: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
            for &(timestamp, series, value) in chunk {
                by_series.entry(series).or_default().push(Sample { value, timestamp });
            }
            let timeseries = by_series.into_iter().map(|(series, samples)| TimeSeries {
                labels: self.keys[series].clone(),
                samples,
            });
            let request = WriteRequest {
                timeseries: timeseries.collect(),
            };
            request.sorted()
        })
    }
}

/// The body of a request.
///
/// # Errors
/// When it cannot be compressed.
pub fn body(request: WriteRequest) -> Result<Vec<u8>, ExportError> {
    request
        .encode_compressed()
        .map_err(|error| ExportError::Format(error.into()))
}

/// A name that Prometheus takes; a colon is for metrics alone.
pub(super) fn legal(name: &str, may_have_colon: bool) -> String {
    let mut legal: String = name
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => c,
            ':' if may_have_colon => c,
            _ => '_',
        })
        .collect();
    if legal.starts_with(|first: char| first.is_ascii_digit()) {
        legal.insert(0, '_');
    }
    legal
}

/// Collects samples by series.
pub(super) struct Samples {
    run: String,
    clock: ClockAnchor,
    places: HashMap<Vec<(String, String)>, usize>,
    keys: Vec<Vec<Label>>,
    samples: Vec<(i64, usize, f64)>,
}

impl Samples {
    pub(super) fn new(run: &str, clock: ClockAnchor) -> Self {
        Self {
            run: run.to_owned(),
            clock,
            places: HashMap::new(),
            keys: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// The place of a series. A label without a value is the same as none.
    pub(super) fn series<'a>(&mut self, name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> usize {
        let mut key = vec![
            (LABEL_NAME.to_owned(), name.to_owned()),
            ("run".to_owned(), self.run.clone()),
        ];
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        key.extend(labels.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let next = self.keys.len();
        let place = *self.places.entry(key.clone()).or_insert(next);
        if place == next {
            let labels = key.into_iter().map(|(name, value)| Label { name, value });
            self.keys.push(labels.collect());
        }
        place
    }

    pub(super) fn push(&mut self, at: Nanos, series: usize, value: f64) {
        self.samples.push((self.clock.unix_ms(at), series, value));
    }

    pub(super) fn stale(&mut self, at: Nanos, series: usize) {
        self.push(at, series, f64::from_bits(STALE));
    }

    pub(super) fn finish(mut self) -> Outgoing {
        // Stable, so that of two values of one series in one millisecond the later one stands last, and is kept.
        self.samples.sort_by_key(|(at, series, _)| (*at, *series));
        let mut kept: Vec<(i64, usize, f64)> = Vec::with_capacity(self.samples.len());
        for sample in self.samples {
            match kept.last_mut() {
                Some(last) if (last.0, last.1) == (sample.0, sample.1) => *last = sample,
                _ => kept.push(sample),
            }
        }
        Outgoing {
            keys: self.keys,
            samples: kept,
        }
    }
}
