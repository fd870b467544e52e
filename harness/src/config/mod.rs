//! Configuration files, raw YAML → validated; nothing unknown is let pass, and every fault of a file is named at once.
//!
//! What does *not* belong here: defaults that depend on the machine, and anything that reads a file or a clock.

mod extends;
pub mod feeder;
mod feeder_csv;
#[cfg(test)]
mod feeder_tests;
mod feeder_yaml;
mod journey_name;
mod place;
pub mod scalars;
pub mod scenario;
mod scenario_yaml;
pub mod shipped;
mod stage_yaml;
pub mod strict;

pub use feeder::{Feeder, FeederSource, Order, Row};
pub use scenario::{ArrivalKind, Data, JourneyKind, ScenarioConfig, Stage};
pub use strict::ConfigError;
