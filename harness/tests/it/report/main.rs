//! `soundcheck report` as a person runs it, where nothing is installed: what it shows, how it ends, what it leaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/tool.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod tool;
