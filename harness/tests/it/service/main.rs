//! What must hold of the service on MySQL and Redis: the scenarios of its own tests, on the real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../../service/tests/it/scenarios/mod.rs"]
pub mod scenarios;
#[path = "../support/mod.rs"]
mod support;

mod app;
mod booking;
mod data;
mod queue;
