//! Servers that run already: asked who they are, used, and left as they were.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::future::{BoxFuture, join_all};

use super::component::{Component, Endpoints, EngineInfo, StackKind, without_password};
use super::containers::engine_name;
use super::contract::{ContainerHandle, Stack};
use super::embedded::MockBroker;
use super::error::StackError;
use super::options::{StackEvent, StackOptions};
use super::{namespace, probe};

/// A stack of somebody else's servers.
#[derive(Debug)]
pub struct External {
    endpoints: Endpoints,
    engines: Vec<EngineInfo>,
}

impl External {
    /// Probes every component that `options` wants.
    ///
    /// # Errors
    /// URLs are missing or unreadable, or what they lead to does not answer as it should; each is named.
    pub async fn connect(options: &StackOptions) -> Result<Self, StackError> {
        let urls = [
            (
                Component::Database,
                &options.external.mysql,
                "--mysql URL",
                "SOUNDCHECK_MYSQL_URL",
            ),
            (
                Component::Redis,
                &options.external.redis,
                "--redis URL",
                "SOUNDCHECK_REDIS_URL",
            ),
            (
                Component::Kafka,
                &options.external.kafka,
                "--kafka HOST:PORT",
                "SOUNDCHECK_KAFKA_BROKERS",
            ),
        ];
        let mut addresses = BTreeMap::new();
        let mut wrong = Vec::new();
        for (component, url, option, variable) in urls {
            match url {
                _ if !options.wants(component) => {}
                // The service's schema is its namespace, so a URL ends with the address.
                Some(url) => drop(addresses.insert(component, url.trim_end_matches('/').to_owned())),
                None => wrong.push(StackError::MissingUrl { option, variable }),
            }
        }
        StackError::all(wrong)?;
        let answers = join_all(addresses.iter().map(|(component, address)| async move {
            let started = Instant::now();
            let what = without_password(address);
            options.observer.tell(&StackEvent::Starting {
                component: *component,
                what,
            });
            let version = probe::probe(*component, address, probe::ANSWER_WITHIN).await?;
            options.observer.tell(&StackEvent::Ready {
                component: *component,
                took: started.elapsed(),
            });
            let engine = engine_name(*component).to_owned();
            Ok::<_, StackError>(EngineInfo {
                component: *component,
                engine,
                version,
                image: None,
                image_digest: None,
            })
        }))
        .await;
        let mut engines = Vec::with_capacity(answers.len());
        let mut wrong = Vec::new();
        for answer in answers {
            match answer {
                Ok(engine) => engines.push(engine),
                Err(error) => wrong.push(error),
            }
        }
        StackError::all(wrong)?;
        let endpoints = Endpoints {
            database_url: addresses.remove(&Component::Database).unwrap_or_default(),
            redis_url: addresses.remove(&Component::Redis),
            kafka_brokers: addresses.remove(&Component::Kafka),
        };
        Ok(Self { endpoints, engines })
    }
}

impl Stack for External {
    fn kind(&self) -> StackKind {
        StackKind::External
    }

    fn service_endpoints(&self, _namespace: &str) -> Endpoints {
        self.endpoints.clone()
    }

    fn upstream_endpoints(&self, namespace: &str) -> Endpoints {
        Endpoints {
            kafka_brokers: None,
            ..self.service_endpoints(namespace)
        }
    }

    fn direct_endpoints(&self, _namespace: &str) -> Endpoints {
        self.endpoints.clone()
    }

    fn engines(&self) -> &[EngineInfo] {
        &self.engines
    }

    fn container(&self, _component: Component) -> Option<ContainerHandle> {
        None
    }

    fn mock_broker(&self) -> Option<MockBroker> {
        None
    }

    fn remove_namespace<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<(), StackError>> {
        Box::pin(namespace::remove(&self.endpoints, namespace))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), StackError>> {
        Box::pin(async { Ok(()) })
    }
}
