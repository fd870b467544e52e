//! The ledger against the real service: a correct one raises no alarm, and each of its defects that can break the books
//! is caught by the invariant that drills.md names. On SQLite and the mock broker, so that it runs anywhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod clean;
mod defects;
mod rehearsal;
