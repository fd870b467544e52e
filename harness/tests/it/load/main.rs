//! The load engine against a server whose truth is known: what it offered, what users felt, what became of each arrival.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod accounting;
mod closed;
mod feeders;
mod history;
mod oracle;
mod outcomes;
mod run;
mod service;
mod stub;
