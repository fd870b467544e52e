//! Scraping, against real servers: HTTP over a socket, the broker's wire protocol, MySQL and Redis in containers.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests themselves")]

mod http;
mod kafka;
mod polling;
mod recorded;
