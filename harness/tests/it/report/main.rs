//! `soundcheck report`, as people call it: what its reports hold, how it ends when it is asked to, and what it said about
//! its time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

// Half of it is used here.
#[path = "../../../../service/tests/it/scenarios/collector.rs"]
pub mod collector;
#[path = "../support/containers.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod containers;
#[path = "../support/tool.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod tool;

mod contents;
mod ends;
mod evidence;
mod steps;

use tokio::sync::Mutex;

/// Held while something is measured: two at once on two cores would measure each other.
static MEASURING: Mutex<()> = Mutex::const_new(());
