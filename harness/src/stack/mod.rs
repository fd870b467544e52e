//! Where MySQL, Redis and Kafka come from: containers, servers that run already, or stand-ins inside this process.
//!
//! [`open()`] chooses and starts; [`Stack`] is what the rest of the tool sees. What a stack holds belongs to the service:
//! nothing here knows its tables.

pub mod component;
pub mod contract;
pub mod error;
pub mod images;
pub mod open;
pub mod options;
pub mod ports;
pub mod probe;

pub mod containers;
pub mod embedded;
pub mod external;

mod namespace;
mod pull;
mod recipes;

pub use component::{Component, Endpoints, EngineInfo, StackKind};
pub use contract::{ContainerHandle, Stack};
pub use error::StackError;
pub use namespace::NamespaceGuard;
pub use open::open;
pub use options::{Observer, StackChoice, StackEvent, StackOptions};
