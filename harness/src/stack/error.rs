//! Why there is no stack: what was tried, and what to do.

use std::time::Duration;

use super::component::Component;
use crate::causes;
use crate::daemon::DaemonError;

/// A stack could not be opened or used. The tool ends with its exit code for that, whichever it is.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// No daemon for containers.
    #[error("the stack `containers` needs a container daemon")]
    Daemon(#[from] DaemonError),
    /// An image is neither local nor to be had in time.
    #[error(
        "no image for {component}: {official} and {stand_in} are not local, and pulling {official} failed ({why}); \
         build the stand-in with `soundcheck images build {component}`, or name another with --image {component}=NAME"
    )]
    Image {
        component: Component,
        official: String,
        stand_in: String,
        why: String,
    },
    /// An image that was asked for by name is not there.
    #[error(
        "image {image} for {component} is not local and cannot be pulled ({why}); pull it, or name another with \
         --image {component}=NAME"
    )]
    NamedImage {
        component: Component,
        image: String,
        why: String,
    },
    /// A container did not come up.
    #[error(
        "{component} did not start from {image} ({why}); see whether this machine has memory and time enough for it, or \
         name another with --image {component}=NAME; the end of its log:\n{log}"
    )]
    Start {
        component: Component,
        image: String,
        why: String,
        log: String,
    },
    /// Something answers, or does not, in a way that is no working component.
    #[error("{component} at {address}: {what}")]
    Probe {
        component: Component,
        address: String,
        what: ProbeFailure,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A URL was not given.
    #[error("the stack `external` needs {option} (or {variable})")]
    MissingUrl {
        option: &'static str,
        variable: &'static str,
    },
    /// A URL cannot be read.
    #[error("{address} is no address for {component}; expected {expected}")]
    BadUrl {
        component: Component,
        address: String,
        expected: &'static str,
    },
    /// The embedded database has nowhere to be.
    #[error("cannot make the folder of the embedded database in {}; free some space there, or set TMPDIR to another folder", .folder.display())]
    Folder {
        folder: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The embedded broker could not be made.
    #[error("cannot set up the embedded {what}")]
    Embedded {
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody would clean up.
    #[error("cannot start containers without a watchdog")]
    Watchdog(#[from] crate::watchdog::WatchdogError),
    /// The sweep failed.
    #[error("cannot clean up containers")]
    Sweep(#[from] crate::daemon::sweep::SweepError),
    /// The operating system refused something small.
    #[error("cannot {what}")]
    System {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// More than one thing is wrong.
    #[error("the stack has {} errors:{}", .0.len(), lines(.0))]
    Several(Vec<StackError>),
    /// A namespace could not be removed.
    #[error("cannot remove namespace {namespace} from {component}")]
    Namespace {
        component: Component,
        namespace: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StackError {
    /// One error for all of them, so that a person mends everything in one go.
    ///
    /// # Errors
    /// When there is any.
    pub(super) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }
}

/// Every error with its causes, a line each.
fn lines(errors: &[StackError]) -> String {
    errors
        .iter()
        .map(|error| format!("\n  {}", causes::chain(error)))
        .collect()
}

/// In which way a probe failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeFailure {
    /// Nothing listens there.
    Refused,
    /// No connection, or one and then silence.
    Silent(Duration),
    /// A connection, and no greeting where one comes first.
    NoGreeting(Duration),
    /// An answer in another protocol.
    OtherProtocol,
    /// The component itself refuses, for instance for a wrong password.
    Rejected(String),
    /// Anything else.
    Other(String),
}

impl std::fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("nothing listens there; start it or correct the address"),
            Self::Silent(waited) => {
                write!(
                    f,
                    "no usable answer within {} s; check the address and the firewall",
                    waited.as_secs()
                )
            }
            Self::NoGreeting(waited) => {
                write!(
                    f,
                    "it takes the connection and says nothing within {} s, where such a server speaks first; \
                     check the port, or whether it hangs",
                    waited.as_secs()
                )
            }
            Self::OtherProtocol => f.write_str("something else answers there, or hangs up at once; check the port"),
            Self::Rejected(said) => write!(f, "it refuses: {said}"),
            Self::Other(said) => f.write_str(said),
        }
    }
}
