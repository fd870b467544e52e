//! The waiting queue in tables of SQLite, for the embedded stack.
//!
//! A round (expire, then admit) and the operation behind it are one transaction of the single writer, so that any
//! number of instances may share the file. Asking where an admitted token stands, which every booking request does,
//! writes nothing unless a round has something to do.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::{Connection as _, SqliteConnection, SqlitePool};

use crate::config::{Mutant, Mutants};
use crate::domain::{QueueToken, Timestamp, TokenId, UserId};
use crate::ports::{QueueCounts, QueueTotals, Standing, Unavailable, WaitingQueue};
use crate::store::{Engine, Store, StoreError};

use super::redis_queue::QueueLimits;

const WAITING: i64 = 0;
const ACTIVE: i64 = 1;

/// A token's row: place, token, state, expiry.
type Row = (i64, i64, i64, i64);

/// The queue of one database.
#[derive(Debug)]
pub struct SqlQueue {
    store: Store,
    limits: QueueLimits,
    mutants: Mutants,
}

/// The queue's tables exist in SQLite alone; the configuration refuses `queue.mode: sql` elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("the sql queue needs SQLite")]
pub struct NotSqlite;

fn unavailable(error: StoreError) -> Unavailable {
    Unavailable {
        dependency: "database",
        source: Box::new(error),
    }
}

impl SqlQueue {
    /// The queue in the database of `store`.
    ///
    /// # Errors
    /// When that is not SQLite.
    pub fn new(store: Store, limits: QueueLimits, mutants: Mutants) -> Result<Self, NotSqlite> {
        match store.engine() {
            Engine::Sqlite { .. } => Ok(Self { store, limits, mutants }),
            Engine::MySql(_) => Err(NotSqlite),
        }
    }

    /// D15: what a careless service does when one of its instances stops. Nothing without the mutant.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn wipe_at_stop(&self) -> Result<(), Unavailable> {
        if !self.mutants.has(Mutant::D15) {
            return Ok(());
        }
        self.writing(|connection, _| {
            async move {
                sqlx::query("DELETE FROM queue_tokens").execute(connection).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    fn pools(&self) -> Result<(&SqlitePool, &SqlitePool), Unavailable> {
        match self.store.engine() {
            Engine::Sqlite { writer, reader } => Ok((writer, reader)),
            Engine::MySql(_) => Err(Unavailable {
                dependency: "database",
                source: Box::new(NotSqlite),
            }),
        }
    }

    /// Runs `operation` in a transaction of the writer, and commits.
    async fn writing<T>(
        &self,
        operation: impl for<'c> FnOnce(&'c mut SqliteConnection, &'c Self) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    ) -> Result<T, Unavailable> {
        let (writer, _) = self.pools()?;
        let mut acquired = self.store.acquire("writer", writer).await.map_err(unavailable)?;
        let call = self.store.begin("queue");
        let run = async {
            let mut transaction = acquired.begin_with("BEGIN IMMEDIATE").await?;
            let done = operation(&mut transaction, self).await?;
            transaction.commit().await?;
            Ok(done)
        };
        let done = run.await.map_err(|error: sqlx::Error| error.into());
        call.end(done).map_err(unavailable)
    }

    /// Lets expired tokens go and admits into free places.
    async fn round(&self, connection: &mut SqliteConnection, now: Timestamp) -> Result<QueueCounts, sqlx::Error> {
        let expired = if self.mutants.has(Mutant::D2) {
            // The wrong key: nobody has it.
            sqlx::query("DELETE FROM queue_tokens WHERE token = -1 AND expires_at_ms <= ?")
        } else {
            sqlx::query("DELETE FROM queue_tokens WHERE expires_at_ms <= ?")
        };
        let expired = expired
            .bind(now.unix_ms())
            .execute(&mut *connection)
            .await?
            .rows_affected();
        let (active, waiting) = count(connection).await?;
        let free = i64::from(self.limits.capacity) - active;
        let admitted = if self.mutants.has(Mutant::D11) {
            0
        } else if free > 0 && waiting > 0 {
            admit(connection, free, now.plus(self.limits.active_ttl)).await?
        } else if self.mutants.has(Mutant::D1) && waiting > 0 {
            // No free place, taken for the range that means all.
            admit(connection, waiting, now.plus(self.limits.active_ttl)).await?
        } else {
            0
        };
        if expired + admitted > 0 {
            sqlx::query("UPDATE queue_totals SET expired = expired + ?, admitted = admitted + ?")
                .bind(expired.cast_signed())
                .bind(admitted.cast_signed())
                .execute(connection)
                .await?;
        }
        let waiting = waiting.unsigned_abs().saturating_sub(admitted);
        Ok(QueueCounts {
            waiting,
            active: active.unsigned_abs() + admitted,
            admitted,
            expired,
        })
    }

    /// D11: who is admitted is read in one step and removed from the line in another, so that two rounds at once
    /// remove people whom neither admits. Nothing without the mutant.
    async fn admit_in_two_steps(&self, now: Timestamp) -> Result<(), Unavailable> {
        if !self.mutants.has(Mutant::D11) {
            return Ok(());
        }
        let (_, reader) = self.pools()?;
        let first: Vec<(i64, i64)> = async {
            let mut connection = reader.acquire().await?;
            let (active, _) = count(&mut connection).await?;
            sqlx::query_as("SELECT token, user_id FROM queue_tokens WHERE state = 0 ORDER BY place LIMIT ?")
                .bind((i64::from(self.limits.capacity) - active).max(0))
                .fetch_all(&mut *connection)
                .await
        }
        .await
        .map_err(|error: sqlx::Error| unavailable(error.into()))?;
        if first.is_empty() {
            return Ok(());
        }
        // Where two requests of a server would interleave by themselves, two tasks of one process need a nudge.
        tokio::task::yield_now().await;
        let until = now.plus(self.limits.active_ttl);
        self.writing(move |connection, _| {
            async move {
                sqlx::query(
                    "DELETE FROM queue_tokens WHERE place IN \
                     (SELECT place FROM queue_tokens WHERE state = 0 ORDER BY place LIMIT ?)",
                )
                .bind(i64::try_from(first.len()).unwrap_or(i64::MAX))
                .execute(&mut *connection)
                .await?;
                for (token, user) in first {
                    sqlx::query(
                        "INSERT OR REPLACE INTO queue_tokens (token, user_id, state, expires_at_ms) VALUES (?, ?, 1, ?)",
                    )
                    .bind(token)
                    .bind(user)
                    .bind(until.unix_ms())
                    .execute(&mut *connection)
                    .await?;
                    sqlx::query("UPDATE queue_totals SET admitted = admitted + 1")
                        .execute(&mut *connection)
                        .await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// The standing without a write, when no round is due and the place was asked for not long ago.
    async fn glance(&self, token: QueueToken, now: Timestamp) -> Result<Option<Standing>, Unavailable> {
        let (_, reader) = self.pools()?;
        let mut acquired = self.store.acquire("reader", reader).await.map_err(unavailable)?;
        let look = async {
            let due: Option<(i64,)> = sqlx::query_as(
                "SELECT 1 WHERE EXISTS (SELECT 1 FROM queue_tokens WHERE expires_at_ms <= ?) \
                 OR (EXISTS (SELECT 1 FROM queue_tokens WHERE state = 0) \
                 AND (SELECT COUNT(*) FROM queue_tokens WHERE state = 1) < ?)",
            )
            .bind(now.unix_ms())
            .bind(self.limits.capacity)
            .fetch_optional(&mut *acquired)
            .await?;
            if due.is_some() {
                return Ok(None);
            }
            let row = find(&mut acquired, token).await?;
            let is_fresh = |expires_at_ms: i64| {
                let left = Timestamp::from_unix_ms(expires_at_ms).since(now);
                left > self.limits.waiting_ttl.mul_f64(0.75)
            };
            match row {
                Some((_, _, WAITING, expires_at_ms)) if !is_fresh(expires_at_ms) => Ok(None),
                row => standing(&mut acquired, row).await.map(Some),
            }
        };
        look.await.map_err(|error: sqlx::Error| unavailable(error.into()))
    }
}

async fn count(connection: &mut SqliteConnection) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM queue_tokens WHERE state = 1), (SELECT COUNT(*) FROM queue_tokens WHERE state = 0)",
    )
    .fetch_one(connection)
    .await
}

async fn admit(connection: &mut SqliteConnection, most: i64, until: Timestamp) -> Result<u64, sqlx::Error> {
    let admitted = sqlx::query(
        "UPDATE queue_tokens SET state = 1, expires_at_ms = ? WHERE place IN \
         (SELECT place FROM queue_tokens WHERE state = 0 ORDER BY place LIMIT ?)",
    )
    .bind(until.unix_ms())
    .bind(most)
    .execute(connection)
    .await?;
    Ok(admitted.rows_affected())
}

async fn find(connection: &mut SqliteConnection, token: QueueToken) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as("SELECT place, token, state, expires_at_ms FROM queue_tokens WHERE token = ? AND user_id = ?")
        .bind(token.id.0.cast_signed())
        .bind(token.user.raw())
        .fetch_optional(connection)
        .await
}

async fn standing(connection: &mut SqliteConnection, row: Option<Row>) -> Result<Standing, sqlx::Error> {
    match row {
        None => Ok(Standing::Gone),
        Some((_, _, ACTIVE, expires_at_ms)) => Ok(Standing::Active {
            expires_at: Timestamp::from_unix_ms(expires_at_ms),
        }),
        Some((place, _, _, expires_at_ms)) => {
            let (ahead,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM queue_tokens WHERE state = 0 AND place < ?")
                .bind(place)
                .fetch_one(connection)
                .await?;
            let expires_at = Timestamp::from_unix_ms(expires_at_ms);
            Ok(Standing::Waiting {
                ahead: ahead.unsigned_abs(),
                expires_at,
            })
        }
    }
}

/// Keeps a waiting place alive; an admission ends when it ends.
async fn touch(
    connection: &mut SqliteConnection,
    row: Option<Row>,
    now: Timestamp,
    waiting_ttl: Duration,
) -> Result<Option<Row>, sqlx::Error> {
    let Some((place, token, WAITING, _)) = row else {
        return Ok(row);
    };
    let until_ms = now.plus(waiting_ttl).unix_ms();
    sqlx::query("UPDATE queue_tokens SET expires_at_ms = ? WHERE place = ?")
        .bind(until_ms)
        .bind(place)
        .execute(connection)
        .await?;
    Ok(Some((place, token, WAITING, until_ms)))
}

impl WaitingQueue for SqlQueue {
    fn enter(
        &self,
        user: UserId,
        candidate: TokenId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(TokenId, Standing), Unavailable>> {
        async move {
            let entered = self
                .writing(move |connection, this| {
                    async move {
                        this.round(connection, now).await?;
                        let taken = sqlx::query(
                            "INSERT INTO queue_tokens (token, user_id, state, expires_at_ms) VALUES (?, ?, 0, ?) \
                             ON CONFLICT (user_id) DO NOTHING",
                        )
                        .bind(candidate.0.cast_signed())
                        .bind(user.raw())
                        .bind(now.plus(this.limits.waiting_ttl).unix_ms())
                        .execute(&mut *connection)
                        .await?;
                        if taken.rows_affected() == 1 {
                            sqlx::query("UPDATE queue_totals SET entered = entered + 1")
                                .execute(&mut *connection)
                                .await?;
                            this.round(connection, now).await?;
                        }
                        let row: Row = sqlx::query_as(
                            "SELECT place, token, state, expires_at_ms FROM queue_tokens WHERE user_id = ?",
                        )
                        .bind(user.raw())
                        .fetch_one(&mut *connection)
                        .await?;
                        let token = TokenId(row.1.cast_unsigned());
                        let row = touch(connection, Some(row), now, this.limits.waiting_ttl).await?;
                        Ok((token, standing(connection, row).await?))
                    }
                    .boxed()
                })
                .await?;
            self.admit_in_two_steps(now).await?;
            Ok(entered)
        }
        .boxed()
    }

    fn standing(&self, token: QueueToken, now: Timestamp) -> BoxFuture<'_, Result<Standing, Unavailable>> {
        async move {
            self.admit_in_two_steps(now).await?;
            if let Some(seen) = self.glance(token, now).await? {
                return Ok(seen);
            }
            self.writing(move |connection, this| {
                async move {
                    this.round(connection, now).await?;
                    let row = find(connection, token).await?;
                    let row = touch(connection, row, now, this.limits.waiting_ttl).await?;
                    standing(connection, row).await
                }
                .boxed()
            })
            .await
        }
        .boxed()
    }

    fn leave(&self, token: QueueToken, now: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>> {
        async move {
            self.writing(move |connection, this| {
                async move {
                    let left = sqlx::query("DELETE FROM queue_tokens WHERE token = ? AND user_id = ?")
                        .bind(token.id.0.cast_signed())
                        .bind(token.user.raw())
                        .execute(&mut *connection)
                        .await?;
                    if left.rows_affected() == 1 {
                        sqlx::query("UPDATE queue_totals SET finished = finished + 1")
                            .execute(&mut *connection)
                            .await?;
                    }
                    this.round(connection, now).await?;
                    Ok(left.rows_affected() == 1)
                }
                .boxed()
            })
            .await
        }
        .boxed()
    }

    fn tick(&self, now: Timestamp) -> BoxFuture<'_, Result<QueueCounts, Unavailable>> {
        async move {
            self.admit_in_two_steps(now).await?;
            self.writing(move |connection, this| async move { this.round(connection, now).await }.boxed())
                .await
        }
        .boxed()
    }

    fn totals(&self) -> BoxFuture<'_, Result<QueueTotals, Unavailable>> {
        async move {
            let (_, reader) = self.pools()?;
            let mut acquired = self.store.acquire("reader", reader).await.map_err(unavailable)?;
            let (entered, admitted, left, expired): (i64, i64, i64, i64) =
                sqlx::query_as("SELECT entered, admitted, finished, expired FROM queue_totals")
                    .fetch_one(&mut *acquired)
                    .await
                    .map_err(|error| unavailable(error.into()))?;
            Ok(QueueTotals {
                entered: entered.unsigned_abs(),
                admitted: admitted.unsigned_abs(),
                left: left.unsigned_abs(),
                expired: expired.unsigned_abs(),
            })
        }
        .boxed()
    }
}
