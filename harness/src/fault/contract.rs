//! What every fault can do: break something, mend it, and see that it is mended.

use std::fmt::Debug;
use std::time::Duration;

use futures::future::BoxFuture;

use super::proxy::ProxyError;
use crate::stack::StackError;
use crate::target::TargetError;
use crate::watchdog::{Watchdog, WatchdogError};

/// How long something healed may take until it works; a broker that was killed starts anew.
pub(super) const WORKS_WITHIN: Duration = Duration::from_secs(60);
pub(super) const ASK_EVERY: Duration = Duration::from_millis(50);

/// A way to break something, ready to be used.
pub trait Fault: Debug + Send + Sync {
    /// What is broken, for events and reports.
    fn target(&self) -> String;

    /// Breaks it, and puts the cure on the watchdog's list where a crash of this process would not be cure enough.
    fn inject<'a>(&'a self, watchdog: &'a Watchdog) -> BoxFuture<'a, Result<Box<dyn Injected>, FaultError>>;

    /// Sees that it works again, by using it.
    fn verify(&self) -> BoxFuture<'_, Result<(), FaultError>>;
}

/// Something broken.
///
/// Dropped without [`Injected::heal`], what lives in this process heals at once, and the rest when the process ends.
pub trait Injected: Debug + Send {
    /// Mends it.
    fn heal(self: Box<Self>) -> BoxFuture<'static, Result<(), FaultError>>;
}

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
    /// The table does not have as many rows as are to be locked.
    #[error("{table} has {found} rows, so that {wanted} cannot be locked")]
    TooFewRows { table: String, found: usize, wanted: u32 },
    /// The name could end the statement that it stands in.
    #[error("`{0}` is no name of a schema or table; expected letters, digits and underscores")]
    Name(String),
    /// The mock broker refuses.
    #[error("cannot {what} the mock broker")]
    MockBroker {
        what: &'static str,
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The proxy refuses.
    #[error("cannot change the network")]
    Proxy(#[from] ProxyError),
    /// An address in front of which a proxy should stand cannot be found.
    #[error("cannot find the server at {address}")]
    Address {
        address: String,
        #[source]
        source: Option<std::io::Error>,
    },
    /// The service cannot be signalled or started again.
    #[error("cannot {what}")]
    Service {
        what: &'static str,
        #[source]
        source: TargetError,
    },
    /// Nobody would heal it after a crash.
    #[error("cannot inject a fault without a watchdog")]
    Watchdog(#[from] WatchdogError),
    /// It was healed and is still broken.
    #[error("{target} does not work after it was healed; look at it, or start it anew, before the next run")]
    StillBroken {
        target: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// [`FaultError::StillBroken`] for a component that does not answer.
pub(super) fn still_broken(target: String) -> impl FnOnce(StackError) -> FaultError {
    |error| FaultError::StillBroken {
        target,
        source: Some(error.into()),
    }
}
