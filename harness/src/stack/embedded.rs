//! Nothing installed: SQLite in a temporary folder, and librdkafka's mock cluster, which speaks Kafka's real protocol.
//!
//! The mock lives in this process, so that it survives whatever happens to the service. It keeps at most 5 MiB or
//! 100,000 messages a partition and then forgets the oldest, silently: bound what a run leaves unread.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::component::{Component, Endpoints, EngineInfo, StackKind};
use super::contract::{ContainerHandle, Stack};
use super::error::StackError;
use super::options::{StackEvent, StackOptions};
use crate::spawning;
use crate::watchdog::undo::FOLDER_PREFIX;
use crate::watchdog::{Entry, Undo, Watchdog};

/// The mock's only broker.
const BROKER_ID: i32 = 1;

/// A stack that needs nothing.
#[derive(Debug)]
pub struct Embedded {
    folder: TempDir,
    broker: Option<MockBroker>,
    engines: Vec<EngineInfo>,
    undo: Entry,
}

/// The mock cluster; clones share it.
#[derive(Clone)]
pub struct MockBroker {
    /// The cluster belongs to this client, which does nothing else.
    host: Arc<BaseProducer>,
    brokers: String,
}

impl MockBroker {
    fn start() -> KafkaResult<Self> {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", "1").set("log_level", "3");
        let host: BaseProducer = config.create()?;
        let brokers = host
            .client()
            .mock_cluster()
            .map(|cluster| cluster.bootstrap_servers())
            .unwrap_or_default();
        Ok(Self {
            host: Arc::new(host),
            brokers,
        })
    }

    /// `HOST:PORT` of the broker.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Closes its connections and refuses new ones.
    ///
    /// # Errors
    /// The library refuses.
    pub fn take_down(&self) -> KafkaResult<()> {
        // The library closes and opens its port in one go, and takes a failure for the end of the world.
        spawning::while_quiet(|| self.with(|cluster| cluster.broker_down(BROKER_ID)))
    }

    /// Accepts connections again; what it held is still there.
    ///
    /// # Errors
    /// The library refuses.
    pub fn bring_up(&self) -> KafkaResult<()> {
        self.with(|cluster| cluster.broker_up(BROKER_ID))
    }

    /// Delays every answer.
    ///
    /// # Errors
    /// The library refuses.
    pub fn set_round_trip_time(&self, delay: Duration) -> KafkaResult<()> {
        self.with(|cluster| cluster.broker_round_trip_time(BROKER_ID, delay))
    }

    fn with<T>(&self, act: impl FnOnce(&MockCluster<'_, DefaultProducerContext>) -> KafkaResult<T>) -> KafkaResult<T> {
        let cluster = self
            .host
            .client()
            .mock_cluster()
            .ok_or(rdkafka::error::KafkaError::Canceled)?;
        act(&cluster)
    }
}

impl fmt::Debug for MockBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockBroker")
            .field("brokers", &self.brokers)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Makes the folder and starts the broker, if `options` wants one.
    ///
    /// # Errors
    /// The temporary folder cannot be made, or the library refuses.
    pub async fn start(options: &StackOptions) -> Result<Self, StackError> {
        let watchdog = Watchdog::start(&options.program)?;
        let starting = |component, what: &str| {
            let what = format!("{what}, in its place");
            options.observer.tell(&StackEvent::Starting { component, what });
            Instant::now()
        };
        let ready = |component, since: Instant| {
            let took = since.elapsed();
            options.observer.tell(&StackEvent::Ready { component, took });
        };
        let since = starting(Component::Database, "SQLite");
        let folder = tempfile::Builder::new()
            .prefix(FOLDER_PREFIX)
            .tempdir()
            .map_err(|source| StackError::Folder {
                folder: std::env::temp_dir(),
                source,
            })?;
        let undo = watchdog.register(Undo::RemoveFolder {
            path: folder.path().to_owned(),
        })?;
        let sqlite_version = sqlite_version().await?;
        ready(Component::Database, since);
        let broker = if options.wants(Component::Kafka) {
            let since = starting(Component::Kafka, "librdkafka's mock cluster");
            let broker = MockBroker::start().map_err(|source| StackError::Embedded {
                what: "broker",
                source: source.into(),
            })?;
            ready(Component::Kafka, since);
            Some(broker)
        } else {
            None
        };
        let engine = |component, engine: &str, version| EngineInfo {
            component,
            engine: engine.to_owned(),
            version: Some(version),
            image: None,
            image_digest: None,
        };
        let mut engines = vec![engine(Component::Database, "SQLite", sqlite_version)];
        if broker.is_some() {
            let (_, version) = rdkafka::util::get_rdkafka_version();
            engines.push(engine(Component::Kafka, "librdkafka mock cluster", version));
        }
        Ok(Self {
            folder,
            broker,
            engines,
            undo,
        })
    }

    /// The file of a namespace; it exists once the service has migrated it.
    fn database_path(&self, namespace: &str) -> PathBuf {
        self.folder.path().join(format!("{namespace}.db"))
    }
}

async fn sqlite_version() -> Result<String, StackError> {
    let ask = async {
        let mut connection = SqliteConnectOptions::new()
            .in_memory(true)
            .disable_statement_logging()
            .connect()
            .await?;
        let version = sqlx::query_scalar("SELECT sqlite_version()")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(version)
    };
    ask.await.map_err(|source| StackError::Embedded {
        what: "database",
        source: source.into(),
    })
}

impl Stack for Embedded {
    fn kind(&self) -> StackKind {
        StackKind::Embedded
    }

    fn service_endpoints(&self, namespace: &str) -> Endpoints {
        Endpoints {
            database_url: format!("sqlite://{}", self.database_path(namespace).display()),
            redis_url: None,
            kafka_brokers: self.broker.as_ref().map(|broker| broker.brokers.clone()),
        }
    }

    fn upstream_endpoints(&self, namespace: &str) -> Endpoints {
        Endpoints {
            kafka_brokers: None,
            ..self.service_endpoints(namespace)
        }
    }

    fn direct_endpoints(&self, namespace: &str) -> Endpoints {
        self.service_endpoints(namespace)
    }

    fn engines(&self) -> &[EngineInfo] {
        &self.engines
    }

    fn container(&self, _component: Component) -> Option<ContainerHandle> {
        None
    }

    fn mock_broker(&self) -> Option<MockBroker> {
        self.broker.clone()
    }

    fn remove_namespace<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<(), StackError>> {
        Box::pin(async move {
            let database = self.database_path(namespace);
            // The write-ahead log and its index lie beside the file.
            for suffix in ["", "-wal", "-shm"] {
                let mut path = database.clone().into_os_string();
                path.push(suffix);
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        let namespace = namespace.to_owned();
                        let source = Box::new(error);
                        return Err(StackError::Namespace {
                            component: Component::Database,
                            namespace,
                            source,
                        });
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), StackError>> {
        Box::pin(async move {
            let Self {
                folder, broker, undo, ..
            } = *self;
            drop(broker);
            let removed = folder.close();
            removed.map_err(|source| StackError::System {
                what: "remove the database folder",
                source,
            })?;
            Ok(undo.forget()?)
        })
    }
}
