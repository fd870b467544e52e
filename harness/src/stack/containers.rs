//! MySQL, Redis and Kafka in containers, started side by side.
//!
//! Every container carries our labels from its creation, the watchdog knows the stack before the first one exists, and
//! host ports stay the same when a fault restarts a container.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use futures::StreamExt;
use futures::future::{BoxFuture, try_join_all};
use testcontainers::bollard::query_parameters::LogsOptions;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt, TestcontainersError};

use super::component::{Component, Endpoints, EngineInfo, StackKind};
use super::contract::{ContainerHandle, Stack};
use super::embedded::MockBroker;
use super::error::StackError;
use super::images::LocalImage;
use super::namespace;
use super::options::{Observer, StackEvent, StackOptions};
use super::ports::Ports;
use super::probe;
use super::recipes::{self, HostPorts};
use crate::causes;
use crate::daemon::{Daemon, sweep};
use crate::watchdog::{Entry, Undo, Watchdog};

/// Between a choice of ports and their use somebody else may take one.
const N_PORT_ATTEMPTS: usize = 4;
/// From the ready line to the first answer.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);
const N_LOG_LINES: &str = "20";

/// A stack of our own containers.
#[derive(Debug)]
pub struct Containers {
    id: String,
    daemon: Daemon,
    running: BTreeMap<Component, Running>,
    engines: Vec<EngineInfo>,
    kafka_advertised: Option<SocketAddr>,
    undo: Entry,
}

#[derive(Debug)]
struct Running {
    /// Held for its removal on drop.
    container: ContainerAsync<GenericImage>,
    name: String,
    ports: HostPorts,
}

/// What starting one container needs to know.
struct Recipe<'a> {
    daemon: &'a Daemon,
    stack: &'a str,
    kafka_advertised: Option<SocketAddr>,
    ports: &'a Ports,
    observer: &'a Observer,
}

impl Containers {
    /// Starts the components that `options` wants, from images that are local.
    ///
    /// # Errors
    /// A component does not come up; what had come up is removed.
    pub async fn start(
        daemon: Daemon,
        images: &BTreeMap<Component, LocalImage>,
        options: &StackOptions,
    ) -> Result<Self, StackError> {
        let id = format!("soundcheck-{}", uuid::Uuid::now_v7().simple());
        let watchdog = Watchdog::start(&options.program)?;
        let undo = watchdog.register(Undo::RemoveContainers { stack: id.clone() })?;
        let recipe = Recipe {
            daemon: &daemon,
            stack: &id,
            kafka_advertised: options.kafka_advertised,
            ports: &options.ports,
            observer: &options.observer,
        };
        let started = try_join_all(images.iter().map(|(component, image)| recipe.start(*component, image))).await;
        match started {
            Ok(started) => {
                let engines = started.iter().map(|(_, engine)| engine.clone()).collect();
                let running = started
                    .into_iter()
                    .map(|(running, engine)| (engine.component, running))
                    .collect();
                let kafka_advertised = options.kafka_advertised;
                Ok(Self {
                    id,
                    daemon,
                    running,
                    engines,
                    kafka_advertised,
                    undo,
                })
            }
            Err(error) => {
                sweep::remove_stack(&daemon, &id).await?;
                undo.forget()?;
                Err(error)
            }
        }
    }

    fn endpoints(&self, kafka: impl Fn(&HostPorts) -> String) -> Endpoints {
        let address = |component: Component| {
            self.running.get(&component).map(|running| match component {
                Component::Kafka => kafka(&running.ports),
                _ => address(component, running.ports),
            })
        };
        Endpoints {
            database_url: address(Component::Database).unwrap_or_default(),
            redis_url: address(Component::Redis),
            kafka_brokers: address(Component::Kafka),
        }
    }
}

impl Recipe<'_> {
    async fn start(&self, component: Component, image: &LocalImage) -> Result<(Running, EngineInfo), StackError> {
        let started = Instant::now();
        self.observer.tell(&StackEvent::Starting {
            component,
            what: image.name.clone(),
        });
        let running = self.start_on_free_ports(component, image).await?;
        let version = probe::until_ready(component, &address(component, running.ports), ANSWER_WITHIN).await?;
        let version = match version {
            None => self.version_in_log(&running.name).await,
            told => told,
        };
        self.observer.tell(&StackEvent::Ready {
            component,
            took: started.elapsed(),
        });
        let engine = EngineInfo {
            component,
            engine: engine_name(component).to_owned(),
            version,
            image: Some(image.name.clone()),
            image_digest: image.digest.clone(),
        };
        Ok((running, engine))
    }

    async fn start_on_free_ports(&self, component: Component, image: &LocalImage) -> Result<Running, StackError> {
        let no_ports = |source| StackError::System {
            what: "find free ports for a container",
            source,
        };
        let labels = sweep::labels(self.stack).map_err(|source| StackError::System {
            what: "label a container with its owner",
            source,
        })?;
        let mut attempt = 1;
        loop {
            let service = self.ports.choose().map_err(no_ports)?;
            let mut harness = service;
            while component == Component::Kafka && harness == service {
                harness = self.ports.choose().map_err(no_ports)?;
            }
            let ports = HostPorts { service, harness };
            let advertised = self
                .kafka_advertised
                .map_or_else(|| format!("127.0.0.1:{service}"), |proxy| proxy.to_string());
            let name = format!("{}-{component}-{attempt}", self.stack);
            let result = recipes::request(component, &image.name, ports, &advertised)
                .with_container_name(&name)
                .with_labels(labels.clone())
                .start()
                .await;
            match result {
                Ok(container) => return Ok(Running { container, name, ports }),
                Err(error) if attempt < N_PORT_ATTEMPTS && is_port_taken(&error) => attempt += 1,
                Err(error) => {
                    let log = self.log(&name, N_LOG_LINES).await;
                    return Err(StackError::Start {
                        component,
                        image: image.name.clone(),
                        why: causes::chain(&error),
                        log: if log.is_empty() { "(empty)".to_owned() } else { log },
                    });
                }
            }
        }
    }

    /// Kafka tells its version in its log alone.
    async fn version_in_log(&self, name: &str) -> Option<String> {
        let log = self.log(name, "all").await;
        let line = log.lines().rev().find_map(|line| line.split_once("Kafka version: "))?;
        line.1.split_ascii_whitespace().next().map(str::to_owned)
    }

    /// The container's output; empty when there is none or it cannot be read.
    async fn log(&self, name: &str, tail: &str) -> String {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: tail.to_owned(),
            ..LogsOptions::default()
        };
        let lines: Vec<_> = self.daemon.api().logs(name, Some(options)).collect().await;
        lines
            .into_iter()
            .flatten()
            .map(|line| line.to_string())
            .collect::<Vec<_>>()
            .concat()
            .trim_end()
            .to_owned()
    }
}

impl Stack for Containers {
    fn kind(&self) -> StackKind {
        StackKind::Containers
    }

    fn service_endpoints(&self, _namespace: &str) -> Endpoints {
        self.endpoints(|ports| {
            self.kafka_advertised
                .map_or_else(|| format!("127.0.0.1:{}", ports.service), |proxy| proxy.to_string())
        })
    }

    fn upstream_endpoints(&self, _namespace: &str) -> Endpoints {
        let mut endpoints = self.endpoints(|ports| format!("127.0.0.1:{}", ports.service));
        if self.kafka_advertised.is_none() {
            endpoints.kafka_brokers = None;
        }
        endpoints
    }

    fn direct_endpoints(&self, _namespace: &str) -> Endpoints {
        self.endpoints(|ports| format!("127.0.0.1:{}", ports.harness))
    }

    fn engines(&self) -> &[EngineInfo] {
        &self.engines
    }

    fn container(&self, component: Component) -> Option<ContainerHandle> {
        let running = self.running.get(&component)?;
        Some(ContainerHandle {
            daemon: self.daemon.clone(),
            component,
            name: running.name.clone(),
            address: address(component, running.ports),
        })
    }

    fn mock_broker(&self) -> Option<MockBroker> {
        None
    }

    fn remove_namespace<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<(), StackError>> {
        Box::pin(async move { namespace::remove(&self.direct_endpoints(namespace), namespace).await })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), StackError>> {
        Box::pin(async move {
            let Self {
                id,
                daemon,
                running,
                undo,
                ..
            } = *self;
            let removals = running.into_values().map(|running| running.container.rm());
            for removal in futures::future::join_all(removals).await {
                if let Err(error) = removal {
                    // The sweep tries again, and its error counts.
                    tracing::debug!(%error, "container was not removed at first");
                }
            }
            sweep::remove_stack(&daemon, &id).await?;
            Ok(undo.forget()?)
        })
    }
}

/// Where the harness reaches a component of ours.
fn address(component: Component, ports: HostPorts) -> String {
    match component {
        Component::Database => format!("mysql://root@127.0.0.1:{}", ports.service),
        Component::Redis => format!("redis://127.0.0.1:{}", ports.service),
        Component::Kafka => format!("127.0.0.1:{}", ports.harness),
    }
}

pub(super) const fn engine_name(component: Component) -> &'static str {
    match component {
        Component::Database => "MySQL",
        Component::Redis => "Redis",
        Component::Kafka => "Apache Kafka",
    }
}

/// The daemon tells it in words alone.
fn is_port_taken(error: &TestcontainersError) -> bool {
    let text = error.to_string();
    text.contains("port is already allocated") || text.contains("address already in use")
}
