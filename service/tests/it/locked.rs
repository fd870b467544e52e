//! A database that somebody else is writing to: readers go on, and every writer waits.

use std::path::Path;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// Holds the writer's lock of a database file until it is released or dropped.
pub(crate) struct Locked(SqliteConnection);

impl Locked {
    pub(crate) async fn new(database: impl AsRef<Path>) -> Self {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
        Self(connection)
    }

    pub(crate) async fn release(mut self) {
        sqlx::query("ROLLBACK").execute(&mut self.0).await.unwrap();
    }
}
