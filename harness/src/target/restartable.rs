//! A service that may be killed and comes back at the same address.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::process::{RunningService, Stopped};
use super::program::{Program, ServiceConfig, TargetError};
use crate::daemon::ProcessId;
use crate::stack::ports::{self, Reserved};
use crate::watchdog::Watchdog;

/// From the signal to the last thread's stop, on a busy machine.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(1);

/// A place for one service process at a time.
#[derive(Debug)]
pub struct Restartable {
    program: Program,
    config: ServiceConfig,
    folder: PathBuf,
    name: String,
    watchdog: Watchdog,
    /// Ours also while nobody listens there.
    _port: Reserved,
    base_url: String,
    running: Mutex<Option<RunningService>>,
}

impl Restartable {
    /// Starts the service on a port that is chosen once: one that the kernel hands out to clients could be taken while
    /// the service is away.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn launch(
        program: Program,
        mut config: ServiceConfig,
        folder: PathBuf,
        name: &str,
        watchdog: Watchdog,
    ) -> Result<Self, TargetError> {
        let port = ports::reserve().map_err(|source| TargetError::System {
            what: "find a port for",
            source,
        })?;
        let address = port.address();
        config.set("listen", address.to_string());
        let place = Self {
            program,
            config,
            folder,
            name: name.to_owned(),
            watchdog,
            _port: port,
            base_url: format!("http://{address}"),
            running: Mutex::new(None),
        };
        place.start().await?;
        Ok(place)
    }

    /// Where it listens, running or not.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The process that runs now.
    ///
    /// # Errors
    /// None does.
    pub async fn process(&self) -> Result<ProcessId, TargetError> {
        self.running
            .lock()
            .await
            .as_ref()
            .map(RunningService::process)
            .ok_or(TargetError::NotRunning)
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// None runs, or the kernel refuses.
    pub async fn signal(&self, signal: Signal) -> Result<(), TargetError> {
        self.running
            .lock()
            .await
            .as_ref()
            .ok_or(TargetError::NotRunning)?
            .signal(signal)
    }

    /// Stops the process where it is, and returns when nothing of it runs any more.
    ///
    /// # Errors
    /// None runs, the kernel refuses, or it does not stop in time; then it runs on.
    pub async fn freeze(&self) -> Result<(), TargetError> {
        self.signal(Signal::STOP).await?;
        let process = self.process().await?;
        let deadline = Instant::now() + STOPS_WITHIN;
        while !process.is_stopped() {
            if Instant::now() >= deadline {
                self.signal(Signal::CONT).await?;
                return Err(TargetError::TooSlow {
                    command: "SIGSTOP".to_owned(),
                    within: STOPS_WITHIN,
                });
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Kills the process, as a crash would.
    ///
    /// # Errors
    /// None runs, or the kernel refuses.
    pub async fn kill(&self) -> Result<(), TargetError> {
        let running = self.running.lock().await.take().ok_or(TargetError::NotRunning)?;
        running.kill().await.map(drop)
    }

    /// Starts the service unless it runs.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn start(&self) -> Result<(), TargetError> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            let watchdog = Some(&self.watchdog);
            let launched = RunningService::launch(&self.program, &self.config, &self.folder, &self.name, watchdog);
            *running = Some(launched.await?);
        }
        Ok(())
    }

    /// Ends the process in the orderly way, if one runs; `None` when none does.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn stop(&self, within: Duration) -> Result<Option<Stopped>, TargetError> {
        match self.running.lock().await.take() {
            Some(running) => running.stop(within).await.map(Some),
            None => Ok(None),
        }
    }
}
