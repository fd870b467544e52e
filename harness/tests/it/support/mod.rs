//! Real servers for the test binaries of this folder. Each binary takes in the files it needs by `#[path]`.
//!
//! Without a container daemon, or without the image, a test that needs one passes without checking anything; the
//! binary names them once. `SOUNDCHECK_REQUIRE=containers` turns that into a failure.

#![allow(dead_code, reason = "each binary uses what it needs")]

pub(crate) mod containers;
pub(crate) mod kafka_server;
pub(crate) mod mysql_server;
pub(crate) mod prometheus_server;
pub(crate) mod redis_server;
pub(crate) mod rehearsal;
pub(crate) mod stage;
