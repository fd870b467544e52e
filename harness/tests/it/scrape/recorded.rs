//! A recording that is written by a poller and read back.

use std::time::{Duration, Instant};

use soundcheck::recording::model::{Environment, Tool};
use soundcheck::recording::{Manifest, Recording, RecordingWriter, RunClock, SeriesSet};

/// A recording in a folder of its own.
pub(crate) struct Recorded {
    folder: tempfile::TempDir,
    pub(crate) writer: RecordingWriter,
    pub(crate) clock: RunClock,
}

impl Recorded {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = RunClock::start();
        let tool = Tool {
            version: "0".to_owned(),
            commit: None,
        };
        let manifest = Manifest::new("run", tool, 1, Environment::default(), clock.anchor());
        let writer = RecordingWriter::create(&folder.path().join("run"), &manifest).unwrap();
        Self { folder, writer, clock }
    }

    /// What has been written so far.
    pub(crate) fn series(&self) -> SeriesSet {
        self.writer.flush().unwrap();
        let recording = Recording::open(&self.folder.path().join("run")).unwrap();
        recording.series().unwrap()
    }

    /// Values of the only series with this name.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        let set = self.series();
        let mut named = set.named(name);
        let series = named.next().unwrap_or_else(|| panic!("no series `{name}`"));
        set.points(series).map(|(_, value)| value).collect()
    }

    /// Reasons of the gaps of a source.
    pub(crate) fn gaps(&self, source: &str) -> Vec<String> {
        self.series()
            .sources()
            .get(source)
            .map_or(Vec::new(), |s| s.gaps.iter().map(|(_, why)| why.clone()).collect())
    }
}

/// Waits until `met`, and fails after ten seconds.
pub(crate) async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !met() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
