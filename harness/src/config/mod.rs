//! Configuration files, raw YAML → validated; nothing unknown is let pass, and every fault of a file is named at once.
//!
//! What does *not* belong here: defaults that depend on the machine, and anything that reads a file or a clock.

mod place;
pub mod scalars;
pub mod scenario;
mod scenario_yaml;
pub mod shipped;
pub mod strict;

pub use scenario::{ArrivalKind, Data, JourneyKind, ScenarioConfig, Stage};
pub use strict::ConfigError;
