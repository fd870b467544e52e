//! The file that an export goes to: tried before anything is measured, there as a whole or not at all, and never in the
//! place of a file that is something else.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::export::{ExportError, csv, junit};
use crate::recording::Recording;

/// Formats that are files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Format {
    Csv,
    Junit,
}

impl Format {
    /// Writes a recording in this format.
    pub(super) fn write(self, recording: &Recording, out: &mut impl io::Write) -> Result<(), ExportError> {
        match self {
            Self::Csv => csv::write(recording, out),
            Self::Junit => {
                let xml = junit::xml(recording)?;
                out.write_all(xml.as_bytes()).map_err(ExportError::Write)
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Junit => "JUnit",
        }
    }

    /// Whether a file that begins so was written by an export.
    fn is_ours(self, beginning: &str) -> bool {
        match self {
            Self::Csv => beginning.starts_with(&csv::HEADER.join(",")),
            Self::Junit => beginning.contains(&format!("<testsuites name=\"{}\"", junit::NAME)),
        }
    }
}

/// Why a file cannot take an export.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{} is there already, and is no earlier {} export; remove it, or name another file", .path.display(), .format)]
    Unrelated { path: PathBuf, format: &'static str },
    #[error("nothing can be written to {}; name a file in a folder where this user may write", .path.display())]
    Unwritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A file that can take an export.
#[derive(Debug)]
pub(super) struct ExportFile {
    path: PathBuf,
    format: Format,
}

impl ExportFile {
    /// # Errors
    /// When another file is in the way, or nothing can be written there.
    pub(super) fn check(path: &Path, format: Format) -> Result<Self, FileError> {
        let unwritable = |source| FileError::Unwritable {
            path: path.to_owned(),
            source,
        };
        match beginning(path) {
            Ok(Some(text)) if !format.is_ours(&text) => {
                return Err(FileError::Unrelated {
                    path: path.to_owned(),
                    format: format.name(),
                });
            }
            Ok(_) => {}
            Err(error) => return Err(unwritable(error)),
        }
        partial(path).map_err(unwritable)?;
        Ok(Self {
            path: path.to_owned(),
            format,
        })
    }

    /// Removes an earlier export, so that nobody takes its result for that of a run which came to none.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn remove_earlier(&self) -> Result<(), FileError> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(FileError::Unwritable {
                path: self.path.clone(),
                source,
            }),
            _ => Ok(()),
        }
    }

    /// Writes the export, in the place of an earlier one.
    pub(super) fn write(&self, recording: &Recording) -> Result<(), ExportError> {
        self.put(|file| self.format.write(recording, file))
    }

    /// Writes what was exported already.
    pub(super) fn write_text(&self, text: &str) -> Result<(), ExportError> {
        self.put(|file| file.write_all(text.as_bytes()).map_err(ExportError::Write))
    }

    fn put(
        &self,
        write: impl FnOnce(&mut BufWriter<tempfile::NamedTempFile>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let unwritable = |source: io::Error| {
            let path = self.path.clone();
            ExportError::Write(io::Error::new(source.kind(), FileError::Unwritable { path, source }))
        };
        let mut file = BufWriter::new(partial(&self.path).map_err(unwritable)?);
        write(&mut file)?;
        file.flush().map_err(unwritable)?;
        let file = file.into_inner().map_err(|error| unwritable(error.into_error()))?;
        file.persist(&self.path).map_err(|error| unwritable(error.error))?;
        Ok(())
    }
}

/// What a file that is there begins with, as far as it takes to know it; `None` when there is none.
fn beginning(path: &Path) -> io::Result<Option<String>> {
    const ENOUGH_BYTES: u64 = 200;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(ENOUGH_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A file beside it that takes its place when it is whole, and is gone otherwise.
fn partial(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut builder = tempfile::Builder::new();
    // As any other file that this user makes: whoever collects the results of CI is somebody else.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".soundcheck-export-").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(text: Option<&str>, format: Format, words: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        match (ExportFile::check(&path, format), words) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
            (other, _) => panic!("{other:?}"),
        }
        assert_eq!(
            fs::read_to_string(&path).ok().as_deref(),
            text,
            "it was looked at alone"
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), usize::from(text.is_some()));
    }

    #[test]
    fn only_an_earlier_export_of_the_same_format_gives_way() {
        let csv = format!("{}\n0.000,…\n", csv::HEADER.join(","));
        let junit = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"soundcheck\" tests=\"1\">";
        let others = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"unit tests\" tests=\"1\">";
        check(None, Format::Csv, None);
        check(Some(&csv), Format::Csv, None);
        check(Some(junit), Format::Junit, None);
        check(Some(&csv), Format::Junit, Some("is no earlier JUnit export"));
        check(Some(junit), Format::Csv, Some("is no earlier CSV export"));
        check(Some(others), Format::Junit, Some("is no earlier JUnit export"));
        check(Some(""), Format::Csv, Some("is there already"));
    }

    #[test]
    fn the_result_of_an_earlier_run_is_gone_before_there_is_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("junit.xml");
        fs::write(&path, "<testsuites name=\"soundcheck\">").unwrap();
        let file = ExportFile::check(&path, Format::Junit).unwrap();
        for _ in 0..2 {
            file.remove_earlier().unwrap();
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_place_that_takes_no_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("no/such/file.csv")] {
            let error = ExportFile::check(&path, Format::Csv).unwrap_err().to_string();
            assert!(
                error.contains(&path.display().to_string()) && error.contains("may write"),
                "{error}"
            );
        }
    }
}
