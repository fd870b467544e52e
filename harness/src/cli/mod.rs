//! The command line: one file a subcommand. [`args`] says what can be typed, [`dispatch`] runs it, [`exit`] says how
//! the process ends. No subcommand decides what is measured or how it is judged.

pub mod args;
mod classify;
pub mod dispatch;
pub mod exit;
pub mod interrupt;
mod live_page;
mod live_text;
pub mod out_folder;
pub mod progress;
mod scratch;
pub mod stack_args;
mod stderr;
pub mod stdout;

pub mod load;
pub mod report;
pub mod run;

mod asking;
mod command_line;
mod drawing;
mod ending;
mod export_file;
mod gone;
mod making;
mod prometheus;
mod push;
mod session;
mod steps;
mod traces;

pub mod export;
pub mod render;
pub mod verify;

pub mod up;

pub mod down;

pub mod dashboards;

pub mod doctor;
pub mod images;

pub mod dlt;
pub mod service;
