//! Where MySQL, Redis and Kafka come from.

pub mod builder;
pub mod daemon;
