//! `soundcheck run`, as people call it: a scenario that ships or lies in a file, its report, and its end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

// Half of it is used here.
#[path = "../../../../service/tests/it/scenarios/collector.rs"]
pub mod collector;
#[path = "../support/tool.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod tool;

mod ran;

mod busy;
mod ends;
mod examples;
mod json;
mod objectives;
mod shipped;
mod sockets;
mod terminal;
mod usage;
mod whole;

use std::process::{Command, Output, Stdio};

const EMBEDDED: [&str; 2] = ["--stack", "embedded"];

fn soundcheck(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soundcheck"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}
