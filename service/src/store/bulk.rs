//! Bulk loading, for `service seed` alone.

use sqlx::AssertSqlSafe;

use super::{Store, StoreError};

impl Store {
    /// Whether anything was seeded.
    pub(crate) async fn has_users(&self) -> Result<bool, StoreError> {
        read_on!(self, "has_users", |connection| {
            Ok(sqlx::query("SELECT 1 FROM users LIMIT 1")
                .fetch_optional(connection)
                .await?
                .is_some())
        })
    }

    /// Executes statements of our own making in one transaction, as text.
    pub(crate) async fn execute_all(&self, statements: Vec<String>) -> Result<(), StoreError> {
        if statements.is_empty() {
            return Ok(());
        }
        write_on!(self, "seed", |transaction| {
            for statement in statements {
                sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }
}
