//! The run's side: starts the child and keeps its list up to date.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use super::child::{Line, SUBCOMMAND};
use super::undo::Undo;
use crate::spawning;

/// Holds the pipe. The last clone or [`Entry`] to go closes it, and the child undoes what is left on the list.
#[derive(Clone, Debug)]
pub struct Watchdog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pipe: Mutex<Pipe>,
}

#[derive(Debug)]
struct Pipe {
    /// `None` after the child was told to end.
    input: Option<ChildStdin>,
    child: Child,
    next_id: u64,
}

/// An entry on the undo list. Dropping it leaves it there: call [`Entry::forget`] once it is undone.
#[derive(Debug)]
pub struct Entry {
    id: u64,
    shared: Arc<Shared>,
}

/// Without a watchdog nothing is started, since nobody would clean up.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// The child did not start.
    #[error("cannot start the watchdog {program}")]
    Start {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The child is gone.
    #[error("the watchdog has ended, so nothing would be cleaned up after a crash")]
    Gone(#[source] std::io::Error),
}

impl Watchdog {
    /// Starts `program`, which is this tool: see [`this_program`].
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &Path) -> Result<Self, WatchdogError> {
        let _starting = spawning::begin();
        let mut child = Command::new(program)
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C on the terminal, or a kill of the run's group, must not reach it.
            .process_group(0)
            .spawn()
            .map_err(|source| WatchdogError::Start {
                program: program.to_owned(),
                source,
            })?;
        let input = child.stdin.take();
        Ok(Self {
            shared: Arc::new(Shared {
                pipe: Mutex::new(Pipe {
                    input,
                    child,
                    next_id: 0,
                }),
            }),
        })
    }

    /// Puts `undo` on the list; to be called before that which it undoes.
    ///
    /// # Errors
    /// The child is gone.
    pub fn register(&self, undo: Undo) -> Result<Entry, WatchdogError> {
        let mut pipe = self.shared.lock();
        let id = pipe.next_id;
        pipe.next_id += 1;
        pipe.write(&Line::Add { id, undo })?;
        drop(pipe);
        Ok(Entry {
            id,
            shared: Arc::clone(&self.shared),
        })
    }
}

impl Entry {
    /// Takes it off the list.
    ///
    /// # Errors
    /// The child is gone, so that the list does not matter any more.
    pub fn forget(self) -> Result<(), WatchdogError> {
        self.shared.lock().write(&Line::Forget { id: self.id })
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Pipe> {
        // A line is written whole or not at all, so a panic elsewhere leaves the list usable.
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    fn write(&mut self, line: &Line) -> Result<(), WatchdogError> {
        let mut text = serde_json::to_vec(line).map_err(|error| WatchdogError::Gone(error.into()))?;
        text.push(b'\n');
        let closed = || WatchdogError::Gone(std::io::ErrorKind::BrokenPipe.into());
        self.input
            .as_mut()
            .ok_or_else(closed)?
            .write_all(&text)
            .map_err(WatchdogError::Gone)
    }
}

impl Drop for Pipe {
    /// Waits for the child, so that after an orderly end nothing runs any more; with an empty list that is at once.
    fn drop(&mut self) {
        self.input = None;
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, "cannot wait for the watchdog");
        }
    }
}

/// The program to start as the watchdog, or as the service: this one.
///
/// # Errors
/// The kernel does not tell.
pub fn this_program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}
