//! Trouble on one edge of the network, by the proxy that stands on it.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::contract::{Fault, FaultError, Injected, WORKS_WITHIN, still_broken};
use super::proxy::{Conditions, Direction, Proxy, Reception};
use crate::stack::{Component, probe};
use crate::watchdog::Watchdog;

/// What happens on the edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EdgeTrouble {
    /// Bytes of live and new links suffer, in the directions named.
    Conditions(Vec<(Direction, Conditions)>),
    /// New connections are refused, or hang.
    Reception(Reception),
    /// Live links are reset, once; there is nothing to heal.
    Reset,
    /// Live links are reset and new connections refused, as when a server is gone.
    Gone,
}

/// Trouble between the service and one component.
#[derive(Clone, Debug)]
pub struct EdgeFault {
    pub component: Component,
    pub proxy: Arc<Proxy>,
    /// The component's URL through the proxy.
    pub address: String,
    pub trouble: EdgeTrouble,
}

/// The proxy lives in this process: it heals, at the latest, with its end.
#[derive(Debug)]
struct InTrouble(Arc<Proxy>);

impl Fault for EdgeFault {
    fn target(&self) -> String {
        format!("the way to {}", self.component)
    }

    fn inject<'a>(&'a self, _watchdog: &'a Watchdog) -> BoxFuture<'a, Result<Box<dyn Injected>, FaultError>> {
        Box::pin(async move {
            match &self.trouble {
                EdgeTrouble::Conditions(directions) => {
                    for (direction, conditions) in directions {
                        self.proxy.set(*direction, conditions.clone());
                    }
                }
                EdgeTrouble::Reception(reception) => self.proxy.set_reception(*reception).await?,
                EdgeTrouble::Reset => self.proxy.reset_links(),
                EdgeTrouble::Gone => {
                    self.proxy.set_reception(Reception::Refuse).await?;
                    self.proxy.reset_links();
                }
            }
            Ok(Box::new(InTrouble(Arc::clone(&self.proxy))) as Box<dyn Injected>)
        })
    }

    fn verify(&self) -> BoxFuture<'_, Result<(), FaultError>> {
        Box::pin(async {
            let answered = probe::until_ready(self.component, &self.address, WORKS_WITHIN).await;
            answered.map(drop).map_err(still_broken(self.target()))
        })
    }
}

impl Injected for InTrouble {
    fn heal(self: Box<Self>) -> BoxFuture<'static, Result<(), FaultError>> {
        Box::pin(async move { Ok(self.0.heal().await?) })
    }
}
