//! MySQL's own statistics, under the names of mysqld_exporter: global status, the variables that limit, and statement
//! digests by schema.

use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::{ConnectOptions as _, Executor as _, MySqlConnection, Row as _};

use super::mysql_names::{status, variable};
use super::poll::Source;
use super::{Sample, ScrapeError};
use crate::recording::SeriesKind;

pub(super) const SERVER: &str = "MySQL";

/// Status and digests of one server.
#[derive(Debug)]
pub struct MySqlSource {
    options: MySqlConnectOptions,
    schemas: Vec<String>,
    /// Taken out while a question is open: one that was given up half way must not be asked the next.
    connection: Option<MySqlConnection>,
}

impl MySqlSource {
    /// Scrapes the server at `url`, which needs an account that may read performance_schema, and the digests of
    /// `schemas`.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn new(url: &str, schemas: &[&str]) -> Result<Self, ScrapeError> {
        // In a schema of the service's, our own questions would count among its statements.
        let options = options(url)?.database("performance_schema");
        Ok(Self {
            options,
            schemas: schemas.iter().map(|s| (*s).to_owned()).collect(),
            connection: None,
        })
    }
}

pub(super) fn options(url: &str) -> Result<MySqlConnectOptions, ScrapeError> {
    let options: MySqlConnectOptions = url.parse().map_err(|source: sqlx::Error| ScrapeError::Address {
        server: SERVER,
        source: Box::new(source),
    })?;
    // Our own statements would fill the log of a test that looks for the service's.
    Ok(options.disable_statement_logging())
}

pub(super) async fn connect(options: &MySqlConnectOptions) -> Result<MySqlConnection, ScrapeError> {
    options.connect().await.map_err(|source| ScrapeError::Connect {
        server: SERVER,
        source: Box::new(source),
    })
}

/// Wraps a failure of `what`.
pub(super) fn asking(what: &'static str) -> impl Fn(sqlx::Error) -> ScrapeError {
    move |source| ScrapeError::Ask {
        server: SERVER,
        what,
        source: Box::new(source),
    }
}

impl Source for MySqlSource {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        let mut samples = vec![Sample::new("mysql_up", &[], SeriesKind::Gauge, 1.0)];
        samples.extend(global_status(&mut connection).await?);
        for schema in &self.schemas {
            samples.extend(digests(&mut connection, schema).await?);
        }
        self.connection = Some(connection);
        Ok(samples)
    }
}

async fn global_status(connection: &mut MySqlConnection) -> Result<Vec<Sample>, ScrapeError> {
    const STATUS: &str = "global status";
    const LIMITS: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
        ('max_connections', 'innodb_buffer_pool_size', 'innodb_lock_wait_timeout', 'innodb_flush_log_at_trx_commit')";
    // Without a prepared statement, so that asking counts as one statement and not as two.
    let rows = connection
        .fetch_all(sqlx::raw_sql("SHOW GLOBAL STATUS"))
        .await
        .map_err(asking(STATUS))?;
    let limits = connection
        .fetch_all(sqlx::raw_sql(LIMITS))
        .await
        .map_err(asking("global variables"))?;
    let pair = |row: &MySqlRow| -> Result<(String, String), sqlx::Error> { Ok((row.try_get(0)?, row.try_get(1)?)) };
    let mut samples = Vec::with_capacity(rows.len());
    for row in &rows {
        let (name, value) = pair(row).map_err(asking(STATUS))?;
        samples.extend(status(&name, &value));
    }
    for row in &limits {
        let (name, value) = pair(row).map_err(asking(STATUS))?;
        samples.extend(variable(&name, &value));
    }
    Ok(samples)
}

/// Counters of a digest: the exporter's name, the column, and what one unit of the column is worth.
const DIGEST_COUNTERS: [(&str, &str, f64); 12] = [
    ("total", "COUNT_STAR", 1.0),
    ("errors_total", "SUM_ERRORS", 1.0),
    ("warnings_total", "SUM_WARNINGS", 1.0),
    ("seconds_total", "SUM_TIMER_WAIT", 1e-12),
    ("lock_time_seconds_total", "SUM_LOCK_TIME", 1e-12),
    ("rows_affected_total", "SUM_ROWS_AFFECTED", 1.0),
    ("rows_sent_total", "SUM_ROWS_SENT", 1.0),
    ("rows_examined_total", "SUM_ROWS_EXAMINED", 1.0),
    ("tmp_disk_tables_total", "SUM_CREATED_TMP_DISK_TABLES", 1.0),
    ("tmp_tables_total", "SUM_CREATED_TMP_TABLES", 1.0),
    ("sort_rows_total", "SUM_SORT_ROWS", 1.0),
    ("no_index_used_total", "SUM_NO_INDEX_USED", 1.0),
];

/// The digests of one schema. Beside the exporter's own names there are `sort_rows_total` and `no_index_used_total`,
/// which it lacks.
async fn digests(connection: &mut MySqlConnection, schema: &str) -> Result<Vec<Sample>, ScrapeError> {
    const WHAT: &str = "statement digests";
    const DIGESTS: &str = "SELECT DIGEST, DIGEST_TEXT, COUNT_STAR, SUM_ERRORS, SUM_WARNINGS, SUM_TIMER_WAIT, \
        SUM_LOCK_TIME, SUM_ROWS_AFFECTED, SUM_ROWS_SENT, SUM_ROWS_EXAMINED, SUM_CREATED_TMP_DISK_TABLES, \
        SUM_CREATED_TMP_TABLES, SUM_SORT_ROWS, SUM_NO_INDEX_USED \
        FROM performance_schema.events_statements_summary_by_digest \
        WHERE SCHEMA_NAME = ? AND DIGEST IS NOT NULL ORDER BY DIGEST";
    let rows = sqlx::query(DIGESTS)
        .bind(schema)
        .fetch_all(connection)
        .await
        .map_err(asking(WHAT))?;
    let mut samples = Vec::with_capacity(rows.len() * DIGEST_COUNTERS.len());
    for row in &rows {
        let digest: String = row.try_get("DIGEST").map_err(asking(WHAT))?;
        let text: String = row.try_get("DIGEST_TEXT").map_err(asking(WHAT))?;
        let labels = [
            ("schema", schema),
            ("digest", digest.as_str()),
            ("digest_text", text.as_str()),
        ];
        for (name, column, unit) in DIGEST_COUNTERS {
            let value: u64 = row.try_get(column).map_err(asking(WHAT))?;
            let name = format!("mysql_perf_schema_events_statements_{name}");
            samples.push(Sample::new(name, &labels, SeriesKind::Counter, value as f64 * unit));
        }
    }
    Ok(samples)
}
