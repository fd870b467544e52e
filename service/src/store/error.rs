//! The few kinds of database failure that callers treat differently.

/// Why a store method did not do its work. A refusal by a rule is not an error; it is in each method's result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique key is taken: the caller looks up what took it.
    #[error("a row with this key exists")]
    Duplicate(#[source] sqlx::Error),
    /// The transaction lost to another one and was rolled back; it may be run again.
    #[error("another transaction was in the way ({reason})")]
    Contended {
        /// `deadlock` or `lock_wait`.
        reason: &'static str,
        /// The driver's words.
        #[source]
        source: sqlx::Error,
    },
    /// No connection came free in time: overload, nothing was begun.
    #[error("no database connection came free in time")]
    PoolTimeout(#[source] sqlx::Error),
    /// The server is away, or locked by another process; whether a commit took effect is not known.
    #[error("the database did not answer")]
    Unreachable(#[source] sqlx::Error),
    /// Nothing is to be had where the configuration leads.
    #[error("cannot reach the database, {place}; check `database.url`, and whether it runs")]
    Away {
        /// What was tried.
        place: String,
        /// The driver's words.
        #[source]
        source: sqlx::Error,
    },
    /// Nothing more can be stored.
    #[error("the database has no space left; free some where `database.url` leads")]
    NoSpace(#[source] sqlx::Error),
    /// The schema is missing or of another version.
    #[error("the schema is not as this build needs it ({0}): run `service migrate` first")]
    Schema(String),
    /// A row holds what no code of ours writes.
    #[error("the table `{0}` holds an impossible value")]
    Corrupt(&'static str),
    /// Anything else: a defect.
    #[error("the database refused a statement")]
    Statement(#[source] sqlx::Error),
}

/// Deadlock: InnoDB rolled the whole transaction back.
const MYSQL_DEADLOCK: u16 = 1213;
/// Lock wait time-out: InnoDB rolled the statement back only; dropping the transaction undoes the rest.
const MYSQL_LOCK_WAIT: u16 = 1205;
/// Server shutdown, too many connections, read-only, connection killed.
const MYSQL_AWAY: &[u16] = &[1040, 1053, 1152, 1184, 1290, 1317, 1836, 1927, 3024, 3168];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(database) = &error else {
            return match error {
                sqlx::Error::PoolTimedOut => Self::PoolTimeout(error),
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed => Self::Unreachable(error),
                _ => Self::Statement(error),
            };
        };
        if database.is_unique_violation() {
            return Self::Duplicate(error);
        }
        if let Some(mysql) = database.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            return match mysql.number() {
                MYSQL_DEADLOCK => Self::Contended {
                    reason: "deadlock",
                    source: error,
                },
                MYSQL_LOCK_WAIT => Self::Contended {
                    reason: "lock_wait",
                    source: error,
                },
                number if MYSQL_AWAY.contains(&number) => Self::Unreachable(error),
                _ => Self::Statement(error),
            };
        }
        // SQLite's primary result code is the low byte: 5 BUSY, 6 LOCKED, 8 READONLY, 10 IOERR, 13 FULL, 14 CANTOPEN.
        let primary = database
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .map(|code| code & 0xff);
        match primary {
            Some(13) => Self::NoSpace(error),
            Some(5 | 6 | 8 | 10 | 14) => Self::Unreachable(error),
            _ => Self::Statement(error),
        }
    }
}

impl StoreError {
    /// The same of a first connection, which failed to `place`.
    pub(super) fn at(self, place: String) -> Self {
        match self {
            Self::Unreachable(source) | Self::PoolTimeout(source) => Self::Away { place, source },
            other => other,
        }
    }

    /// The label in `booking_database_errors_total`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PoolTimeout(_) => "pool_timeout",
            Self::Unreachable(_) | Self::Away { .. } => "connection",
            Self::NoSpace(_) => "no_space",
            Self::Contended { reason, .. } => reason,
            Self::Duplicate(_) => "duplicate",
            Self::Schema(_) | Self::Corrupt(_) | Self::Statement(_) => "other",
        }
    }
}
