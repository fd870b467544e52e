//! What production loads, held to the real tools that load it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod drawing;
mod rules;
