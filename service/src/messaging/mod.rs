//! From the committed payment to its effect, over Kafka.

pub mod client;
pub mod dead_letter;
pub mod lease;
pub mod producer;
pub mod record;
pub mod retry;
pub mod topics;
