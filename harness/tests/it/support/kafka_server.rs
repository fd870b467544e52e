//! Kafka (KRaft, one node) in a container of its own, removed when it is dropped.

use soundcheck::stack::Component;
use soundcheck::stack::ports::{self, for_this_machine_alone};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::runtime::Runtime;

use super::containers::image_of;

/// Long enough for a machine on which others build.
const STARTS_WITHIN: std::time::Duration = std::time::Duration::from_secs(180);

/// A running broker.
#[derive(Debug)]
pub(crate) struct KafkaServer {
    /// Outlives the runtime of the test that started it.
    runtime: Option<Runtime>,
    /// There until it is dropped.
    pub(crate) container: Option<ContainerAsync<GenericImage>>,
    port: u16,
}

impl KafkaServer {
    /// Starts a broker; `None` when there can be none here, which has been said then.
    pub(crate) async fn start() -> Option<Self> {
        let image = image_of(Component::Kafka).await?;
        // Chosen here: the broker tells it to its clients, and it stays the same when the broker is stopped.
        let port = ports::choose().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let container = runtime
            .spawn(async move {
                let mut image = GenericImage::new(image.name, image.tag)
                    .with_exposed_port(9092.tcp())
                    .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
                    .with_startup_timeout(STARTS_WITHIN)
                    .with_mapped_port(port, 9092.tcp())
                    .with_host_config_modifier(for_this_machine_alone);
                for (name, value) in settings(port) {
                    image = image.with_env_var(name, value);
                }
                image.start().await
            })
            .await
            .unwrap()
            .unwrap();
        Some(Self {
            runtime: Some(runtime),
            container: Some(container),
            port,
        })
    }

    /// Where it answers.
    pub(crate) fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// The official image's variables. Any of them replaces its whole default configuration.
fn settings(port: u16) -> [(&'static str, String); 12] {
    [
        ("KAFKA_NODE_ID", "1".to_owned()),
        ("KAFKA_PROCESS_ROLES", "broker,controller".to_owned()),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093".to_owned()),
        ("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093".to_owned()),
        ("KAFKA_ADVERTISED_LISTENERS", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER".to_owned()),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned(),
        ),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1".to_owned()),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1".to_owned()),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0".to_owned()),
        // So that only the service's own creation of topics can be what made them.
        ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false".to_owned()),
        ("KAFKA_HEAP_OPTS", "-Xmx384m -Xms384m".to_owned()),
    ]
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        let (runtime, container) = (self.runtime.take(), self.container.take());
        let removal = std::thread::spawn(move || {
            if let (Some(runtime), Some(container)) = (runtime, container) {
                runtime.block_on(container.rm()).unwrap();
            }
        });
        assert!(
            removal.join().is_ok() || std::thread::panicking(),
            "the container was not removed"
        );
    }
}
