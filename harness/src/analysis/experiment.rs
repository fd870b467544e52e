//! An experiment read back: its slices with their histograms, and what each variant's own counters did in each slice.

use std::collections::BTreeMap;
use std::time::Duration;

use super::compare::{Cells, Halves, Slice, counts_once};
use crate::recording::event::{self, What};
use crate::recording::series::{Series, SeriesSet};
use crate::recording::{Event, Outcome, RecordError, Recording};
use crate::units::Nanos;

/// The source under which a variant's counters are read at the edges of its slices.
pub fn edge_source(variant: &str) -> String {
    format!("edge:{variant}")
}

/// The source under which a variant is scraped every second.
pub fn service_source(variant: &str) -> String {
    format!("service:{variant}")
}

/// Everything about an experiment that its report needs.
#[derive(Debug)]
pub struct Experiment {
    pub events: Vec<Event>,
    pub series: SeriesSet,
    /// In the order in which they ran, with the place of each in the recording.
    pub slices: Vec<(event::Slice, Slice)>,
    names: Vec<String>,
}

/// A log's times are whole milliseconds; slices lie much farther apart.
const LOG_RESOLUTION: Duration = Duration::from_millis(2);

impl Experiment {
    /// Reads a recording.
    ///
    /// # Errors
    /// When a file of it cannot be read.
    pub fn of(recording: &Recording) -> Result<Self, RecordError> {
        let events = recording.events()?;
        let names: Vec<String> = recording
            .manifest()
            .variants
            .iter()
            .map(|variant| variant.name.clone())
            .collect();
        let mut slices: Vec<(event::Slice, Slice)> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Slice(slice) => Some((
                    *slice,
                    Slice {
                        block: slice.block,
                        launch: slice.launch,
                        variant: slice.variant,
                        measured: slice.end.since(slice.start),
                        cells: Cells::new(),
                        halves: Halves::new(),
                    },
                )),
                _ => None,
            })
            .collect();
        slices.sort_by_key(|(slice, _)| slice.start);
        let latency = recording.latency()?;
        for interval in latency.intervals() {
            let interval = interval?;
            if !counts_once(&interval.tag) {
                continue;
            }
            let at = slices.partition_point(|(slice, _)| slice.start <= interval.start.plus(LOG_RESOLUTION));
            let Some((slice, found)) = at.checked_sub(1).and_then(|last| slices.get_mut(last)) else {
                continue;
            };
            let of_variant = names
                .get(usize::from(slice.variant))
                .is_some_and(|name| *name == interval.tag.variant);
            if of_variant && interval.start < slice.end {
                let histogram = interval.histogram()?;
                if matches!(interval.tag.outcome, Outcome::Ok | Outcome::Won) && !histogram.is_empty() {
                    // Cut in the middle: what does not begin with the slice is its second half.
                    let half = usize::from(interval.start > slice.start.plus(LOG_RESOLUTION));
                    found.halves.entry(interval.tag.endpoint).or_default()[half] =
                        Some(histogram.value_at_quantile(0.5) as f64);
                }
                found
                    .cells
                    .entry((interval.tag.endpoint, interval.tag.outcome))
                    .and_modify(|sum| {
                        // Histograms of one recording have one shape, so adding cannot fail; if a damaged one has
                        // another, its counts stay out.
                        let _ = sum.add(&histogram);
                    })
                    .or_insert(histogram);
            }
        }
        Ok(Self {
            events,
            series: recording.series()?,
            slices,
            names,
        })
    }

    /// The slices as comparisons take them.
    pub fn compared(&self) -> Vec<Slice> {
        self.slices.iter().map(|(_, slice)| slice.clone()).collect()
    }

    /// How much the matching counters of the slice's own variant grew in it, added up; `None` where a scrape at either
    /// edge is missing, a counter was reset between them, or no series matches.
    pub fn growth(&self, slice: &event::Slice, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let source = edge_source(self.names.get(usize::from(slice.variant))?);
        let mut total = None;
        for series in self
            .series
            .named(name)
            .filter(|series| matches(series, &source, labels))
        {
            if let Some(growth) = self.grown(series, slice) {
                *total.get_or_insert(0.0) += growth;
            }
        }
        total
    }

    /// The last value in or before the slice's closing scrape of a gauge of the slice's own variant.
    pub fn level(&self, slice: &event::Slice, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let source = edge_source(self.names.get(usize::from(slice.variant))?);
        let series = self
            .series
            .named(name)
            .find(|series| matches(series, &source, labels))?;
        self.series
            .points(series)
            .find(|(at, _)| *at >= slice.end)
            .map(|(_, value)| value)
    }

    fn grown(&self, series: &Series, slice: &event::Slice) -> Option<f64> {
        let source = self.series.sources().get(&series.def.source)?;
        let opening = *source.scrapes.iter().rfind(|at| **at <= slice.start)?;
        let closing = *source.scrapes.iter().find(|at| **at >= slice.end)?;
        // Where a reading at an edge is missing, the next one has counted another slice as well.
        let is_edge_lost = |at: Nanos| (opening < at && at <= slice.start) || (slice.end <= at && at < closing);
        if source.gaps.iter().any(|(at, _)| is_edge_lost(*at)) {
            return None;
        }
        let values: BTreeMap<Nanos, f64> = self.series.points(series).collect();
        // A counter appears with its first event: before that it stood at zero.
        let before = values.get(&opening).copied().unwrap_or(0.0);
        let growth = values.get(&closing)? - before;
        (growth >= 0.0).then_some(growth)
    }
}

fn matches(series: &Series, source: &str, labels: &[(&str, &str)]) -> bool {
    series.def.source == source
        && labels
            .iter()
            .all(|(name, value)| series.def.labels.get(*name).is_some_and(|found| found == value))
}
