//! The command line: one file a subcommand. [`args`] says what can be typed, [`dispatch`] runs it, [`exit`] says how
//! the process ends. No subcommand decides what is measured or how it is judged.

pub mod args;
pub mod dispatch;
pub mod exit;

pub mod dlt;
pub mod images;
pub mod service;
pub mod verify;
