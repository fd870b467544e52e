//! The service over real HTTP on SQLite. Those on MySQL, Redis and Kafka are the harness's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
mod bad_input;
mod booking;
mod mutants;
mod operation;
mod queue;
pub mod scenarios;
