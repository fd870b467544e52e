//! What can go wrong between a run and its folder, each naming the file and the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// A failure to write or read a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the folder {0} already holds files; choose another with --out")]
    Occupied(PathBuf),
    #[error("no space left while writing {0}; free some, or record elsewhere with --out")]
    DiskFull(PathBuf),
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{0} is no recording: it has no manifest.json; name the folder of a run, as in reports/<utc>-<kind>-<seed>"
    )]
    NotARecording(PathBuf),
    #[error(
        "{path} was written in format {found} by soundcheck {tool}; this version reads up to format {known}, \
         so read it with that version or a later one"
    )]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
        tool: String,
    },
    #[error("{path}, line {line}: {reason}; the recording is damaged, so restore it from a copy or record again")]
    Malformed { path: PathBuf, line: usize, reason: String },
    #[error("{}: edited after the recording was closed ({}); restore the original, or record again", .dir.display(), .files.join("; "))]
    Edited { dir: PathBuf, files: Vec<String> },
    #[error("`{0}` is no name for a file inside a recording; use a relative path without `..`")]
    Outside(String),
    #[error("the tag `{0}` has a comma or white space, which the histogram log cannot hold; rename the variant")]
    Tag(String),
    #[error("cannot encode a histogram for {path}: {reason}")]
    Histogram { path: PathBuf, reason: String },
}

impl RecordError {
    /// A failed write; a full disk has a remedy of its own.
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(path.to_owned()),
            _ => Self::Write {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// A failed read.
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    /// A line that is not what its file holds.
    pub(crate) fn malformed(path: &Path, line: usize, reason: impl ToString) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            line,
            reason: reason.to_string(),
        }
    }
}
