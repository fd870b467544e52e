//! Reports from the document to the bytes: snapshots of each figure and each renderer, and what must hold for any report.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod figures;
mod renderers;
mod samples;
