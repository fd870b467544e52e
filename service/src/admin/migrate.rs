//! `service migrate`: creates the schema, or brings it up to date.

use std::sync::Arc;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::store::Store;

/// Migrates the database of `config`; doing so again changes nothing.
///
/// # Errors
/// When the database is away or a migration does not apply.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let store = Store::migrate(config, Arc::new(Metrics::new()?)).await?;
    store.close().await;
    Ok(())
}
