//! Events over a real broker, with MySQL and Redis beside it: stopped and started again, poisoned, shared.
//!
//! In a binary of its own, since it stops the broker; its tests take turns.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../../service/tests/it/scenarios/mod.rs"]
pub mod scenarios;
#[path = "../support/mod.rs"]
mod support;

mod dead_letters;
mod outage;
mod sharing;
mod traces;
mod world;
