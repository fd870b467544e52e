//! Opens a recording: accepts one that was cut off and says so, refuses one that is newer or was edited.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::appender::whole_lines;
use super::audit::Audit;
use super::checksums::{Checksums, Finding};
use super::error::RecordError;
use super::event::{Event, What};
use super::history::{History, Names};
use super::hlog::Latency;
use super::model::{Manifest, SCHEMA_VERSION};
use super::series::SeriesSet;
use super::store::{EVENTS_FILE, LATENCY_FILE, MANIFEST_FILE, PLAN_FILE, SERIES_FILE, audit_file};
use crate::units::Nanos;

/// A folder that was recorded. Files are read when asked for.
#[derive(Debug)]
pub struct Recording {
    dir: PathBuf,
    manifest: Manifest,
    complete: bool,
    notes: Vec<String>,
    derived_notes: Vec<String>,
}

/// The part of the manifest that every version has.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
    #[serde(default)]
    tool: ToolVersion,
}

#[derive(Deserialize, Default)]
struct ToolVersion {
    #[serde(default)]
    version: Option<String>,
}

impl Recording {
    /// Reads the manifest, compares the checksums, and notes what is missing.
    ///
    /// # Errors
    /// When this is no recording, or it is newer, damaged or edited.
    pub fn open(dir: &Path) -> Result<Self, RecordError> {
        let path = dir.join(MANIFEST_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(RecordError::NotARecording(dir.to_owned()));
            }
            Err(error) => return Err(RecordError::read(&path, error)),
        };
        // The version comes first: in a newer format, any other complaint would mislead.
        let version: Version =
            serde_json::from_slice(&text).map_err(|error| RecordError::malformed(&path, error.line(), error))?;
        if version.schema_version > SCHEMA_VERSION {
            return Err(RecordError::Newer {
                path,
                found: version.schema_version,
                known: SCHEMA_VERSION,
                tool: version
                    .tool
                    .version
                    .unwrap_or_else(|| "of an unknown version".to_owned()),
            });
        }
        let mut recording = Self {
            dir: dir.to_owned(),
            manifest: serde_json::from_slice(&text)
                .map_err(|error| RecordError::malformed(&path, error.line(), error))?,
            complete: false,
            notes: Vec::new(),
            derived_notes: Vec::new(),
        };
        recording.compare_checksums()?;
        recording.note_torn_ends()?;
        Ok(recording)
    }

    fn compare_checksums(&mut self) -> Result<(), RecordError> {
        let Some(checksums) = Checksums::load(&self.dir)? else {
            self.notes.push(
                "the run did not end properly, since the recording was never closed: what follows rests on what it \
                 had written until then"
                    .to_owned(),
            );
            return Ok(());
        };
        self.complete = true;
        let mut edited = Vec::new();
        for (name, finding) in checksums.check(&self.dir)? {
            // What can be computed again casts no doubt on what was measured.
            let derived = is_derived(name);
            match finding {
                Finding::Same => {}
                Finding::Cut { .. } | Finding::Missing if derived => {}
                Finding::Edited { .. } if derived => {
                    self.derived_notes.push(format!(
                        "{name} was edited after the run; `soundcheck render` makes it anew"
                    ));
                }
                Finding::Cut { bytes, of } => {
                    self.complete = false;
                    self.notes
                        .push(format!("{name} was cut off: {bytes} of {of} bytes are left"));
                }
                Finding::Missing => {
                    self.complete = false;
                    self.notes.push(format!("{name} is missing"));
                }
                Finding::Edited { from, to } => edited.push(format!("{name} between bytes {from} and {to}")),
            }
        }
        if edited.is_empty() {
            Ok(())
        } else {
            Err(RecordError::Edited {
                dir: self.dir.clone(),
                files: edited,
            })
        }
    }

    fn note_torn_ends(&mut self) -> Result<(), RecordError> {
        let audits = (0..self.manifest.variants.len())
            .filter_map(|number| u16::try_from(number).ok())
            .map(audit_file);
        for name in [EVENTS_FILE, LATENCY_FILE, SERIES_FILE]
            .map(str::to_owned)
            .into_iter()
            .chain(audits)
        {
            let bytes = self.bytes(&name)?.unwrap_or_default();
            let torn = bytes.len() - whole_lines(&bytes).len();
            if torn > 0 {
                self.notes
                    .push(format!("{name} ends inside a line: its last {torn} bytes are left out"));
            }
        }
        let history = History::open(&self.dir)?;
        self.notes.extend_from_slice(history.notes());
        Ok(())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Under which conditions the run took place.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether the run ended and everything it wrote is still there.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What a reader must know about the state of the recording; empty for a whole one.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The same of files that can be computed from it. Not for a report, which is one of them.
    pub fn derived_notes(&self) -> &[String] {
        &self.derived_notes
    }

    /// The plan as resolved.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn plan(&self) -> Result<Option<String>, RecordError> {
        let path = self.dir.join(PLAN_FILE);
        let Some(bytes) = self.bytes(PLAN_FILE)? else {
            return Ok(None);
        };
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|error| RecordError::malformed(&path, 1, error))
    }

    /// What happened, in the order in which it was written.
    ///
    /// # Errors
    /// When a whole line is no event.
    pub fn events(&self) -> Result<Vec<Event>, RecordError> {
        let path = self.dir.join(EVENTS_FILE);
        let bytes = self.bytes(EVENTS_FILE)?.unwrap_or_default();
        let lines = whole_lines(&bytes).split(|&byte| byte == b'\n').enumerate();
        lines
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| {
                serde_json::from_slice(line).map_err(|error| RecordError::malformed(&path, number + 1, error))
            })
            .collect()
    }

    /// The latency log.
    ///
    /// # Errors
    /// When the file cannot be read, or the events cannot, which say when the run was over.
    pub fn latency(&self) -> Result<Latency, RecordError> {
        let mut bytes = self.bytes(LATENCY_FILE)?.unwrap_or_default();
        bytes.truncate(whole_lines(&bytes).len());
        Ok(Latency::new(self.dir.join(LATENCY_FILE), bytes, self.over()?))
    }

    /// When the last thing happened, where that came after all load; `None` where the load may have gone on.
    fn over(&self) -> Result<Option<Nanos>, RecordError> {
        let events = self.events()?;
        let is_over = events.iter().any(|event| matches!(event.what, What::FinalAudit { .. }));
        let last = events.iter().map(|event| event.t).max();
        Ok(last.filter(|_| is_over))
    }

    /// What was scraped.
    ///
    /// # Errors
    /// When a whole line is neither definition, scrape nor gap.
    pub fn series(&self) -> Result<SeriesSet, RecordError> {
        let bytes = self.bytes(SERIES_FILE)?.unwrap_or_default();
        SeriesSet::parse(&self.dir.join(SERIES_FILE), whole_lines(&bytes))
    }

    /// The clients' operations.
    ///
    /// # Errors
    /// When a segment cannot be read or is of another format.
    pub fn history(&self) -> Result<History, RecordError> {
        History::open(&self.dir)
    }

    /// A variant's final state, its ids numbered by `names`; `None` where the service never wrote one.
    ///
    /// # Errors
    /// When a whole line is not what an audit holds.
    pub fn audit(&self, variant: u16, names: &mut Names) -> Result<Option<Audit>, RecordError> {
        let name = audit_file(variant);
        let Some(bytes) = self.bytes(&name)? else {
            return Ok(None);
        };
        Audit::parse(&self.dir.join(name), whole_lines(&bytes), names).map(Some)
    }

    /// A file's bytes; `None` where it is missing.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, RecordError> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RecordError::read(&path, error)),
        }
    }
}

/// Whether a file can be computed from the others.
fn is_derived(name: &str) -> bool {
    name == super::store::VERDICT_FILE || name.starts_with("report.") || name.starts_with("charts/")
}
