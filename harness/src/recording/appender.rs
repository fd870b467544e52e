//! A file that grows while the run goes, and whole files that appear at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::RecordError;

/// An append-only file, opened before the run so that a missing right or a full disk shows at the start.
///
/// The first failure ends it: were anything added after space had come free again, a hole or half a line would stand in
/// the middle of the file, where no reader could tell it from damage.
#[derive(Debug)]
pub(crate) struct Appender {
    path: PathBuf,
    file: BufWriter<File>,
    failed: Option<io::ErrorKind>,
}

impl Appender {
    /// Creates the file; one that exists already is an error, since two runs would mix.
    pub(crate) fn create(path: PathBuf) -> Result<Self, RecordError> {
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(|error| RecordError::write(&path, error))?;
        Ok(Self::over(path, file))
    }

    fn over(path: PathBuf, file: File) -> Self {
        Self {
            path,
            file: BufWriter::with_capacity(64 * 1024, file),
            failed: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds `bytes`; as a whole, unless they are more than the buffer holds.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        self.unless_failed(|file| file.write_all(bytes))
    }

    /// One JSON value and a line feed.
    pub(crate) fn append_line<T: serde::Serialize>(&mut self, value: &T) -> Result<(), RecordError> {
        let line = serde_json::to_vec(value).map(|mut line| {
            line.push(b'\n');
            line
        });
        self.unless_failed(|file| file.write_all(&line?))
    }

    /// Hands everything to the operating system, where a crash of ours cannot reach it.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        self.unless_failed(BufWriter::flush)
    }

    /// Flushes, and waits until the disk has it.
    pub(crate) fn sync(&mut self) -> Result<(), RecordError> {
        self.flush()?;
        self.unless_failed(|file| file.get_ref().sync_all())
    }

    /// Takes nothing more, since what belongs here next is lost already.
    pub(crate) fn give_up(&mut self) {
        self.failed.get_or_insert(io::ErrorKind::Other);
    }

    fn unless_failed(&mut self, act: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), RecordError> {
        let done = match self.failed {
            Some(kind) => Err(kind.into()),
            None => act(&mut self.file),
        };
        done.map_err(|error| {
            self.failed.get_or_insert(error.kind());
            RecordError::write(&self.path, error)
        })
    }
}

/// Writes a file that is there as a whole or not at all.
pub(crate) fn put_whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), RecordError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = (|| {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = BufWriter::new(File::create(&part)?);
        fill(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&part, path)
    })();
    written.map_err(|error| {
        // Best effort: the error that matters is the one already in hand.
        let _ = fs::remove_file(&part);
        RecordError::write(path, error)
    })
}

/// The part of an append-only text file that is certainly whole: up to the last line feed.
pub(crate) fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/dev/full` is a disk without space.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named_with_the_file_and_the_remedy() {
        let path = PathBuf::from("reports/run/events.jsonl");
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut appender = Appender::over(path, full);
        appender.append_line(&"lost").unwrap();
        let error = appender.flush().unwrap_err().to_string();
        assert!(
            error.contains("no space left") && error.contains("events.jsonl") && error.contains("--out"),
            "{error}"
        );

        // Space that comes free later is not for this file any more.
        let room = tempfile::NamedTempFile::new().unwrap();
        appender.file = BufWriter::new(room.reopen().unwrap());
        appender.append_line(&"after a hole").unwrap_err();
        appender.sync().unwrap_err();
        assert_eq!(fs::read(room.path()).unwrap(), b"");

        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("verdict.json.part")).unwrap();
        let path = dir.path().join("verdict.json");
        let error = put_whole(&path, |file| file.write_all(b"{}")).unwrap_err();
        assert!(matches!(error, RecordError::DiskFull(named) if named == path));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing half-written stays"
        );
    }
}
