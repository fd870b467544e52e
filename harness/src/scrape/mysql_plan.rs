//! Plans of the statements that the service really executes on MySQL.
//!
//! The service's statements are prepared, so performance_schema shows them with their parameters masked, and a plan for
//! made-up parameters would be another plan. MySQL's general log has the executed statement with its values; it is
//! switched on for a moment, outside of every measured slice. What ties a plan to the service's work is the digest: of
//! the explained text, by the server's own function, against those that performance_schema counted for the schema.

use std::time::Duration;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, Row as _};

use super::ScrapeError;
use super::mysql::{asking, connect, options};
use crate::analysis::plan::{PlanNode, mask_literals, parse_mysql_tree};

/// A statement as it was executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Executed {
    /// With the values that it had.
    pub statement: String,
    /// With its literals masked, as in the digests of performance_schema.
    pub digest_text: String,
    /// How many executions were seen in the window; the statement is of one of them.
    pub seen: u64,
}

/// A statement with its plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Explained {
    pub statement: String,
    pub digest_text: String,
    /// Whether performance_schema counted executions of this very digest for the schema.
    pub is_executed_digest: bool,
    /// As the server printed it.
    pub text: String,
    pub plan: PlanNode,
    /// Whether the plan was run, so that it has actual rows and times.
    pub is_measured: bool,
}

/// Asks one server about the statements of one schema.
#[derive(Clone, Debug)]
pub struct MySqlPlans {
    options: MySqlConnectOptions,
    schema: String,
}

impl MySqlPlans {
    /// `url` needs an account that may set global variables and read performance_schema, for `schema`.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn new(url: &str, schema: &str) -> Result<Self, ScrapeError> {
        Ok(Self {
            options: options(url)?.database(schema),
            schema: schema.to_owned(),
        })
    }

    /// The statements that sessions of the schema execute while `window` passes, one for each digest, the most frequent
    /// first. The server's general log is put back as it was, also when something fails half way.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn capture(&self, window: Duration) -> Result<Vec<Executed>, ScrapeError> {
        const LOG: &str = "the general log";
        let mut connection = connect(&self.options).await?;
        let before = connection
            .fetch_one(sqlx::raw_sql(
                "SELECT CAST(@@GLOBAL.general_log AS SIGNED), @@GLOBAL.log_output",
            ))
            .await
            .map_err(asking(LOG))?;
        let was_on: i64 = before.try_get(0).map_err(asking(LOG))?;
        let output: String = before.try_get(1).map_err(asking(LOG))?;

        let captured = self.capture_to_table(&mut connection, window).await;
        let switch = if was_on == 0 { "OFF" } else { "ON" };
        // Off first: the log must not write to where it wrote before while the table is emptied.
        let restore = format!(
            "SET GLOBAL general_log = OFF; TRUNCATE TABLE mysql.general_log; \
             SET GLOBAL log_output = '{output}'; SET GLOBAL general_log = {switch}"
        );
        let restored = connection
            .execute(sqlx::raw_sql(AssertSqlSafe(restore)))
            .await
            .map_err(asking(LOG));
        let captured = captured?;
        restored?;
        self.by_digest(&mut connection, captured).await
    }

    async fn capture_to_table(
        &self,
        connection: &mut MySqlConnection,
        window: Duration,
    ) -> Result<Vec<String>, ScrapeError> {
        const WHAT: &str = "statements in the general log";
        /// Enough to see every statement of the service many times.
        const MOST: u32 = 20_000;
        let on = "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON";
        connection.execute(sqlx::raw_sql(on)).await.map_err(asking(WHAT))?;
        tokio::time::sleep(window).await;
        connection
            .execute(sqlx::raw_sql("SET GLOBAL general_log = OFF"))
            .await
            .map_err(asking(WHAT))?;
        // What holds binary values is no text, and comes as NULL.
        let select = "SELECT CONVERT(l.argument USING utf8mb4) FROM mysql.general_log l \
            JOIN performance_schema.threads t ON t.PROCESSLIST_ID = l.thread_id \
            WHERE l.command_type IN ('Execute', 'Query') AND t.PROCESSLIST_DB = ? \
            AND t.PROCESSLIST_ID <> CONNECTION_ID() LIMIT ?";
        let told: Vec<Option<String>> = sqlx::query_scalar(select)
            .bind(&self.schema)
            .bind(MOST)
            .fetch_all(connection)
            .await
            .map_err(asking(WHAT))?;
        Ok(told.into_iter().flatten().collect())
    }

    async fn by_digest(
        &self,
        connection: &mut MySqlConnection,
        statements: Vec<String>,
    ) -> Result<Vec<Executed>, ScrapeError> {
        let mut found: Vec<Executed> = Vec::new();
        for statement in statements {
            // The server's own digest is asked for once for each shape, not for each of thousands of executions.
            let shape = mask_literals(&statement);
            if let Some(known) = found.iter_mut().find(|known| mask_literals(&known.statement) == shape) {
                known.seen += 1;
                continue;
            }
            if let Some(digest_text) = digest_text(connection, &statement).await? {
                found.push(Executed {
                    statement,
                    digest_text,
                    seen: 1,
                });
            }
        }
        found.sort_by_key(|executed| std::cmp::Reverse(executed.seen));
        Ok(found)
    }

    /// Explains a statement. A SELECT is run to measure it, in a transaction that is rolled back; anything else is only
    /// planned.
    ///
    /// # Errors
    /// When the server cannot be asked, or prints no plan.
    pub async fn explain(&self, executed: &Executed) -> Result<Explained, ScrapeError> {
        const WHAT: &str = "a plan";
        let mut connection = connect(&self.options).await?;
        let mut transaction = connection.begin().await.map_err(asking(WHAT))?;
        let is_measured = is_select(&executed.statement);
        let plan = if is_measured {
            let analyze = format!("EXPLAIN ANALYZE FORMAT=TREE {}", executed.statement);
            let row = transaction
                .fetch_one(sqlx::raw_sql(AssertSqlSafe(analyze)))
                .await
                .map_err(asking(WHAT))?;
            row.try_get::<String, _>(0)
                .map_err(asking(WHAT))
                .and_then(|text| Ok((parsed(&text)?, text)))
        } else {
            let explain = format!("EXPLAIN FORMAT=TRADITIONAL {}", executed.statement);
            let rows = transaction
                .fetch_all(sqlx::raw_sql(AssertSqlSafe(explain)))
                .await
                .map_err(asking(WHAT))?;
            traditional(&rows)
        };
        transaction.rollback().await.map_err(asking(WHAT))?;
        let (plan, text) = plan?;
        let is_executed_digest = self.is_executed(&mut connection, &executed.digest_text).await?;
        Ok(Explained {
            statement: executed.statement.clone(),
            digest_text: executed.digest_text.clone(),
            is_executed_digest,
            text,
            plan,
            is_measured,
        })
    }

    /// Bytes that a table's indexes take beside the rows; `None` without such a table.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn index_bytes(&self, table: &str) -> Result<Option<u64>, ScrapeError> {
        const WHAT: &str = "the size of indexes";
        let mut connection = connect(&self.options).await?;
        // The server keeps what it said before for a day.
        connection
            .execute(sqlx::raw_sql("SET SESSION information_schema_stats_expiry = 0"))
            .await
            .map_err(asking(WHAT))?;
        let select = "SELECT CAST(INDEX_LENGTH AS UNSIGNED) FROM information_schema.TABLES \
            WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
        sqlx::query_scalar(select)
            .bind(&self.schema)
            .bind(table)
            .fetch_optional(&mut connection)
            .await
            .map_err(asking(WHAT))
    }

    /// Whether performance_schema counted this digest for the schema. Servers of version 9 put `EXECUTE` before the text
    /// of a prepared statement.
    async fn is_executed(&self, connection: &mut MySqlConnection, digest_text: &str) -> Result<bool, ScrapeError> {
        let select = "SELECT CAST(COUNT(*) AS SIGNED) FROM performance_schema.events_statements_summary_by_digest \
            WHERE SCHEMA_NAME = ? AND DIGEST_TEXT IN (?, CONCAT('EXECUTE ', ?)) AND COUNT_STAR > 0";
        let count: i64 = sqlx::query_scalar(select)
            .bind(&self.schema)
            .bind(digest_text)
            .bind(digest_text)
            .fetch_one(connection)
            .await
            .map_err(asking("the executed digests"))?;
        Ok(count > 0)
    }
}

/// The digest text by the server's own function; `None` for what it cannot parse, such as its own abbreviations.
async fn digest_text(connection: &mut MySqlConnection, statement: &str) -> Result<Option<String>, ScrapeError> {
    const CANNOT_PARSE: u16 = 3676;
    match sqlx::query_scalar("SELECT STATEMENT_DIGEST_TEXT(?)")
        .bind(statement)
        .fetch_one(connection)
        .await
    {
        Ok(text) => Ok(text),
        Err(sqlx::Error::Database(error))
            if error
                .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
                .is_some_and(|e| e.number() == CANNOT_PARSE) =>
        {
            Ok(None)
        }
        Err(error) => Err(asking("the digest of a statement")(error)),
    }
}

fn parsed(text: &str) -> Result<PlanNode, ScrapeError> {
    parse_mysql_tree(text).map_err(|source| ScrapeError::Ask {
        server: super::mysql::SERVER,
        what: "a plan",
        source: Box::new(source),
    })
}

/// The rows of the traditional format as a tree of one level; MySQL has no tree for statements that change one table.
fn traditional(rows: &[sqlx::mysql::MySqlRow]) -> Result<(PlanNode, String), ScrapeError> {
    const WHAT: &str = "a plan";
    let mut steps = Vec::new();
    for row in rows {
        let text = |column: &str| row.try_get::<Option<String>, _>(column).map_err(asking(WHAT));
        let kind = text("select_type")?.unwrap_or_default();
        let access = text("type")?.unwrap_or_else(|| "no access".to_owned());
        let (table, index, extra) = (text("table")?, text("key")?, text("Extra")?);
        let mut operation = format!("{kind} by {access}");
        for (word, value) in [(" on ", &table), (" using ", &index), ("; ", &extra)] {
            if let Some(value) = value {
                operation.push_str(word);
                operation.push_str(value);
            }
        }
        let rows_estimated = row
            .try_get::<Option<u64>, _>("rows")
            .map_err(asking(WHAT))?
            .map(|rows| rows as f64);
        steps.push(PlanNode {
            operation,
            table,
            index,
            rows_estimated,
            ..PlanNode::default()
        });
    }
    let listing: Vec<&str> = steps.iter().map(|step| step.operation.as_str()).collect();
    let listing = listing.join("\n");
    let plan = if steps.len() == 1 {
        steps.swap_remove(0)
    } else {
        PlanNode {
            operation: "Statement".to_owned(),
            children: steps,
            ..PlanNode::default()
        }
    };
    Ok((plan, listing))
}

fn is_select(statement: &str) -> bool {
    let start: String = statement
        .trim_start_matches([' ', '\n', '\t', '('])
        .chars()
        .take(6)
        .collect();
    start.eq_ignore_ascii_case("select")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_selects_are_run() {
        assert!(is_select("select 1") && is_select("  (SELECT 1)") && is_select("SELECT * FROM t FOR UPDATE"));
        assert!(!is_select("UPDATE seats SET a = 1") && !is_select("WITH x AS (SELECT 1) SELECT 1") && !is_select(""));
    }
}
