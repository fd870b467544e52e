//! The ledger against the real service: a correct one raises no alarm, and each of its defects that can break the books
//! is caught by the invariant that drills.md names. On SQLite with the mock broker, and on MySQL, Redis and Kafka.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

#[path = "../support/mod.rs"]
mod support;

mod clean;
mod defects;
