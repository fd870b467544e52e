//! Plans on SQLite, from the service's file, opened for reading alone. SQLite neither estimates nor times its steps; in
//! their place stands the number of virtual-machine steps that running the statement took, which is free of noise.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions};
use sqlx::{Arguments as _, AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};

use super::ScrapeError;
use crate::analysis::plan::PlanNode;
use crate::analysis::plan_sqlite::from_sqlite;

const SERVER: &str = "SQLite";

/// A value for a parameter of a statement.
#[derive(Clone, PartialEq, Debug)]
pub enum Parameter {
    Integer(i64),
    Text(String),
}

/// A statement with its plan and what running it took.
#[derive(Clone, PartialEq, Debug)]
pub struct Explained {
    pub statement: String,
    pub plan: PlanNode,
    /// Steps of the virtual machine.
    pub vm_steps: u64,
    pub rows_returned: u64,
}

/// Asks the file of one service.
#[derive(Debug)]
pub struct SqlitePlans {
    connection: SqliteConnection,
}

impl SqlitePlans {
    /// Opens the file for reading; the service may go on using it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open(file: &Path) -> Result<Self, ScrapeError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .disable_statement_logging();
        let connection = options.connect().await.map_err(|source| ScrapeError::Connect {
            server: SERVER,
            source: Box::new(source),
        })?;
        Ok(Self { connection })
    }

    /// Explains a SELECT and runs it once, with these parameters in their order.
    ///
    /// # Errors
    /// When SQLite refuses the statement, as it does for one that writes.
    pub async fn explain(&mut self, statement: &str, parameters: &[Parameter]) -> Result<Explained, ScrapeError> {
        const WHAT: &str = "a plan";
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        // Whoever only explains never notices that the service has changed the schema; reading from the file does.
        sqlx::query("SELECT COUNT(*) FROM sqlite_schema")
            .persistent(false)
            .fetch_one(&mut self.connection)
            .await
            .map_err(asking("the schema"))?;
        let rows = sqlx::query_with(AssertSqlSafe(explain), arguments(parameters)?)
            .persistent(false)
            .fetch_all(&mut self.connection)
            .await
            .map_err(asking(WHAT))?;
        let mut steps = Vec::with_capacity(rows.len());
        for row in &rows {
            let number = |at: usize| row.try_get::<i64, _>(at).map_err(asking(WHAT));
            steps.push((
                number(0)?,
                number(1)?,
                row.try_get::<String, _>(3).map_err(asking(WHAT))?,
            ));
        }
        let plan = from_sqlite(&steps).map_err(|source| ScrapeError::Ask {
            server: SERVER,
            what: WHAT,
            source: Box::new(source),
        })?;
        let (vm_steps, rows_returned) = self.run(statement, parameters).await?;
        Ok(Explained {
            statement: statement.to_owned(),
            plan,
            vm_steps,
            rows_returned,
        })
    }

    /// A value for a parameter that occurs in the data: with one that does not, a statement finds nothing and takes next
    /// to no steps. `None` from an empty table.
    ///
    /// # Errors
    /// When SQLite refuses the names.
    pub async fn value_of(&mut self, table: &str, column: &str) -> Result<Option<Parameter>, ScrapeError> {
        let select = format!("SELECT \"{column}\" FROM \"{table}\" LIMIT 1");
        let row = sqlx::query_scalar::<_, i64>(AssertSqlSafe(select))
            .persistent(false)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(asking("a value of a column"))?;
        Ok(row.map(Parameter::Integer))
    }

    /// Bytes of the pages that a table's indexes take; 0 when it has none.
    ///
    /// # Errors
    /// When SQLite was built without its table of pages.
    pub async fn index_bytes(&mut self, table: &str) -> Result<u64, ScrapeError> {
        let select = "SELECT COALESCE(SUM(pgsize), 0) FROM dbstat WHERE name IN \
            (SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?)";
        let bytes: i64 = sqlx::query_scalar(select)
            .bind(table)
            .persistent(false)
            .fetch_one(&mut self.connection)
            .await
            .map_err(asking("the size of indexes"))?;
        Ok(bytes.unsigned_abs())
    }

    async fn run(&mut self, statement: &str, parameters: &[Parameter]) -> Result<(u64, u64), ScrapeError> {
        const WHAT: &str = "the steps of a statement";
        let counted = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&counted);
        self.connection
            .lock_handle()
            .await
            .map_err(asking(WHAT))?
            .set_progress_handler(1, move || {
                counter.fetch_add(1, Ordering::Relaxed);
                true
            });
        let rows = sqlx::query_with(AssertSqlSafe(statement.to_owned()), arguments(parameters)?)
            .persistent(false)
            .fetch_all(&mut self.connection)
            .await
            .map_err(asking(WHAT));
        self.connection
            .lock_handle()
            .await
            .map_err(asking(WHAT))?
            .remove_progress_handler();
        Ok((counted.load(Ordering::Relaxed), rows?.len() as u64))
    }
}

fn arguments(parameters: &[Parameter]) -> Result<SqliteArguments, ScrapeError> {
    let mut arguments = SqliteArguments::default();
    for parameter in parameters {
        let added = match parameter {
            Parameter::Integer(value) => arguments.add(*value),
            Parameter::Text(value) => arguments.add(value.clone()),
        };
        added.map_err(|source| ScrapeError::Ask {
            server: SERVER,
            what: "a parameter",
            source,
        })?;
    }
    Ok(arguments)
}

fn asking(what: &'static str) -> impl Fn(sqlx::Error) -> ScrapeError {
    move |source| ScrapeError::Ask {
        server: SERVER,
        what,
        source: Box::new(source),
    }
}
