//! One file a kind of report: from a recording, and nothing else, to a document.

mod cache;
mod choose;
mod common;
mod consistency;
mod context;
mod costs;
mod evidence;
mod incident;
mod index;
pub mod judgement;
#[cfg(test)]
mod judgement_tests;
pub mod over_time;
pub mod overview;
mod run;
mod slowest;
mod ways;

#[cfg(test)]
pub(crate) mod fixture;

pub use choose::{KindError, document, of_run};

use choose::blank;
