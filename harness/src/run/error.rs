//! Why a run ended without a whole recording.

use std::path::PathBuf;

use crate::load::{CatalogueError, LoadError};
use crate::plan::design::DesignError;
use crate::recording::RecordError;
use crate::scrape::ScrapeError;
use crate::scrape::poll::PollError;
use crate::stack::StackError;
use crate::target::TargetError;

/// Why a run ended without a whole recording; what was written until then is kept.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan could not carry a claim.
    #[error("the plan cannot carry a claim")]
    Design(#[from] DesignError),
    /// The plan cannot be written down.
    #[error("cannot write the plan")]
    Plan(#[from] serde_yaml::Error),
    /// The recording.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A service.
    #[error("variant `{variant}` cannot be run")]
    Target {
        variant: String,
        #[source]
        source: TargetError,
    },
    /// What there is to ask for.
    #[error("cannot read what variant `{variant}` has on sale")]
    Catalogue {
        variant: String,
        #[source]
        source: CatalogueError,
    },
    /// Variants that were to differ in one thing alone.
    #[error(
        "variants `{one}` and `{other}` were seeded alike and hold different data ({one_hash} and {other_hash}), so nothing that they show could be compared; look for what their settings change in the service's seeding"
    )]
    UnequalData {
        one: String,
        one_hash: String,
        other: String,
        other_hash: String,
    },
    /// The load.
    #[error("the load could not be driven")]
    Load(#[from] LoadError),
    /// A source of figures that cannot even be asked.
    #[error("cannot scrape")]
    Scrape(#[from] ScrapeError),
    /// Scraped figures.
    #[error(transparent)]
    Poll(#[from] PollError),
    /// The stack.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A fault, or its heal.
    #[error("the fault `{fault}` failed")]
    Fault {
        fault: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A variant bore nothing at all.
    #[error("variant `{variant}` answered nothing when it was probed; its log is {}", log.display())]
    NothingBorne { variant: String, log: PathBuf },
    /// A scratch file.
    #[error("cannot use {path}")]
    File {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A task panicked: a bug.
    #[error("a task of the run panicked; this is a bug in the tool")]
    Panicked(#[from] tokio::task::JoinError),
    /// Somebody asked for the end.
    #[error("interrupted; what was measured is kept in {0}")]
    Interrupted(std::path::PathBuf),
}
