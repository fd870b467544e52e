//! From the committed payment to its effect, over Kafka.
//!
//! - [`start`] builds what the configuration asks for, and stops it in order.
//! - [`relay`] shares the outbox's shards between instances by [`lease`]s; a pump publishes each in order.
//! - [`direct`] sends without an outbox, for comparison.
//! - [`consumer`] polls; lanes keep the order of partitions, and the handler applies, retries or gives up a record.
//! - [`dead_letter`] lists and replays what was given up.
//! - [`record`], [`topics`], [`retry`], [`producer`] and [`client`] are what these share.
//!
//! HTTP and the rules of booking are not known here. What an event says is [`crate::domain::event`]'s business, the
//! statements are in [`crate::store::outbox`] and [`crate::store::inbox`].

pub mod client;
pub mod consumer;
pub mod dead_letter;
pub mod direct;
mod failpoint;
mod handler;
mod lanes;
pub mod lease;
pub mod producer;
mod pump;
pub mod record;
pub mod relay;
pub mod retry;
pub mod start;
pub mod topics;

pub use direct::DirectPublisher;
pub use relay::Waker;
pub use start::{Messaging, Publisher};
