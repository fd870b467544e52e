//! The service itself: frozen, or killed and started again at the same address.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::process::Signal;
use tokio::time::Instant;

use super::contract::{ASK_EVERY, Fault, FaultError, Injected, WORKS_WITHIN};
use crate::target::Restartable;
use crate::watchdog::{Entry, Undo, Watchdog};

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What happens to the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceTrouble {
    /// SIGSTOP: connections stay open and nothing answers.
    Freeze,
    /// SIGKILL: gone at once. Healing starts it again.
    Kill,
}

/// Trouble for the service under test.
#[derive(Clone, Debug)]
pub struct ServiceFault {
    pub service: Arc<Restartable>,
    pub trouble: ServiceTrouble,
}

#[derive(Debug)]
struct Frozen {
    service: Arc<Restartable>,
    undo: Entry,
}

#[derive(Debug)]
struct Killed {
    service: Arc<Restartable>,
}

impl Fault for ServiceFault {
    fn target(&self) -> String {
        format!("service at {}", self.service.base_url())
    }

    fn inject<'a>(&'a self, watchdog: &'a Watchdog) -> BoxFuture<'a, Result<Box<dyn Injected>, FaultError>> {
        Box::pin(async move {
            let service = Arc::clone(&self.service);
            let failed = |what| move |source| FaultError::Service { what, source };
            Ok(match self.trouble {
                ServiceTrouble::Freeze => {
                    let what = "freeze the service";
                    let process = service.process().await.map_err(failed(what))?;
                    let undo = watchdog.register(Undo::Continue { process })?;
                    service.freeze().await.map_err(failed(what))?;
                    Box::new(Frozen { service, undo }) as Box<dyn Injected>
                }
                ServiceTrouble::Kill => {
                    service.kill().await.map_err(failed("kill the service"))?;
                    Box::new(Killed { service })
                }
            })
        })
    }

    fn verify(&self) -> BoxFuture<'_, Result<(), FaultError>> {
        Box::pin(async {
            let url = format!("{}/health/live", self.service.base_url());
            let broken = |error: reqwest::Error| FaultError::StillBroken {
                target: self.target(),
                source: Some(error.into()),
            };
            let client = reqwest::Client::builder()
                .timeout(ANSWER_WITHIN)
                .build()
                .map_err(broken)?;
            let deadline = Instant::now() + WORKS_WITHIN;
            loop {
                let answered = client
                    .get(&url)
                    .send()
                    .await
                    .and_then(reqwest::Response::error_for_status);
                match answered {
                    Ok(_alive) => return Ok(()),
                    Err(error) if Instant::now() >= deadline => return Err(broken(error)),
                    Err(_not_yet) => tokio::time::sleep(ASK_EVERY).await,
                }
            }
        })
    }
}

impl Injected for Frozen {
    fn heal(self: Box<Self>) -> BoxFuture<'static, Result<(), FaultError>> {
        Box::pin(async move {
            let thawed = self.service.signal(Signal::CONT).await;
            thawed.map_err(|source| FaultError::Service {
                what: "thaw the service",
                source,
            })?;
            Ok(self.undo.forget()?)
        })
    }
}

impl Injected for Killed {
    fn heal(self: Box<Self>) -> BoxFuture<'static, Result<(), FaultError>> {
        Box::pin(async move {
            let started = self.service.start().await;
            started.map_err(|source| FaultError::Service {
                what: "start the service again",
                source,
            })
        })
    }
}
