//! The service under test, as a process that we start or as a URL that somebody else keeps.
//!
//! The harness knows the service by its command line, its HTTP and its `/metrics` alone: any build of it will do.

pub mod process;
pub mod program;
pub mod restartable;
pub mod usage;

pub use process::{Ready, RunningService};
pub use program::{Program, SeedSpec, ServiceConfig, TargetError};
pub use restartable::Restartable;
pub use usage::Usage;
