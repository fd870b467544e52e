//! The faults of the shipped drill: a paused database container, or a database lock that somebody else holds.
//!
//! An injected fault heals when it is told to, and also when the run dies: a paused container stands on the watchdog's
//! list, and a lock falls with the process that holds it.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::daemon::connect::resume;
use crate::plan::DrillFault;
use crate::stack::{Component, ContainerHandle, Stack};
use crate::watchdog::{Entry, Undo, Watchdog};

/// How long a healed database may take until it answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Why a fault could not be injected, healed or verified.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The stack has nothing to break in this way.
    #[error("{fault} needs {needs}, which this stack does not have; choose another stack or drill")]
    NotHere { fault: &'static str, needs: &'static str },
    /// The daemon refuses.
    #[error("cannot {what} container {container}")]
    Daemon {
        what: &'static str,
        container: String,
        #[source]
        source: testcontainers::bollard::errors::Error,
    },
    /// The database refuses.
    #[error("cannot {what} the database")]
    Database {
        what: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// Nobody would heal it after a crash.
    #[error("cannot inject a fault without a watchdog")]
    Watchdog(#[from] crate::watchdog::WatchdogError),
    /// It was healed and is still broken.
    #[error("{target} does not answer {} s after it was healed", ANSWERS_WITHIN.as_secs())]
    StillBroken { target: String },
}

/// A fault that is ready to be injected.
#[derive(Debug)]
pub enum Fault {
    /// Pauses the database's container.
    Pause {
        container: ContainerHandle,
        /// How the harness reaches it.
        url: String,
    },
    /// Takes SQLite's write lock.
    Lock { url: String },
}

/// A fault that is in place.
#[derive(Debug)]
pub enum Injected {
    Paused { container: ContainerHandle, undo: Entry },
    Locked { connection: SqliteConnection },
}

impl Fault {
    /// The fault of a drill on this stack.
    ///
    /// # Errors
    /// When the stack has nothing to break in this way.
    pub fn of(fault: DrillFault, stack: &dyn Stack, namespace: &str) -> Result<Self, FaultError> {
        let url = stack.direct_endpoints(namespace).database_url;
        match fault {
            DrillFault::MysqlPause => {
                let container = stack.container(Component::Database).ok_or(FaultError::NotHere {
                    fault: fault.name(),
                    needs: "a MySQL container of its own",
                })?;
                Ok(Self::Pause { container, url })
            }
            DrillFault::DatabaseLock if url.starts_with("sqlite:") => Ok(Self::Lock { url }),
            DrillFault::DatabaseLock => Err(FaultError::NotHere {
                fault: fault.name(),
                needs: "an SQLite file",
            }),
        }
    }

    /// What is broken, for events and reports.
    pub fn target(&self) -> String {
        match self {
            Self::Pause { container, .. } => format!("container {}", container.name),
            Self::Lock { .. } => "SQLite's write lock".to_owned(),
        }
    }

    /// Breaks it.
    ///
    /// # Errors
    /// When the daemon or the database refuses.
    pub async fn inject(&self, watchdog: &Watchdog) -> Result<Injected, FaultError> {
        match self {
            Self::Pause { container, .. } => {
                let undo = watchdog.register(Undo::ResumeContainer {
                    container: container.name.clone(),
                })?;
                container
                    .daemon
                    .api()
                    .pause_container(&container.name)
                    .await
                    .map_err(|source| FaultError::Daemon {
                        what: "pause",
                        container: container.name.clone(),
                        source,
                    })?;
                Ok(Injected::Paused {
                    container: container.clone(),
                    undo,
                })
            }
            Self::Lock { url } => {
                let mut connection = open(url).await?;
                sqlx::query("BEGIN IMMEDIATE")
                    .execute(&mut connection)
                    .await
                    .map_err(|source| FaultError::Database { what: "lock", source })?;
                Ok(Injected::Locked { connection })
            }
        }
    }

    /// Sees that it works again.
    ///
    /// # Errors
    /// When it does not within 20 seconds.
    pub async fn verify(&self) -> Result<(), FaultError> {
        let answers = async {
            loop {
                if self.answers().await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(ANSWERS_WITHIN, answers)
            .await
            .map_err(|_elapsed| FaultError::StillBroken { target: self.target() })
    }

    async fn answers(&self) -> bool {
        match self {
            Self::Pause { url, .. } => {
                let Ok(options) = sqlx::mysql::MySqlConnectOptions::from_str(url) else {
                    return false;
                };
                let asked = async {
                    let mut connection = options.disable_statement_logging().connect().await?;
                    sqlx::query("SELECT 1").execute(&mut connection).await?;
                    connection.close().await
                };
                matches!(tokio::time::timeout(Duration::from_secs(2), asked).await, Ok(Ok(())))
            }
            Self::Lock { url } => {
                let asked = async {
                    let mut connection = open(url).await?;
                    let write = sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await;
                    let ended = sqlx::query("ROLLBACK").execute(&mut connection).await;
                    let failed = |source| FaultError::Database { what: "ask", source };
                    write.and(ended).map(drop).map_err(failed)
                };
                asked.await.is_ok()
            }
        }
    }
}

impl Injected {
    /// Undoes it.
    ///
    /// # Errors
    /// When the daemon or the database refuses.
    pub async fn heal(self) -> Result<(), FaultError> {
        match self {
            Self::Paused { container, undo } => {
                resume(&container.daemon, &container.name)
                    .await
                    .map_err(|source| FaultError::Daemon {
                        what: "unpause",
                        container: container.name.clone(),
                        source,
                    })?;
                Ok(undo.forget()?)
            }
            Self::Locked { mut connection } => {
                let failed = |source| FaultError::Database { what: "unlock", source };
                sqlx::query("ROLLBACK").execute(&mut connection).await.map_err(failed)?;
                connection.close().await.map_err(failed)
            }
        }
    }
}

/// A connection that waits only briefly for a lock: it is asked again anyway.
async fn open(url: &str) -> Result<SqliteConnection, FaultError> {
    let failed = |source| FaultError::Database { what: "open", source };
    SqliteConnectOptions::from_str(url)
        .map_err(failed)?
        .busy_timeout(Duration::from_secs(1))
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed)
}
