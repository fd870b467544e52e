//! Every fault on real parts: it breaks what it says, it heals, and the heal is verified.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each binary uses what it needs")]
#[path = "../support/containers.rs"]
mod containers;

mod edges;
mod embedded;
mod mysql;
mod servers;
mod service;

use std::path::{Path, PathBuf};
use std::time::Duration;

use soundcheck::fault::Fault;
use soundcheck::stack::{Component, StackChoice, StackOptions};
use soundcheck::watchdog::Watchdog;

/// Longer than anything here takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);
/// How long a broken component is asked before it counts as broken.
const SHORTLY: Duration = Duration::from_millis(500);

fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_soundcheck"))
}

/// Options that start the real tool as the watchdog: this binary is none.
fn options(choice: StackChoice, components: &[Component]) -> StackOptions {
    StackOptions {
        components: components.to_vec(),
        program: PathBuf::from(tool()),
        ..StackOptions::from_env(choice).unwrap()
    }
}

/// Breaks it, sees that `is_broken`, heals, and has the fault itself verify that.
async fn check(fault: &dyn Fault, is_broken: impl AsyncFnOnce() -> bool) {
    let watchdog = Watchdog::start(tool()).unwrap();
    let injected = fault.inject(&watchdog).await.unwrap();
    let is_broken = is_broken().await;
    injected.heal().await.unwrap();
    fault.verify().await.unwrap();
    assert!(is_broken, "{} went on working", fault.target());
}
