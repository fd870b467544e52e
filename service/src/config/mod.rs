//! Configuration: the switches, read from file, environment and flags, validated at once.
//!
//! - [`source`] gathers `key = text` pairs and remembers where each came from, for messages.
//! - [`switches`] has an enum for every performance decision: each is an experiment in a report.
//! - [`keys`] lists every key with its default and meaning.
//! - [`read`] turns the pairs into a [`Config`], by way of `reader`, and reports every error at once.
//! - [`settings`] is what the rest of the service sees.
//!
//! No adapter is built here, and nothing is read after the start.

pub mod keys;
pub mod read;
mod reader;
pub mod settings;
pub mod source;
pub mod switches;

pub use settings::{Cache, Config, Database, Events, Logging, Queue, Resilience, Secret, Tracing};
pub use source::{ConfigError, Source};
pub use switches::{CacheMode, EventsMode, Locking, LogTarget, Mutant, Mutants, QueueMode, Stampede};
