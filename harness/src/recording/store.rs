//! Writes a recording while the run goes. Every file that grows is opened at the start, and flushed once an interval,
//! so that a crash costs at most the interval under way.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::appender::{Appender, put_whole};
use super::checksums::Checksums;
use super::error::RecordError;
use super::event::{Event, NoteLevel, What};
use super::history::{HistorySink, HistoryWriter};
use super::hlog::HlogWriter;
use super::model::Manifest;
use super::sample::Tag;
use super::series::SeriesWriter;
use crate::units::Nanos;

pub(crate) const MANIFEST_FILE: &str = "manifest.json";
pub(crate) const EVENTS_FILE: &str = "events.jsonl";
pub(crate) const LATENCY_FILE: &str = "latency.hlog";
pub(crate) const SERIES_FILE: &str = "series.ndjson";
/// The plan as resolved.
pub const PLAN_FILE: &str = "plan.yaml";
/// What the service logged of the slowest requests and of their journeys.
pub const SLOWEST_FILE: &str = "slowest.ndjson";
/// The verdict, as one JSON object.
pub const VERDICT_FILE: &str = "verdict.json";

/// The file with one variant's final state.
pub(crate) fn audit_file(variant: u16) -> String {
    format!("audit.{variant}.ndjson")
}

/// The handle through which a run writes; cloning it is cheap, and every method may be called from any thread.
#[derive(Clone, Debug)]
pub struct RecordingWriter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    manifest: Mutex<Manifest>,
    events: Mutex<Appender>,
    latency: Mutex<HlogWriter>,
    series: Mutex<SeriesWriter>,
    history: HistorySink,
}

impl RecordingWriter {
    /// Makes the folder and opens every file.
    ///
    /// # Errors
    /// When the folder already holds files, or one cannot be created; then none is left.
    pub fn create(dir: &Path, manifest: &Manifest) -> Result<Self, RecordError> {
        fs::create_dir_all(dir).map_err(|error| RecordError::write(dir, error))?;
        let mut present = fs::read_dir(dir).map_err(|error| RecordError::read(dir, error))?;
        if present.next().is_some() {
            return Err(RecordError::Occupied(dir.to_owned()));
        }
        Self::open_files(dir, manifest).inspect_err(|_| {
            // Nothing was measured yet, and half a recording would only puzzle whoever finds it.
            if let Err(error) = fs::remove_dir_all(dir) {
                tracing::debug!(%error, dir = %dir.display(), "an unused folder is left");
            }
        })
    }

    fn open_files(dir: &Path, manifest: &Manifest) -> Result<Self, RecordError> {
        let open = |name: &str| Appender::create(dir.join(name));
        let writer = Self(Arc::new(Inner {
            dir: dir.to_owned(),
            manifest: Mutex::new(manifest.clone()),
            events: Mutex::new(open(EVENTS_FILE)?),
            latency: Mutex::new(HlogWriter::new(open(LATENCY_FILE)?, &manifest.clock)?),
            series: Mutex::new(SeriesWriter::new(open(SERIES_FILE)?)),
            history: HistorySink::new(HistoryWriter::create(dir)?),
        }));
        writer.update_manifest(|_| ())?;
        writer.flush()?;
        Ok(writer)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Changes the manifest and writes it anew: versions and offsets are known only when everything is up.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn update_manifest(&self, change: impl FnOnce(&mut Manifest)) -> Result<(), RecordError> {
        let mut manifest = lock(&self.0.manifest);
        change(&mut manifest);
        put_whole(&self.0.dir.join(MANIFEST_FILE), |file| {
            serde_json::to_writer_pretty(&mut *file, &*manifest)?;
            file.write_all(b"\n")
        })
    }

    /// Adds an event, on the disk at once: events are few, and the last one before a crash tells the most.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn event(&self, t: Nanos, what: What) -> Result<(), RecordError> {
        let mut events = lock(&self.0.events);
        events.append_line(&Event { t, what })?;
        events.flush()
    }

    /// Adds a note as an event.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&self, t: Nanos, level: NoteLevel, text: impl Into<String>) -> Result<(), RecordError> {
        self.event(
            t,
            What::Note {
                level,
                text: text.into(),
            },
        )
    }

    /// Adds one tag's histogram, in nanoseconds, of one second or slice.
    ///
    /// # Errors
    /// When the tag cannot stand in a log, or the file cannot be written.
    pub fn interval(
        &self,
        start: Nanos,
        length: Duration,
        tag: &Tag,
        histogram: &Histogram<u64>,
    ) -> Result<(), RecordError> {
        lock(&self.0.latency).interval(start, length, tag, histogram)
    }

    /// The writer of scraped series, for as long as the guard lives: one whole scrape at a time.
    pub fn series(&self) -> MutexGuard<'_, SeriesWriter> {
        lock(&self.0.series)
    }

    /// The sink of the clients' operations.
    pub fn history(&self) -> HistorySink {
        self.0.history.clone()
    }

    /// Stores a variant's final state as the service printed it; the file appears when the text has ended.
    ///
    /// # Errors
    /// When the source cannot be read to its end, or the file cannot be written.
    pub fn audit(&self, variant: u16, from: &mut dyn Read) -> Result<(), RecordError> {
        put_whole(&self.0.dir.join(audit_file(variant)), |file| {
            std::io::copy(from, file).map(drop)
        })
    }

    /// Stores a whole file: the plan, the verdict, a report, a chart.
    ///
    /// # Errors
    /// When the name leaves the folder, or the file cannot be written.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        put_whole(&inside(&self.0.dir, name)?, |file| file.write_all(bytes))
    }

    /// Hands everything to the operating system. Call it once an interval; it also tells what the sinks kept back.
    ///
    /// # Errors
    /// The first failure to write since the last call.
    pub fn flush(&self) -> Result<(), RecordError> {
        lock(&self.0.events).flush()?;
        lock(&self.0.latency).flush()?;
        lock(&self.0.series).flush()?;
        self.0.history.flush()
    }

    /// Ends the recording: everything on the disk, and the checksums beside it. What is derived later is added to them
    /// by [`put_derived`] and [`note_derived`].
    ///
    /// # Errors
    /// When a file cannot be written or read back.
    pub fn close(&self) -> Result<(), RecordError> {
        lock(&self.0.events).sync()?;
        lock(&self.0.latency).sync()?;
        lock(&self.0.series).sync()?;
        self.0.history.sync()?;
        Checksums::of_folder(&self.0.dir)?.save(&self.0.dir)
    }
}

/// Stores a file that can be computed from the rest of a recording, closed or not: report, chart, verdict.
///
/// # Errors
/// When the name leaves the folder, or a file cannot be written.
pub fn put_derived(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
    let path = inside(dir, name)?;
    put_whole(&path, |file| file.write_all(bytes))?;
    note_derived(dir, &[path])
}

/// Takes note of such files in the folder of a recording, so that a later edit of them is noticed. One that was never
/// closed has nowhere to note them.
///
/// # Errors
/// When a file cannot be read, or the checksums cannot be written.
pub fn note_derived(dir: &Path, files: &[PathBuf]) -> Result<(), RecordError> {
    let Some(mut checksums) = Checksums::load(dir)? else {
        return Ok(());
    };
    for file in files {
        checksums.update(dir, file)?;
    }
    checksums.save(dir)
}

/// The path of a file in the folder, and nowhere else.
fn inside(dir: &Path, name: &str) -> Result<PathBuf, RecordError> {
    let path = Path::new(name);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    if stays && path.file_name().is_some() {
        Ok(dir.join(path))
    } else {
        Err(RecordError::Outside(name.to_owned()))
    }
}

/// A panic elsewhere can have left at worst a torn line, which the reader cuts off.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
