//! The ledger against the real service: a correct one raises no alarm, and each of its defects that can break the books
//! is caught by the invariant that drills.md names. On SQLite with the mock broker, and on MySQL, Redis and Kafka.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

#[path = "../support/mod.rs"]
mod support;

mod clean;
mod defects;

/// What needs containers.
const IN_CONTAINERS: &[&str] = &[
    "clean::ten_runs_without_a_defect_raise_no_alarm_on_containers",
    "defects::on_containers",
];
