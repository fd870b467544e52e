//! SQLite's write lock, held by somebody who is not the service.

use std::str::FromStr;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::time::Instant;

use super::contract::{ASK_EVERY, Fault, FaultError, Injected, WORKS_WITHIN};
use crate::watchdog::Watchdog;

/// The service's own writes come first: one of them may take this long.
const WAIT_FOR_WRITERS: Duration = Duration::from_secs(5);

/// Holds the write lock of one database file. It falls with the process that holds it.
#[derive(Clone, Debug)]
pub struct SqliteLock {
    /// `sqlite://PATH`.
    pub url: String,
}

#[derive(Debug)]
struct Locked(SqliteConnection);

impl SqliteLock {
    async fn open(&self) -> sqlx::Result<SqliteConnection> {
        let options = SqliteConnectOptions::from_str(&self.url)?;
        options
            .busy_timeout(WAIT_FOR_WRITERS)
            .disable_statement_logging()
            .connect()
            .await
    }

    /// Takes the lock and gives it back.
    async fn can_write(&self) -> sqlx::Result<()> {
        let mut connection = self.open().await?;
        lock(&mut connection).await?;
        unlock(connection).await
    }
}

/// With a write-ahead log readers go on, whichever the lock; without one they stop as well.
async fn lock(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("BEGIN EXCLUSIVE").execute(connection).await.map(drop)
}

async fn unlock(mut connection: SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("ROLLBACK").execute(&mut connection).await?;
    connection.close().await
}

impl Fault for SqliteLock {
    fn target(&self) -> String {
        "SQLite's write lock".to_owned()
    }

    fn inject<'a>(&'a self, _watchdog: &'a Watchdog) -> BoxFuture<'a, Result<Box<dyn Injected>, FaultError>> {
        Box::pin(async {
            let take = async {
                let mut connection = self.open().await?;
                lock(&mut connection).await?;
                Ok(connection)
            };
            let connection = take
                .await
                .map_err(|source| FaultError::Database { what: "lock", source })?;
            Ok(Box::new(Locked(connection)) as Box<dyn Injected>)
        })
    }

    fn verify(&self) -> BoxFuture<'_, Result<(), FaultError>> {
        Box::pin(async {
            let deadline = Instant::now() + WORKS_WITHIN;
            loop {
                match self.can_write().await {
                    Ok(()) => return Ok(()),
                    Err(error) if Instant::now() >= deadline => {
                        return Err(FaultError::StillBroken {
                            target: self.target(),
                            source: Some(error.into()),
                        });
                    }
                    Err(_busy) => tokio::time::sleep(ASK_EVERY).await,
                }
            }
        })
    }
}

impl Injected for Locked {
    fn heal(self: Box<Self>) -> BoxFuture<'static, Result<(), FaultError>> {
        Box::pin(async {
            unlock(self.0)
                .await
                .map_err(|source| FaultError::Database { what: "unlock", source })
        })
    }
}
