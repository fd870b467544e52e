//! The mock broker, gone for a while. A broker in a container is a matter of [`super::container`].

use futures::future::BoxFuture;
use rdkafka::error::KafkaError;

use super::contract::{Fault, FaultError, Injected, WORKS_WITHIN, still_broken};
use crate::stack::embedded::MockBroker;
use crate::stack::{Component, probe};
use crate::watchdog::Watchdog;

/// Closes the broker's connections and refuses new ones; what it holds stays. It lives in this process.
#[derive(Clone, Debug)]
pub struct MockBrokerDown {
    pub broker: MockBroker,
}

#[derive(Debug)]
struct Down {
    /// `None` once it is up again.
    broker: Option<MockBroker>,
}

impl Fault for MockBrokerDown {
    fn target(&self) -> String {
        format!("mock broker {}", self.broker.brokers())
    }

    fn inject<'a>(&'a self, _watchdog: &'a Watchdog) -> BoxFuture<'a, Result<Box<dyn Injected>, FaultError>> {
        Box::pin(async {
            self.broker.take_down().map_err(refused("take down"))?;
            Ok(Box::new(Down {
                broker: Some(self.broker.clone()),
            }) as Box<dyn Injected>)
        })
    }

    fn verify(&self) -> BoxFuture<'_, Result<(), FaultError>> {
        Box::pin(async {
            let answered = probe::until_ready(Component::Kafka, self.broker.brokers(), WORKS_WITHIN).await;
            answered.map(drop).map_err(still_broken(self.target()))
        })
    }
}

impl Injected for Down {
    fn heal(mut self: Box<Self>) -> BoxFuture<'static, Result<(), FaultError>> {
        Box::pin(async move {
            self.broker
                .take()
                .map_or(Ok(()), |broker| broker.bring_up())
                .map_err(refused("bring up"))
        })
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.broker.take().map(|broker| broker.bring_up()) {
            tracing::warn!(%error, "the mock broker stays down");
        }
    }
}

fn refused(what: &'static str) -> impl Fn(KafkaError) -> FaultError {
    move |source| FaultError::MockBroker { what, source }
}
