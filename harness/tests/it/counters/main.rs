//! The defects that break no book: each switched on alone in a short recorded run of the real service, and what `verify`
//! says of the recording; beside it the same run without the defect, which must raise no alarm. Caches and seat maps on
//! SQLite, so that they run anywhere; what needs Redis or MySQL in containers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

#[path = "../support/mod.rs"]
mod support;

mod cache;
mod index;
mod queue;
mod trial;
