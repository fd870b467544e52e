//! Scraping, against real servers: HTTP over a socket, the broker's wire protocol, SQLite's file, MySQL and Redis in
//! containers; and what was scraped, pushed into a Prometheus.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod http;
mod kafka;
mod mysql;
mod polling;
mod recorded;
mod redis;
mod remote_write;
mod sqlite;
mod wall_clock;
