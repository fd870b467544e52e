//! Writes the history. Clients must not stop for a full disk: the first failure is kept, and the next flush returns it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::operation::{Name, Operation, RECORD_BYTES};
use super::{FORMAT, HEADER_BYTES, MAGIC, NAMES_FILE, SEGMENT_RECORDS, segment_file};
use crate::recording::appender::Appender;
use crate::recording::error::RecordError;

/// The handle that clients write through; cloning it is cheap.
#[derive(Clone, Debug)]
pub struct HistorySink(Arc<Mutex<HistoryWriter>>);

impl HistorySink {
    pub(crate) fn new(writer: HistoryWriter) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// The number of a user, seat or schedule. Remember it where the id is used often.
    pub fn name(&self, id: &str) -> Name {
        self.lock().name(id)
    }

    /// Adds one operation that has returned, or has been given up. Whatever was sent must come here, at the latest when
    /// the run ends and as [`super::Settled::Info`]: a release that is missing makes the next hold look like a theft.
    pub fn record(&self, operation: &Operation) {
        self.lock().record(operation);
    }

    /// How many operations were added.
    pub fn recorded(&self) -> u64 {
        self.lock().recorded
    }

    pub(crate) fn flush(&self) -> Result<(), RecordError> {
        self.lock().flush()
    }

    pub(crate) fn sync(&self) -> Result<(), RecordError> {
        self.lock().sync()
    }

    fn lock(&self) -> MutexGuard<'_, HistoryWriter> {
        // A client that panicked in here can have left at worst a torn record, which the reader cuts off.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct HistoryWriter {
    dir: PathBuf,
    names: HashMap<Box<str>, Name>,
    names_file: Appender,
    segment: u32,
    in_segment: u64,
    segment_records: u64,
    segment_file: Appender,
    recorded: u64,
    failure: Option<RecordError>,
}

impl HistoryWriter {
    pub(crate) fn create(dir: &Path) -> Result<Self, RecordError> {
        Self::with_segments_of(dir, SEGMENT_RECORDS)
    }

    pub(super) fn with_segments_of(dir: &Path, segment_records: u64) -> Result<Self, RecordError> {
        Ok(Self {
            dir: dir.to_owned(),
            names: HashMap::new(),
            names_file: Appender::create(dir.join(NAMES_FILE))?,
            segment: 0,
            in_segment: 0,
            segment_records,
            segment_file: open_segment(dir, 0)?,
            recorded: 0,
            failure: None,
        })
    }

    pub(super) fn name(&mut self, id: &str) -> Name {
        if let Some(&name) = self.names.get(id) {
            return name;
        }
        let name = Name(u32::try_from(self.names.len() + 1).unwrap_or(u32::MAX));
        // A line feed inside an id would shift every later number.
        let line = id.replace(['\n', '\r'], " ") + "\n";
        let written = self.names_file.append(line.as_bytes());
        self.keep(written);
        self.names.insert(id.into(), name);
        name
    }

    pub(super) fn record(&mut self, operation: &Operation) {
        let written = self.write(operation);
        self.keep(written);
        self.recorded += 1;
    }

    fn write(&mut self, operation: &Operation) -> Result<(), RecordError> {
        if self.in_segment == self.segment_records {
            self.flush_files()?;
            match open_segment(&self.dir, self.segment + 1) {
                Ok(next) => self.segment_file = next,
                Err(error) => {
                    self.segment_file.give_up();
                    return Err(error);
                }
            }
            self.segment += 1;
            self.in_segment = 0;
        }
        self.segment_file.append(&operation.encode())?;
        self.in_segment += 1;
        Ok(())
    }

    fn keep(&mut self, written: Result<(), RecordError>) {
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }

    /// Names first: a record must never reach the disk before the names that it uses.
    fn flush_files(&mut self) -> Result<(), RecordError> {
        self.names_file.flush()?;
        self.segment_file.flush()
    }

    pub(super) fn flush(&mut self) -> Result<(), RecordError> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.flush_files(),
        }
    }

    fn sync(&mut self) -> Result<(), RecordError> {
        self.flush()?;
        self.names_file.sync()?;
        self.segment_file.sync()
    }
}

fn open_segment(dir: &Path, segment: u32) -> Result<Appender, RecordError> {
    let mut file = Appender::create(dir.join(segment_file(segment)))?;
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&FORMAT.to_le_bytes());
    header[6..8].copy_from_slice(&(RECORD_BYTES as u16).to_le_bytes());
    header[8..12].copy_from_slice(&segment.to_le_bytes());
    file.append(&header)?;
    file.flush()?;
    Ok(file)
}
