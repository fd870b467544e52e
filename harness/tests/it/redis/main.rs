//! The adapters of Redis on a real server, which these tests share.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod cache;
mod lock;
mod queue;
mod queue_defects;
mod queue_model;

use std::sync::{Arc, Weak};

use support::redis_server::RedisServer;
use tokio::sync::Mutex;

static SERVER: Mutex<Weak<RedisServer>> = Mutex::const_new(Weak::new());

/// The server of this binary, which ends with the last test that holds it. Each test has a namespace of its own.
async fn server() -> Option<Arc<RedisServer>> {
    let mut shared = SERVER.lock().await;
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(RedisServer::start().await?);
    *shared = Arc::downgrade(&server);
    Some(server)
}
