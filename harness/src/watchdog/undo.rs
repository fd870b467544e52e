//! What can be undone for a run that died.

use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::daemon::{Daemon, ProcessId, sweep};
use crate::namespace::{self, NamespaceError, Servers};

/// Folders whose names begin otherwise are never removed, whatever the list says.
pub const FOLDER_PREFIX: &str = "soundcheck-";

/// One entry of the undo list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Remove every container that carries the stack's label.
    RemoveContainers { stack: String },
    /// Let a container that we paused, or stopped, run again; for those that are not ours to remove.
    ResumeContainer { container: String },
    /// Kill a process group whose leader we started.
    KillGroup { leader: ProcessId },
    /// Let a process that we stopped go on.
    Continue { process: ProcessId },
    /// Remove what a namespace of ours left on servers that are not.
    RemoveNamespace { servers: Servers, namespace: String },
    /// Remove a temporary folder of ours.
    RemoveFolder { path: PathBuf },
}

/// Why an entry could not be undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// No daemon to ask.
    #[error("cannot reach the container daemon")]
    Daemon(#[from] crate::daemon::DaemonError),
    /// Containers stay.
    #[error("cannot remove the containers")]
    Sweep(#[from] sweep::SweepError),
    /// A namespace stays.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A container stays paused or stopped.
    #[error("cannot resume container {container}; resume it with: docker unpause {container}")]
    Resume {
        container: String,
        #[source]
        source: testcontainers::bollard::errors::Error,
    },
    /// A signal was refused.
    #[error("cannot signal process {pid}")]
    Signal {
        pid: u32,
        #[source]
        source: std::io::Error,
    },
    /// A folder stays.
    #[error("cannot remove {path}")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Undo {
    /// Does it; what is undone already is no error.
    ///
    /// # Errors
    /// The daemon or the kernel refuses.
    pub async fn run(&self) -> Result<(), UndoError> {
        match self {
            Self::RemoveContainers { stack } => {
                let daemon = Daemon::connect().await?;
                Ok(sweep::remove_stack_until_quiet(&daemon, stack).await?)
            }
            Self::ResumeContainer { container } => {
                let daemon = Daemon::connect().await?;
                crate::daemon::connect::resume(&daemon, container)
                    .await
                    .map_err(|source| UndoError::Resume {
                        container: container.clone(),
                        source,
                    })
            }
            Self::RemoveNamespace { servers, namespace } => Ok(namespace::remove(servers, namespace).await?),
            Self::KillGroup { leader } => signal(*leader, |pid| kill_process_group(pid, Signal::KILL)),
            Self::Continue { process } => signal(*process, |pid| kill_process(pid, Signal::CONT)),
            Self::RemoveFolder { path } => remove_folder(path.clone()),
        }
    }
}

/// Sends a signal unless the process is gone, so that its number may be somebody else's by now.
fn signal(process: ProcessId, send: impl FnOnce(Pid) -> rustix::io::Result<()>) -> Result<(), UndoError> {
    let raw = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = raw.filter(|_| process.is_alive()) else {
        return Ok(());
    };
    match send(pid) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(UndoError::Signal {
            pid: process.pid,
            source: errno.into(),
        }),
    }
}

fn remove_folder(path: PathBuf) -> Result<(), UndoError> {
    let is_ours = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(FOLDER_PREFIX));
    if !is_ours {
        return Ok(());
    }
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(UndoError::Folder { path, source: error }),
        _ => Ok(()),
    }
}
