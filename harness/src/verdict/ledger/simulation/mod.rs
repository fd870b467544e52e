//! A booking service in memory, correct unless told otherwise, and clients that lose answers: histories and final
//! states on which the ledger can be tried. Effects happen at one moment inside each operation's interval.

mod client;
mod run;
mod service;

pub(super) use run::{Evidence, Size, ZERO_MS, simulate};
pub(super) use service::Defect;
