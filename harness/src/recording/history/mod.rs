//! The clients' operation history: who asked for what when, and what came of it. The ledger judges it.
//!
//! Records have a fixed size and stand in segment files, so that a torn tail costs one record and any record can be
//! found by its number. Users, seats and schedules are numbers that `history.names` explains; a reservation, token
//! or charge keeps its whole id, since there is one an operation and a person will look for it in the service's log.

mod operation;
mod reader;
mod writer;

pub use operation::{Code, IdemKey, Name, OpKind, Operation, Settled, State, Uid};
pub use reader::{History, Names};
pub use writer::HistorySink;
pub(crate) use writer::HistoryWriter;

/// First bytes of each segment.
const MAGIC: [u8; 4] = *b"SCHI";
/// Raised whenever a record's bytes change their meaning.
const FORMAT: u16 = 1;
/// Magic, format, record size, number of the segment, reserved.
const HEADER_BYTES: usize = 16;
/// Records in a full segment: 80 MB each, which any editor of a soak can fold one by one.
const SEGMENT_RECORDS: u64 = 1_000_000;

pub(crate) const NAMES_FILE: &str = "history.names";

/// The file of one segment.
pub(crate) fn segment_file(segment: u32) -> String {
    format!("history.{segment:03}.bin")
}
