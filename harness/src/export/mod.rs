//! A recording for other people's tools: CSV for notebooks and spreadsheets, JUnit for CI, Prometheus for Grafana.
//!
//! Everything here reads a recording and nothing else; that what [`remote_write`] makes goes over the network is the
//! business of `cli`. Nothing is judged here a second time: verdicts are those of the report.
//!
//! Not here: a file in the OpenMetrics text format. No crate that is kept and free to use writes the times of its samples
//! (the official client has none, one has another licence, one drops the zeros of a millisecond), and without their times
//! samples of the past are none. Remote write carries them.

pub mod error;

mod frames;
mod names;

pub mod csv;

mod cases;
pub mod junit;

pub mod remote_write;
mod samples;

pub use error::ExportError;
