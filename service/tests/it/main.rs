//! The service over real HTTP on SQLite, and its events over librdkafka's mock cluster. What needs real servers is the
//! harness's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
mod bad_input;
mod booking;
mod idle;
mod layering;
mod locked;
mod logs;
mod measured;
mod messaging;
mod mutants;
mod openapi;
mod operation;
mod oversold;
mod process;
mod queue;
pub mod scenarios;
mod spawning;
mod traces;
