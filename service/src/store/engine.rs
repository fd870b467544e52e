//! The two engines, and the macros that compile a body for both.
//!
//! `sqlx` types differ by engine while the SQL mostly does not. A macro keeps one text and two types; generics over
//! `sqlx::Database` would need a page of bounds for each method.

use sqlx::{MySqlPool, SqlitePool};

/// The pools of one engine.
#[derive(Clone, Debug)]
pub enum Engine {
    /// One writer connection and readers beside it (WAL): SQLite has one writer at a time, and waiting in the pool is
    /// fair where waiting in SQLite's busy handler is not.
    Sqlite {
        /// The writer.
        writer: SqlitePool,
        /// The readers.
        reader: SqlitePool,
    },
    /// A server.
    MySql(MySqlPool),
}

impl Engine {
    /// The name that reports use.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::MySql(_) => "mysql",
        }
    }
}

/// Runs `$body` with `$connection` bound to a connection for reading, and returns the result that it ends with or
/// returns. The wait for the connection and the time of the body are measured apart, the latter under `$call`.
macro_rules! read_on {
    ($store:expr, $call:literal, |$connection:ident| $body:block) => {
        match $store.engine() {
            $crate::store::Engine::Sqlite { reader, .. } => {
                let mut acquired = $store.acquire("reader", reader).await?;
                let call = $store.begin($call);
                let $connection = &mut *acquired;
                call.end(async { $body }.await)
            }
            $crate::store::Engine::MySql(pool) => {
                let mut acquired = $store.acquire("main", pool).await?;
                let call = $store.begin($call);
                let $connection = &mut *acquired;
                call.end(async { $body }.await)
            }
        }
    };
}

/// The same with `$transaction` bound to an open transaction. The body commits it, or drops it to roll back.
macro_rules! write_on {
    ($store:expr, $call:literal, |$transaction:ident| $body:block) => {
        match $store.engine() {
            $crate::store::Engine::Sqlite { writer, .. } => {
                let mut acquired = $store.acquire("writer", writer).await?;
                let call = $store.begin($call);
                let done = async {
                    // A writer from the first statement on, so that a second process cannot fail a commit half-way.
                    let mut $transaction = sqlx::Connection::begin_with(&mut *acquired, "BEGIN IMMEDIATE").await?;
                    $body
                };
                call.end(done.await)
            }
            $crate::store::Engine::MySql(pool) => {
                let mut acquired = $store.acquire("main", pool).await?;
                let call = $store.begin($call);
                let done = async {
                    let mut $transaction = sqlx::Connection::begin(&mut *acquired).await?;
                    $body
                };
                call.end(done.await)
            }
        }
    };
}
