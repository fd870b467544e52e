//! Reads the history: a scan in order, or one record by its number. What stands behind a torn end is left out.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::operation::{Name, Operation, RECORD_BYTES};
use super::{FORMAT, HEADER_BYTES, MAGIC, NAMES_FILE, segment_file};
use crate::recording::appender::whole_lines;
use crate::recording::error::RecordError;

/// The history of a recording. Records are numbered from 0 in the order in which they were added.
#[derive(Debug)]
pub struct History {
    segments: Vec<Segment>,
    names: Names,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    first: u64,
    records: u64,
}

/// What the numbers of users, seats and schedules stand for.
#[derive(Debug, Default)]
pub struct Names {
    texts: Vec<Box<str>>,
    /// Ids that no client used, numbered from the top down: a record may name more than a cut file still explains.
    added: Vec<Box<str>>,
    numbers: HashMap<Box<str>, Name>,
}

impl Names {
    /// The id behind a number.
    pub fn text(&self, name: Name) -> Option<&str> {
        let place = usize::try_from(name.0).ok()?.checked_sub(1)?;
        let from_top = usize::try_from(u32::MAX - name.0).ok()?;
        self.texts
            .get(place)
            .or_else(|| self.added.get(from_top))
            .map(AsRef::as_ref)
    }

    /// The number of an id; a new one for an id that no client used.
    pub fn intern(&mut self, text: &str) -> Name {
        if let Some(&name) = self.numbers.get(text) {
            return name;
        }
        let name = Name(u32::MAX - u32::try_from(self.added.len()).unwrap_or(u32::MAX));
        self.added.push(text.into());
        self.numbers.insert(text.into(), name);
        name
    }
}

impl History {
    /// Finds the segments and reads the names.
    ///
    /// # Errors
    /// When a file cannot be read, or is of another format.
    pub(crate) fn open(dir: &Path) -> Result<Self, RecordError> {
        let mut history = Self {
            segments: Vec::new(),
            names: Names::default(),
            notes: Vec::new(),
        };
        history.read_names(&dir.join(NAMES_FILE))?;
        let mut first = 0;
        for number in 0.. {
            let path = dir.join(segment_file(number));
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(RecordError::read(&path, error)),
            };
            let file = segment_file(number);
            if length < HEADER_BYTES as u64 {
                history.notes.push(format!(
                    "{file} is cut inside its header: none of its operations are left"
                ));
                break;
            }
            check_header(&path, number)?;
            let body = length - HEADER_BYTES as u64;
            let records = body / RECORD_BYTES as u64;
            let torn = body % RECORD_BYTES as u64;
            if torn > 0 {
                history.notes.push(format!(
                    "{file} ends inside a record: its last {torn} bytes are left out"
                ));
            }
            history.segments.push(Segment { path, first, records });
            first += records;
        }
        Ok(history)
    }

    fn read_names(&mut self, path: &Path) -> Result<(), RecordError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(RecordError::read(path, error)),
        };
        let whole = whole_lines(&bytes);
        if whole.len() < bytes.len() {
            self.notes
                .push(format!("{NAMES_FILE} ends inside a line: that line is left out"));
        }
        for (number, line) in whole
            .split(|&byte| byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let text = std::str::from_utf8(line).map_err(|error| RecordError::malformed(path, number + 1, error))?;
            self.names.texts.push(text.into());
            let name = Name(u32::try_from(self.names.texts.len()).unwrap_or(u32::MAX));
            self.names.numbers.insert(text.into(), name);
        }
        Ok(())
    }

    /// What had to be left out, for the reader of the report.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The ids behind the numbers.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The same, for an audit to add the ids that no client used.
    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// How many operations there are.
    pub fn len(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.first + last.records)
    }

    /// Whether nobody did anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows every operation with its number, in order, without holding them in memory.
    ///
    /// # Errors
    /// When a segment cannot be read, or holds what is no record.
    pub fn scan(&self, mut visit: impl FnMut(u64, &Operation)) -> Result<(), RecordError> {
        for segment in &self.segments {
            let file = File::open(&segment.path).map_err(|error| RecordError::read(&segment.path, error))?;
            let mut file = BufReader::with_capacity(1 << 20, file);
            file.seek(SeekFrom::Start(HEADER_BYTES as u64))
                .map_err(|error| RecordError::read(&segment.path, error))?;
            for index in segment.first..segment.first + segment.records {
                visit(index, &segment.next(&mut file, index)?);
            }
        }
        Ok(())
    }

    /// One operation by its number.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub fn get(&self, index: u64) -> Result<Option<Operation>, RecordError> {
        let Some(segment) = self
            .segments
            .iter()
            .find(|s| (s.first..s.first + s.records).contains(&index))
        else {
            return Ok(None);
        };
        let offset = HEADER_BYTES as u64 + (index - segment.first) * RECORD_BYTES as u64;
        let mut file = File::open(&segment.path).map_err(|error| RecordError::read(&segment.path, error))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|error| RecordError::read(&segment.path, error))?;
        segment.next(&mut file, index).map(Some)
    }
}

impl Segment {
    fn next(&self, file: &mut impl Read, index: u64) -> Result<Operation, RecordError> {
        let mut bytes = [0; RECORD_BYTES];
        file.read_exact(&mut bytes)
            .map_err(|error| RecordError::read(&self.path, error))?;
        let number = usize::try_from(index - self.first + 1).unwrap_or(usize::MAX);
        Operation::decode(&bytes)
            .ok_or_else(|| RecordError::malformed(&self.path, number, "a record of no known kind (counted as lines)"))
    }
}

fn check_header(path: &Path, number: u32) -> Result<(), RecordError> {
    let mut header = [0; HEADER_BYTES];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut header))
        .map_err(|error| RecordError::read(path, error))?;
    let [format, size] = [[header[4], header[5]], [header[6], header[7]]].map(u16::from_le_bytes);
    let segment = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if header[..4] != MAGIC {
        Err(RecordError::malformed(path, 1, "this is no segment of a history"))
    } else if format != FORMAT || usize::from(size) != RECORD_BYTES {
        let reason =
            format!("format {format} with {size} bytes a record, and this version reads {FORMAT} with {RECORD_BYTES}");
        Err(RecordError::malformed(path, 1, reason))
    } else if segment != number {
        Err(RecordError::malformed(
            path,
            1,
            format!("this is segment {segment}, under the name of {number}"),
        ))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::writer::{HistorySink, HistoryWriter};
    use super::super::{OpKind, Settled};
    use super::*;
    use crate::units::Nanos;

    fn operation(number: u64) -> Operation {
        Operation::new(OpKind::Pay, 1, Nanos(number), Nanos(number + 1), Settled::Ok)
    }

    fn all(history: &History) -> Vec<(u64, u64)> {
        let mut seen = Vec::new();
        history.scan(|index, op| seen.push((index, op.invoked.0))).unwrap();
        seen
    }

    #[test]
    fn records_come_back_in_order_across_segments_and_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let sink = HistorySink::new(HistoryWriter::with_segments_of(dir.path(), 3).unwrap());
        let (anna, bert) = (sink.name("anna"), sink.name("bert"));
        assert_eq!(sink.name("anna"), anna);
        for number in 0..8 {
            sink.record(&operation(100 + number));
        }
        sink.flush().unwrap();

        let history = History::open(dir.path()).unwrap();
        assert_eq!(history.len(), 8);
        assert_eq!(
            all(&history),
            (0..8).map(|number| (number, 100 + number)).collect::<Vec<_>>()
        );
        assert_eq!(history.get(7).unwrap().unwrap(), operation(107));
        assert_eq!(history.get(8).unwrap(), None);
        assert_eq!(history.names().text(bert), Some("bert"));
        assert_eq!(history.names().text(Name::NONE), None);
    }

    #[test]
    fn a_segment_cut_anywhere_keeps_its_whole_records() {
        let dir = tempfile::tempdir().unwrap();
        let sink = HistorySink::new(HistoryWriter::create(dir.path()).unwrap());
        (0..3).for_each(|number| sink.record(&operation(number)));
        sink.flush().unwrap();
        let path = dir.path().join(segment_file(0));
        let bytes = fs::read(&path).unwrap();
        for length in 0..=bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let history = History::open(dir.path()).unwrap();
            let whole = length.saturating_sub(HEADER_BYTES) / RECORD_BYTES;
            assert_eq!(all(&history).len(), whole);
            let ends_well = length >= HEADER_BYTES && (length - HEADER_BYTES).is_multiple_of(RECORD_BYTES);
            assert_eq!(
                history.notes().is_empty(),
                ends_well,
                "cut at {length}: {:?}",
                history.notes()
            );
        }
    }

    #[test]
    fn a_foreign_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(segment_file(0)), [7; 200]).unwrap();
        let error = History::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("history.000.bin"), "{error}");
    }
}
