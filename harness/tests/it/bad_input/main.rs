//! Bad input to the tool itself: a clear error and the exit code that belongs to it, nothing half-written, nothing left
//! behind. Each test runs the real executable, in a folder of its own; bad input to the service over HTTP is the
//! service's own test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each binary uses what it needs")]
#[path = "../support/containers.rs"]
mod containers;
mod disk;
mod out_folder;
mod ports;
mod recordings;
mod servers;
mod space;
mod tool;
mod usage;
mod yaml;

/// What needs containers.
const IN_CONTAINERS: &[&str] = &[
    "servers::an_image_that_is_not_to_be_had_is_named",
    "space::containers_are_removed_when_the_disk_of_their_recording_is_full",
];
