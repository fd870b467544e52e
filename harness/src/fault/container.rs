//! A container that is paused, killed, stopped or restarted. Its host ports stay the same.

use futures::future::BoxFuture;
use testcontainers::bollard::errors::Error as ApiError;
use testcontainers::bollard::query_parameters::{KillContainerOptions, RestartContainerOptions, StopContainerOptions};

use super::contract::{Fault, FaultError, Injected, WORKS_WITHIN, still_broken};
use crate::daemon::connect::resume;
use crate::stack::{ContainerHandle, probe};
use crate::watchdog::{Entry, Undo, Watchdog};

/// How long a server may take to close its files, before the daemon kills it.
const STOP_WITHIN_SECONDS: i32 = 10;

/// What happens to the container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContainerTrouble {
    /// Frozen: connections stay open and nothing answers.
    Pause,
    /// Gone at once, as after a crash of the machine.
    Kill,
    /// Gone after an orderly end.
    Stop,
    /// Gone after an orderly end, and back by itself: there is nothing to heal.
    Restart,
}

/// Trouble for one container of ours.
#[derive(Clone, Debug)]
pub struct ContainerFault {
    pub container: ContainerHandle,
    pub trouble: ContainerTrouble,
}

#[derive(Debug)]
struct InTrouble {
    container: ContainerHandle,
    undo: Entry,
}

impl ContainerTrouble {
    const fn verb(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

impl ContainerFault {
    async fn act(&self) -> Result<(), ApiError> {
        let (api, name) = (self.container.daemon.api(), &self.container.name);
        match self.trouble {
            ContainerTrouble::Pause => api.pause_container(name).await,
            ContainerTrouble::Kill => {
                let options = KillContainerOptions {
                    signal: "SIGKILL".to_owned(),
                };
                api.kill_container(name, Some(options)).await
            }
            ContainerTrouble::Stop => {
                let options = StopContainerOptions {
                    t: Some(STOP_WITHIN_SECONDS),
                    ..StopContainerOptions::default()
                };
                api.stop_container(name, Some(options)).await
            }
            ContainerTrouble::Restart => {
                let t = Some(STOP_WITHIN_SECONDS);
                let options = RestartContainerOptions {
                    t,
                    ..RestartContainerOptions::default()
                };
                api.restart_container(name, Some(options)).await
            }
        }
    }
}

impl Fault for ContainerFault {
    fn target(&self) -> String {
        format!("container {}", self.container.name)
    }

    fn inject<'a>(&'a self, watchdog: &'a Watchdog) -> BoxFuture<'a, Result<Box<dyn Injected>, FaultError>> {
        Box::pin(async move {
            let container = self.container.clone();
            let undo = watchdog.register(Undo::ResumeContainer {
                container: container.name.clone(),
            })?;
            self.act().await.map_err(|source| FaultError::Daemon {
                what: self.trouble.verb(),
                container: container.name.clone(),
                source,
            })?;
            Ok(Box::new(InTrouble { container, undo }) as Box<dyn Injected>)
        })
    }

    fn verify(&self) -> BoxFuture<'_, Result<(), FaultError>> {
        Box::pin(async {
            let answered = probe::until_ready(self.container.component, &self.container.address, WORKS_WITHIN).await;
            answered.map(drop).map_err(still_broken(self.target()))
        })
    }
}

impl Injected for InTrouble {
    fn heal(self: Box<Self>) -> BoxFuture<'static, Result<(), FaultError>> {
        Box::pin(async move {
            let Self { container, undo } = *self;
            resume(&container.daemon, &container.name)
                .await
                .map_err(|source| FaultError::Daemon {
                    what: "resume",
                    container: container.name,
                    source,
                })?;
            Ok(undo.forget()?)
        })
    }
}
