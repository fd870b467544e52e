//! Stacks on real servers: each kind opens, answers and is gone when closed; what is not available says so clearly.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each binary uses what it needs")]
#[path = "../support/containers.rs"]
mod containers;
mod doctor;
mod embedded;
mod ports_in_use;
mod pulls;
mod refusals;
mod servers;
mod stand_ins;

use std::path::PathBuf;

use soundcheck::stack::{Component, StackChoice, StackOptions};

/// Options that start the real tool as the watchdog: this binary is none.
fn options(choice: StackChoice, components: &[Component]) -> StackOptions {
    StackOptions {
        components: components.to_vec(),
        program: PathBuf::from(env!("CARGO_BIN_EXE_soundcheck")),
        ..StackOptions::from_env(choice).unwrap()
    }
}
