//! Opens the pools, migrates, and checks that the schema is there.

use std::borrow::Cow;
use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Database, MySqlPool, Pool, SqlStr, SqlitePool};

use super::{Engine, StoreError};
use crate::config::{self, Config, Mutants};
use crate::metrics::Metrics;

/// From the connection to the answer of the first statement.
const GREETED_WITHIN: Duration = Duration::from_secs(10);

static MYSQL_MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| migrations([(1, "schema", include_str!("../../migrations/mysql/0001_schema.sql"))]));
static SQLITE_MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| migrations([(1, "schema", include_str!("../../migrations/sqlite/0001_schema.sql"))]));

/// By hand and not by sqlx's macro, which would compile every driver, and the TLS below it, a second time for the compiler.
fn migrations<const N: usize>(files: [(i64, &'static str, &'static str); N]) -> Migrator {
    let migration = |(version, description, text)| {
        let sql = SqlStr::from_static(text);
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(files.map(migration).into())
}

tokio::task_local! {
    /// Connections borrowed so far by work whose connections are counted.
    static BORROWED: Cell<u32>;
}

/// Runs `work`, and counts the connections that it borrows itself; what it leaves to other tasks is not counted.
pub(crate) async fn counting_connections<T>(work: impl Future<Output = T>) -> (T, u32) {
    let counted = async {
        let done = work.await;
        (done, BORROWED.with(Cell::get))
    };
    BORROWED.scope(Cell::new(0), counted).await
}

/// The database of one namespace.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
    metrics: Arc<Metrics>,
    mutants: Mutants,
}

/// What a failed migration did not do.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database could not be reached or created.
    #[error("cannot open the database to migrate it")]
    Open(#[from] StoreError),
    /// The database did not execute a migration.
    #[error("cannot migrate the schema")]
    Execute(#[source] StoreError),
    /// A migration does not fit what is there.
    #[error("cannot migrate the schema")]
    Apply(#[source] sqlx::migrate::MigrateError),
}

impl From<sqlx::migrate::MigrateError> for MigrateError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as Raw;
        match error {
            Raw::Execute(source) | Raw::ExecuteMigration(source, _) => Self::Execute(source.into()),
            other => Self::Apply(other),
        }
    }
}

impl Store {
    /// Opens the pools. The schema is not looked at; see [`Store::check_schema`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect(config: &Config, metrics: Arc<Metrics>) -> Result<Self, StoreError> {
        // Less than the deadline: a request that found no connection has done nothing, and can say so.
        let timeout = if config.resilience.enabled {
            config.resilience.request_timeout * 3 / 4
        } else {
            Duration::from_secs(30)
        };
        let connected = match &config.database {
            config::Database::Sqlite(path) => connect_sqlite(path, config.pool_size, timeout).await,
            config::Database::MySql(url) => connect_mysql(url.expose(), &config.namespace, config.pool_size, timeout)
                .await
                .map(Engine::MySql),
        };
        let engine = connected.map_err(|error| error.at(place(&config.database)))?;
        Ok(Self {
            engine,
            metrics,
            mutants: config.mutants,
        })
    }

    /// Creates the schema if it is missing, brings it up to date, and returns the open store.
    ///
    /// # Errors
    /// When the database does not answer or a migration does not apply.
    pub async fn migrate(config: &Config, metrics: Arc<Metrics>) -> Result<Self, MigrateError> {
        if let config::Database::MySql(url) = &config.database {
            // What takes the connection and says nothing is no MySQL, and would keep us for ever.
            let created = tokio::time::timeout(GREETED_WITHIN, create_schema(url.expose(), &config.namespace)).await;
            created
                .unwrap_or_else(|_elapsed| Err(StoreError::PoolTimeout(sqlx::Error::PoolTimedOut)))
                .map_err(|error| error.at(place(&config.database)))?;
        }
        let store = Self::connect(config, metrics).await?;
        match &store.engine {
            Engine::Sqlite { writer, .. } => SQLITE_MIGRATIONS.run(writer).await?,
            Engine::MySql(pool) => MYSQL_MIGRATIONS.run(pool).await?,
        }
        store.ensure_shards(config.events.shards).await?;
        Ok(store)
    }

    /// Checks that the schema is the one that this build migrates to.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when it is missing, older or newer.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let expected = match &self.engine {
            Engine::Sqlite { .. } => SQLITE_MIGRATIONS.iter(),
            Engine::MySql(_) => MYSQL_MIGRATIONS.iter(),
        };
        let expected = expected.map(|migration| migration.version).max();
        let applied: Result<Option<i64>, sqlx::Error> = read_on!(self, "check_schema", |connection| {
            let applied = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success");
            Ok(applied.fetch_one(connection).await)
        })?;
        match applied {
            Ok(applied) if applied == expected => Ok(()),
            Ok(applied) => Err(StoreError::Schema(format!(
                "found version {}, need {}",
                applied.map_or_else(|| "none".to_owned(), |version| version.to_string()),
                expected.unwrap_or_default()
            ))),
            Err(sqlx::Error::Database(error)) => Err(StoreError::Schema(error.message().to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes sure that every shard of the outbox has its counter and its lease.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ensure_shards(&self, n_shards: u32) -> Result<(), StoreError> {
        let (sequence, lease) = match &self.engine {
            Engine::Sqlite { .. } => (
                "INSERT OR IGNORE INTO outbox_sequence (shard, last) VALUES (?, 0)",
                "INSERT OR IGNORE INTO outbox_lease (shard) VALUES (?)",
            ),
            Engine::MySql(_) => (
                "INSERT IGNORE INTO outbox_sequence (shard, last) VALUES (?, 0)",
                "INSERT IGNORE INTO outbox_lease (shard) VALUES (?)",
            ),
        };
        write_on!(self, "ensure_shards", |transaction| {
            for shard in 0..n_shards {
                sqlx::query(sequence).bind(shard).execute(&mut *transaction).await?;
                sqlx::query(lease).bind(shard).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    /// The pools, for modules that have statements of their own.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The defects that are switched on.
    pub const fn mutants(&self) -> Mutants {
        self.mutants
    }

    /// The metrics that this store reports to.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Waits for a connection, and observes for how long.
    pub(crate) async fn acquire<DB: Database>(
        &self,
        name: &'static str,
        pool: &Pool<DB>,
    ) -> Result<PoolConnection<DB>, StoreError> {
        let asked = Instant::now();
        let acquired = pool.acquire().await;
        self.metrics
            .database_pool_wait
            .with_label_values(&[name])
            .observe(asked.elapsed().as_secs_f64());
        let acquired = acquired?;
        // Most callers do not have their connections counted.
        let _uncounted = BORROWED.try_with(|borrowed| borrowed.set(borrowed.get().saturating_add(1)));
        Ok(acquired)
    }

    /// Sets the gauges of the pools.
    pub fn observe_pools(&self) {
        let gauge = &self.metrics.database_pool_connections;
        let set = |pool: &'static str, size: u32, idle: usize, max: u32| {
            let idle = u32::try_from(idle).unwrap_or(u32::MAX);
            gauge.with_label_values(&[pool, "idle"]).set(idle.into());
            gauge
                .with_label_values(&[pool, "used"])
                .set(size.saturating_sub(idle).into());
            gauge.with_label_values(&[pool, "max"]).set(max.into());
        };
        match &self.engine {
            Engine::Sqlite { writer, reader } => {
                set(
                    "writer",
                    writer.size(),
                    writer.num_idle(),
                    writer.options().get_max_connections(),
                );
                set(
                    "reader",
                    reader.size(),
                    reader.num_idle(),
                    reader.options().get_max_connections(),
                );
            }
            Engine::MySql(pool) => set(
                "main",
                pool.size(),
                pool.num_idle(),
                pool.options().get_max_connections(),
            ),
        }
    }

    /// Closes the pools after the calls under way.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { writer, reader } => {
                reader.close().await;
                writer.close().await;
            }
            Engine::MySql(pool) => pool.close().await,
        }
    }
}

async fn connect_sqlite(path: &Path, n_readers: u32, timeout: Duration) -> Result<Engine, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode a commit survives the death of the process; only a power cut may take the last ones back.
        .synchronous(SqliteSynchronous::Normal)
        // Only a second process can make us wait here. Less than the deadline, so that the answer is still ours.
        .busy_timeout(timeout / 2)
        .statement_cache_capacity(200);
    let writer: SqlitePool = pool_options::<sqlx::Sqlite>(1, timeout)
        .connect_with(options.clone())
        .await?;
    let reader = pool_options::<sqlx::Sqlite>(n_readers, timeout)
        .connect_with(options.read_only(true))
        .await?;
    Ok(Engine::Sqlite { writer, reader })
}

fn pool_options<DB: Database>(size: u32, timeout: Duration) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(timeout)
        // A ping before every use would add a round trip to each request.
        .test_before_acquire(false)
}

async fn connect_mysql(url: &str, schema: &str, size: u32, timeout: Duration) -> Result<MySqlPool, StoreError> {
    let options = mysql_options(url)?.database(schema).statement_cache_capacity(200);
    let pool = MySqlPoolOptions::from(pool_options(size, timeout))
        .before_acquire(|connection, state| {
            Box::pin(async move {
                // A connection that lay idle may have been closed by a restart of the server.
                if state.idle_for > Duration::from_secs(1) {
                    return Ok(connection.ping().await.is_ok());
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                // Conditional updates need no gap locks. A lock wait is cut before the request's deadline, so that
                // contention is answered with a conflict.
                sqlx::query("SET SESSION transaction_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = 1")
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await?;
    Ok(pool)
}

async fn create_schema(url: &str, schema: &str) -> Result<(), StoreError> {
    let mut connection = sqlx::MySqlConnection::connect_with(&mysql_options(url)?).await?;
    // The name was validated to [a-z0-9_] by the configuration.
    let statement = format!("CREATE DATABASE IF NOT EXISTS `{schema}` CHARACTER SET utf8mb4");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Where the configuration leads, without the password.
fn place(database: &config::Database) -> String {
    match database {
        config::Database::Sqlite(path) => format!("the file {}", path.display()),
        config::Database::MySql(url) => match mysql_options(url.expose()) {
            Ok(options) => format!("MySQL at {}:{}", options.get_host(), options.get_port()),
            Err(_) => "MySQL".to_owned(),
        },
    }
}

fn mysql_options(url: &str) -> Result<MySqlConnectOptions, StoreError> {
    Ok(url.parse::<MySqlConnectOptions>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn every_migration_in_the_folders_is_compiled_in() {
        for (engine, migrator) in [("mysql", &MYSQL_MIGRATIONS), ("sqlite", &SQLITE_MIGRATIONS)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
            let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| {
                    let name = entry.file_name().into_string().unwrap();
                    (name, std::fs::read_to_string(entry.path()).unwrap())
                })
                .collect();
            files.sort();
            let compiled: Vec<(String, String)> = migrator
                .iter()
                .map(|one| {
                    let name = format!("{:04}_{}.sql", one.version, one.description);
                    (name, one.sql.as_str().to_owned())
                })
                .collect();
            assert_eq!(compiled, files, "{engine}");
        }
    }

    #[tokio::test]
    async fn migrates_once_and_checks_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("database.url=sqlite://{}", folder.path().join("a.db").display());
        let config =
            Config::from_source(Source::new().flags(&[url.as_str(), "token.secret=0123456789abcdef"])).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let empty = Store::connect(&config, metrics.clone()).await.unwrap();
        let missing = empty.check_schema().await.unwrap_err();
        assert!(missing.to_string().contains("run `service migrate` first"), "{missing}");
        for _ in 0..2 {
            let store = Store::migrate(&config, metrics.clone()).await.unwrap();
            store.check_schema().await.unwrap();
        }
    }
}
