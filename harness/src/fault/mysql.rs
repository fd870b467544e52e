//! Rows of MySQL that somebody who is not the service holds locked.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, MySqlConnection};
use tokio::time::Instant;

use super::contract::{ASK_EVERY, Fault, FaultError, Injected, WORKS_WITHIN};
use crate::watchdog::Watchdog;

/// Locks the first rows of a table, in the order of its primary key, until it heals. The server gives them free when
/// the connection ends, however it ends.
#[derive(Debug)]
pub struct MySqlRowLock {
    /// An administrator's URL, without a schema.
    pub url: String,
    pub schema: String,
    pub table: String,
    pub n_rows: u32,
    /// The number of the connection that holds the rows; 0 before there is one.
    holder: AtomicU64,
}

#[derive(Debug)]
struct Locked(MySqlConnection);

impl MySqlRowLock {
    /// # Errors
    /// A name cannot stand in a statement.
    pub fn new(url: &str, schema: &str, table: &str, n_rows: u32) -> Result<Self, FaultError> {
        for name in [schema, table] {
            let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_plain {
                return Err(FaultError::Name(name.to_owned()));
            }
        }
        Ok(Self {
            url: url.to_owned(),
            schema: schema.to_owned(),
            table: table.to_owned(),
            n_rows,
            holder: AtomicU64::new(0),
        })
    }

    /// How many others wait for a lock right now, anywhere on the server: the proof that the fault bites.
    ///
    /// # Errors
    /// The server does not answer, or does not let us see.
    pub async fn n_waiting(&self) -> Result<u64, FaultError> {
        let ask = async {
            let mut connection = self.connect().await?;
            let waits = "SELECT COUNT(*) FROM performance_schema.data_lock_waits";
            let n_waiting: i64 = sqlx::query_scalar(waits).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(n_waiting.unsigned_abs())
        };
        ask.await.map_err(|source| FaultError::Database {
            what: "ask for lock waits of",
            source,
        })
    }

    async fn connect(&self) -> sqlx::Result<MySqlConnection> {
        MySqlConnectOptions::from_str(&self.url)?
            .disable_statement_logging()
            .connect()
            .await
    }

    async fn lock(&self) -> Result<MySqlConnection, FaultError> {
        let failed = |source| FaultError::Database {
            what: "lock rows of",
            source,
        };
        let mut connection = self.connect().await.map_err(failed)?;
        let id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()")
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        self.holder.store(id, Ordering::Release);
        sqlx::raw_sql("START TRANSACTION")
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        let Self {
            schema, table, n_rows, ..
        } = self;
        let statement = format!("SELECT 1 FROM `{schema}`.`{table}` FORCE INDEX (PRIMARY) LIMIT {n_rows} FOR UPDATE");
        let locked = sqlx::query(AssertSqlSafe(statement))
            .fetch_all(&mut connection)
            .await
            .map_err(failed)?;
        if locked.len() < *n_rows as usize {
            let table = format!("{schema}.{table}");
            return Err(FaultError::TooFewRows {
                table,
                found: locked.len(),
                wanted: *n_rows,
            });
        }
        Ok(connection)
    }

    /// Whether the connection that held rows holds any still.
    async fn is_held(&self) -> sqlx::Result<bool> {
        let mut connection = self.connect().await?;
        let n_held: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM performance_schema.data_locks AS held \
             JOIN performance_schema.threads AS thread ON thread.THREAD_ID = held.THREAD_ID \
             WHERE thread.PROCESSLIST_ID = ?",
        )
        .bind(self.holder.load(Ordering::Acquire))
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok(n_held > 0)
    }
}

impl Fault for MySqlRowLock {
    fn target(&self) -> String {
        format!("{} rows of {}.{}", self.n_rows, self.schema, self.table)
    }

    fn inject<'a>(&'a self, _watchdog: &'a Watchdog) -> BoxFuture<'a, Result<Box<dyn Injected>, FaultError>> {
        Box::pin(async { Ok(Box::new(Locked(self.lock().await?)) as Box<dyn Injected>) })
    }

    fn verify(&self) -> BoxFuture<'_, Result<(), FaultError>> {
        Box::pin(async {
            let deadline = Instant::now() + WORKS_WITHIN;
            loop {
                let held = self.is_held().await;
                if matches!(held, Ok(false)) {
                    return Ok(());
                }
                if Instant::now() >= deadline {
                    let source = held.err().map(Into::into);
                    return Err(FaultError::StillBroken {
                        target: self.target(),
                        source,
                    });
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        })
    }
}

impl Injected for Locked {
    fn heal(mut self: Box<Self>) -> BoxFuture<'static, Result<(), FaultError>> {
        Box::pin(async move {
            let failed = |source| FaultError::Database {
                what: "unlock rows of",
                source,
            };
            sqlx::raw_sql("ROLLBACK").execute(&mut self.0).await.map_err(failed)?;
            self.0.close().await.map_err(failed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_the_statement_is_refused() {
        for (schema, table) in [("a`; DROP", "seats"), ("a", "seats WHERE 1"), ("", "seats")] {
            assert!(matches!(
                MySqlRowLock::new("mysql://", schema, table, 1),
                Err(FaultError::Name(_))
            ));
        }
    }
}
