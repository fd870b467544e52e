//! Pages of counters, scraped once a second, as a recording holds them.

use std::collections::BTreeMap;

use super::case::*;
use crate::recording::series::{SeriesKind, SeriesWriter};
use crate::recording::{RecordingWriter, RunClock};

/// A series by name, labels and its value.
pub(super) type Value<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Writes pages into a recording.
pub(super) struct Pages {
    folder: tempfile::TempDir,
    writer: RecordingWriter,
}

impl Pages {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tool = Tool {
            version: "0".to_owned(),
            commit: None,
        };
        let manifest = Manifest::new("run", tool, 1, Environment::default(), RunClock::start().anchor());
        let writer = RecordingWriter::create(folder.path(), &manifest).unwrap();
        Self { folder, writer }
    }

    /// What `source` showed after `second` seconds.
    pub(super) fn scrape(&self, second: u64, source: &str, values: &[Value<'_>]) {
        let mut series = self.writer.series();
        let series: &mut SeriesWriter = &mut series;
        let values: Vec<_> = values
            .iter()
            .map(|(name, labels, value)| {
                let labels: BTreeMap<String, String> =
                    labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
                (
                    series.define(source, name, &labels, SeriesKind::Counter).unwrap(),
                    *value,
                )
            })
            .collect();
        series.sample(ms(second * 1_000), source, &values).unwrap();
    }

    /// Everything that was shown.
    pub(super) fn read(self) -> SeriesSet {
        self.writer.close().unwrap();
        crate::recording::Recording::open(self.folder.path())
            .unwrap()
            .series()
            .unwrap()
    }
}
