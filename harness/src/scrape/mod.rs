//! Scraping: the service's `/metrics`, and the dependencies' own statistics, into the recording's series.
//!
//! Dependencies are recorded under the names that the well-known exporters use, so that dashboards and rules read the
//! same in production. A scrape that fails is a gap with its reason, never a zero. What the numbers mean (resets, rates,
//! hit ratios) is left to `analysis`; nothing here computes.

pub mod error;
pub mod kafka;
pub mod mysql;
pub mod mysql_names;
pub mod mysql_plan;
pub mod parse;
pub mod poll;
pub mod process;
pub mod redis;
pub mod service;
pub mod sqlite_plan;
pub mod wall_clock;

pub use error::ScrapeError;
pub use poll::{Poller, Source};

use std::collections::BTreeMap;

use crate::recording::SeriesKind;

/// One value that a source showed.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub kind: SeriesKind,
    pub value: f64,
}

impl Sample {
    /// A value with labels.
    pub fn new(name: impl Into<String>, labels: &[(&str, &str)], kind: SeriesKind, value: f64) -> Self {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self {
            name: name.into(),
            labels,
            kind,
            value,
        }
    }
}

/// The sum of all values of `name` that have these labels; `None` when there is none, which is not zero.
pub fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has_labels = |sample: &&Sample| {
        labels
            .iter()
            .all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
    };
    let of_name = samples.iter().filter(|sample| sample.name == name);
    let values = of_name.filter(has_labels).map(|sample| sample.value);
    values.reduce(|sum, value| sum + value)
}
