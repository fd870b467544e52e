//! The reservation service: a minimal concert booking system, and the system under test.
//!
//! # Code map (in reading order)
//!
//! | module | what lives there |
//! |---|---|
//! | [`domain`] | rules that take `now` and do no I/O: ids, money, seats, reservations, admission |
//! | [`ports`] | traits with two real implementations each: cache, waiting queue, clock |
//! | [`config`] | the switches, read from file, environment and flags, validated at once |
//! | [`metrics`] | every metric name, label and bucket |
//! | [`trace`] | the W3C trace context; which request a task works for; spans and their way to a collector |
//! | [`store`] | the database, MySQL or SQLite; each method is one transaction |
//! | [`usecase`] | what a user can do; failures know no HTTP |
//! | [`adapters`] | Redis, in-process and SQL implementations of the ports; locks; breaker |
//! | [`messaging`] | outbox relay, Kafka producer, consumer with inbox, dead letters |
//! | [`http`] | one file a resource; one file maps errors to problem details |
//! | [`admin`] | `migrate`, `seed`, `index`, `audit`, `dlt`: work on the data outside requests |
//! | [`telemetry`] | the subscriber, the request log, and what must not be in it |
//! | [`app`] | the only place where adapters are built; start and graceful shutdown |
//! | [`cli`] | the command line, shared by this crate's binary and by `soundcheck service` |
//!
//! **Invariants.** Imports go `domain ← ports ← usecase ← http, messaging ← app`; `store` and `adapters` know
//! `domain` and `ports`, never `http`. The wall clock is read in [`adapters::clock`] alone. No rule asks the database
//! or Redis for the time.

pub mod adapters;
pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod http;
pub mod messaging;
pub mod metrics;
pub mod ports;
pub mod store;
pub mod telemetry;
pub mod trace;
pub mod usecase;
