//! Undoes what a run did to the machine when the run dies without undoing it: on SIGKILL as well.
//!
//! A child process holds the undo list. Its standard input is a pipe whose other end the run holds; when the run ends,
//! however it does, the pipe closes and the child works off what is still on the list, latest first.
//! Orderly ends do not need it: every guard heals by itself and takes its entry off the list.

pub mod child;
pub mod handle;
pub mod undo;

pub use handle::{Entry, Watchdog, WatchdogError};
pub use undo::Undo;
