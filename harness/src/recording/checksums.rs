//! `checksums.json`: written when a recording is closed, so that a later edit is told from a file that was cut off.
//!
//! Besides its whole, each file has up to 64 digests of its beginning at growing lengths. What is shorter than it was,
//! and agrees with every digest that lies within, was cut; what disagrees was edited.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::appender::put_whole;
use super::error::RecordError;

pub(crate) const CHECKSUMS_FILE: &str = "checksums.json";

/// How many digests of beginnings a file has at most.
const STEPS: u64 = 64;
/// Closer together they would only tell where, inside a line, an edit is.
const MIN_STEP_BYTES: u64 = 64;

/// The digests of a closed recording, by path relative to its folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Checksums {
    files: BTreeMap<String, FileSum>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileSum {
    bytes: u64,
    sha256: String,
    step_bytes: u64,
    /// The first eight bytes of the SHA-256 of the first `step_bytes`, 2 × `step_bytes`, ….
    beginnings: Vec<String>,
}

/// How a file compares with what it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Same,
    /// Shorter, and the same as far as it goes.
    Cut {
        bytes: u64,
        of: u64,
    },
    Missing,
    /// Different, from between these two offsets on.
    Edited {
        from: u64,
        to: u64,
    },
}

impl Checksums {
    /// Of every file in the folder but the checksums themselves and unfinished ones.
    pub(crate) fn of_folder(dir: &Path) -> Result<Self, RecordError> {
        let mut files = BTreeMap::new();
        let mut pending = vec![dir.to_owned()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| RecordError::read(&folder, error))? {
                let path = entry.map_err(|error| RecordError::read(&folder, error))?.path();
                if path.is_dir() {
                    pending.push(path);
                } else if let Some(name) = relative(dir, &path) {
                    files.insert(
                        name,
                        FileSum::of(&path).map_err(|error| RecordError::read(&path, error))?,
                    );
                }
            }
        }
        Ok(Self { files })
    }

    /// `None` where there are none, which is the mark of a run that did not end.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, RecordError> {
        let path = dir.join(CHECKSUMS_FILE);
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(checksums) => Ok(Some(checksums)),
                Err(error) => Err(RecordError::malformed(&path, error.line(), error)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RecordError::read(&path, error)),
        }
    }

    pub(crate) fn save(&self, dir: &Path) -> Result<(), RecordError> {
        put_whole(&dir.join(CHECKSUMS_FILE), |file| {
            serde_json::to_writer_pretty(file, self).map_err(Into::into)
        })
    }

    /// Takes note of a file that was written after the recording was closed.
    pub(crate) fn update(&mut self, dir: &Path, path: &Path) -> Result<(), RecordError> {
        if let Some(name) = relative(dir, path) {
            let sum = FileSum::of(path).map_err(|error| RecordError::read(path, error))?;
            self.files.insert(name, sum);
        }
        Ok(())
    }

    /// Compares every file that was there.
    pub(crate) fn check(&self, dir: &Path) -> Result<Vec<(&str, Finding)>, RecordError> {
        self.files
            .iter()
            .map(|(name, sum)| {
                let path = dir.join(name);
                let finding = sum.check(&path).map_err(|error| RecordError::read(&path, error))?;
                Ok((name.as_str(), finding))
            })
            .collect()
    }
}

impl FileSum {
    fn of(path: &Path) -> io::Result<Self> {
        let bytes = fs::metadata(path)?.len();
        let step_bytes = bytes.div_ceil(STEPS).max(MIN_STEP_BYTES);
        let (beginnings, sha256) = digests(&mut File::open(path)?, step_bytes)?;
        Ok(Self {
            bytes,
            sha256,
            step_bytes,
            beginnings,
        })
    }

    fn check(&self, path: &Path) -> io::Result<Finding> {
        let bytes = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Finding::Missing),
            Err(error) => return Err(error),
        };
        let step_bytes = self.step_bytes.max(MIN_STEP_BYTES);
        let (beginnings, sha256) = digests(&mut File::open(path)?, step_bytes)?;
        if sha256 == self.sha256 {
            return Ok(Finding::Same);
        }
        let agreeing = beginnings
            .iter()
            .zip(&self.beginnings)
            .take_while(|(now, then)| now == then)
            .count();
        if bytes < self.bytes && agreeing == beginnings.len() {
            return Ok(Finding::Cut { bytes, of: self.bytes });
        }
        let from = step_bytes.saturating_mul(agreeing as u64);
        Ok(Finding::Edited {
            from,
            to: from.saturating_add(step_bytes).min(bytes.max(self.bytes)),
        })
    }
}

/// The digests of the beginnings at every full step, and of the whole.
fn digests(file: &mut impl Read, step_bytes: u64) -> io::Result<(Vec<String>, String)> {
    let mut hasher = Sha256::new();
    let mut beginnings = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut left = step_bytes;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = file.read(&mut buffer[..want])?;
            if read == 0 {
                return Ok((beginnings, hex(&hasher.finalize())));
            }
            hasher.update(&buffer[..read]);
            left -= read as u64;
        }
        beginnings.push(hex(&hasher.clone().finalize()[..8]));
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A file's name inside the recording; `None` for the checksums and what was never finished.
fn relative(dir: &Path, path: &Path) -> Option<String> {
    let name: PathBuf = path.strip_prefix(dir).ok()?.to_owned();
    let name = name.to_str()?.to_owned();
    (name != CHECKSUMS_FILE && !name.ends_with(".part")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found when a file of 1,000 bytes is replaced.
    fn found(after: impl FnOnce(&mut Vec<u8>)) -> Finding {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut bytes: Vec<u8> = (0..1000_u32).map(|number| (number * 7 % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let sums = Checksums::of_folder(dir.path()).unwrap();
        sums.save(dir.path()).unwrap();
        after(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let loaded = Checksums::load(dir.path()).unwrap().unwrap();
        let mut findings = loaded.check(dir.path()).unwrap();
        assert_eq!(findings.len(), 1);
        findings.pop().unwrap().1
    }

    #[test]
    fn a_cut_is_told_from_an_edit() {
        assert_eq!(found(|_| ()), Finding::Same);
        assert_eq!(
            found(|bytes| bytes.truncate(999)),
            Finding::Cut { bytes: 999, of: 1000 }
        );
        assert_eq!(found(Vec::clear), Finding::Cut { bytes: 0, of: 1000 });
        assert_eq!(found(|bytes| bytes[500] ^= 1), Finding::Edited { from: 448, to: 512 });
        // A line taken out of the middle leaves the file shorter, and yet edited.
        assert_eq!(
            found(|bytes| drop(bytes.drain(100..140))),
            Finding::Edited { from: 64, to: 128 }
        );
        assert_eq!(found(|bytes| bytes.push(1)), Finding::Edited { from: 960, to: 1001 });
    }

    #[test]
    fn a_file_written_later_is_known_after_an_update() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("report.md"), "one").unwrap();
        let mut sums = Checksums::of_folder(dir.path()).unwrap();
        fs::write(dir.path().join("report.md"), "two").unwrap();
        assert!(matches!(
            sums.check(dir.path()).unwrap()[..],
            [("report.md", Finding::Edited { .. })]
        ));
        sums.update(dir.path(), &dir.path().join("report.md")).unwrap();
        assert!(matches!(
            sums.check(dir.path()).unwrap()[..],
            [("report.md", Finding::Same)]
        ));
    }
}
