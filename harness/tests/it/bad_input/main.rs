//! Bad input to the tool itself: a clear error and the exit code that belongs to it, nothing half-written, nothing left
//! behind. Each test runs the real executable, in a folder of its own; bad input to the service over HTTP is the
//! service's own test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each binary uses what it needs")]
#[path = "../support/containers.rs"]
mod containers;
mod dashboards;
mod disk;
mod exports;
mod out_folder;
mod ports;
mod recordings;
mod scenario;
mod servers;
mod space;
mod tool;
mod unheard;
mod usage;
mod yaml;
