//! `service index NAME`: the index on the seat map's predicate, the switch of the index report.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use sqlx::AssertSqlSafe;

use crate::cli::ConfigArgs;
use crate::metrics::Metrics;
use crate::store::{Engine, Store, StoreError};

/// Arguments of `index`.
#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Which.
    #[arg(value_name = "NAME")]
    index: SeatIndex,
    #[command(flatten)]
    config: ConfigArgs,
}

/// The index on `seats (schedule_id, status)`, or what stands in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum SeatIndex {
    /// None: every seat map scans the table.
    None,
    /// `(status, schedule_id)`.
    StatusSchedule,
    /// `(schedule_id, status)`: what migrations create.
    ScheduleStatus,
    /// `(schedule_id, status, number, price)`: answers from the index alone, already in order.
    Covering,
}

impl SeatIndex {
    /// Name and columns; `None` for none.
    const fn definition(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::None => None,
            Self::StatusSchedule => Some(("seats_by_status_schedule", "status, schedule_id")),
            Self::ScheduleStatus => Some(("seats_by_schedule_status", "schedule_id, status")),
            Self::Covering => Some(("seats_covering", "schedule_id, status, number, price")),
        }
    }
}

/// Changes the index of the configured database.
///
/// # Errors
/// When the configuration is wrong, the database is away, or a statement is refused.
pub async fn run(args: &IndexArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let store = Store::connect(&config, Arc::new(Metrics::new()?)).await?;
    store.check_schema().await?;
    apply(&store, args.index).await?;
    store.close().await;
    Ok(())
}

/// Drops every index of ours on seats, creates the chosen one, and refreshes the statistics that the optimiser uses.
///
/// # Errors
/// When the database is away or a statement is refused.
pub async fn apply(store: &Store, index: SeatIndex) -> Result<(), StoreError> {
    match store.engine() {
        Engine::Sqlite { writer, .. } => {
            let mut connection = store.acquire("writer", writer).await?;
            let present: Vec<(String,)> = sqlx::query_as(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'seats' AND sql IS NOT NULL",
            )
            .fetch_all(&mut *connection)
            .await?;
            for (name,) in present {
                sqlx::query(AssertSqlSafe(format!("DROP INDEX {name}")))
                    .execute(&mut *connection)
                    .await?;
            }
            if let Some((name, columns)) = index.definition() {
                let create = format!("CREATE INDEX {name} ON seats ({columns})");
                sqlx::query(AssertSqlSafe(create)).execute(&mut *connection).await?;
            }
            sqlx::query("ANALYZE").execute(&mut *connection).await?;
        }
        Engine::MySql(pool) => {
            let mut connection = store.acquire("main", pool).await?;
            let present: Vec<(String,)> = sqlx::query_as(
                "SELECT DISTINCT CONVERT(index_name USING utf8mb4) FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() AND table_name = 'seats' AND index_name <> 'PRIMARY'",
            )
            .fetch_all(&mut *connection)
            .await?;
            for (name,) in present {
                let drop = format!("ALTER TABLE seats DROP INDEX `{name}`");
                sqlx::query(AssertSqlSafe(drop)).execute(&mut *connection).await?;
            }
            if let Some((name, columns)) = index.definition() {
                let create = format!("ALTER TABLE seats ADD INDEX {name} ({columns})");
                sqlx::query(AssertSqlSafe(create)).execute(&mut *connection).await?;
            }
            sqlx::query("ANALYZE TABLE seats").fetch_all(&mut *connection).await?;
        }
    }
    Ok(())
}
