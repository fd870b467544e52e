//! How each component is started in a container. Official images and our stand-ins understand the same.

use std::time::Duration;

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

use super::component::Component;
use super::ports::for_this_machine_alone;

/// A cold start on a small machine, with room to spare.
const START_WITHIN: Duration = Duration::from_secs(120);

const MYSQL_PORT: u16 = 3306;
const REDIS_PORT: u16 = 6379;
const KAFKA_PORT: u16 = 9092;
const KAFKA_HARNESS_PORT: u16 = 19_092;

/// The ports of a component on the loopback interface of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HostPorts {
    /// Where the service connects, unless a proxy stands in front.
    pub service: u16,
    /// Kafka's second listener, which no proxy ever stands in front of; for the others the same port.
    pub harness: u16,
}

/// What to start. `kafka_advertised` is where Kafka tells the service to go.
pub(super) fn request(
    component: Component,
    image: &str,
    ports: HostPorts,
    kafka_advertised: &str,
) -> ContainerRequest<GenericImage> {
    // Put together again as they were: where the name is cut does not matter.
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let image = GenericImage::new(name, tag);
    let request = match component {
        Component::Database => mysql(image, ports),
        Component::Redis => redis(image, ports),
        Component::Kafka => kafka(image, ports, kafka_advertised),
    };
    request
        .with_startup_timeout(START_WITHIN)
        .with_host_config_modifier(for_this_machine_alone)
}

fn mysql(image: GenericImage, ports: HostPorts) -> ContainerRequest<GenericImage> {
    image
        // The temporary server of the first start has no such port, so this line is the real one's.
        .with_wait_for(WaitFor::message_on_stderr("port: 3306"))
        .with_mapped_port(ports.service, MYSQL_PORT.tcp())
        .with_env_var("MYSQL_ALLOW_EMPTY_PASSWORD", "yes")
        .with_env_var("MYSQL_ROOT_HOST", "%")
        // Room for several variants' pools and the harness itself. Encryption on the loopback interface would only
        // take processor time from what is measured.
        .with_cmd(["--max-connections=1000", "--tls-version="])
}

fn redis(image: GenericImage, ports: HostPorts) -> ContainerRequest<GenericImage> {
    image
        .with_wait_for(WaitFor::message_on_stdout("Ready to accept connections"))
        .with_mapped_port(ports.service, REDIS_PORT.tcp())
        // No snapshots: they fork in the middle of a measurement. What is in Redis may be lost by design.
        .with_cmd(["redis-server", "--save", "", "--appendonly", "no"])
}

fn kafka(image: GenericImage, ports: HostPorts, advertised: &str) -> ContainerRequest<GenericImage> {
    let listeners = format!("SERVICE://:{KAFKA_PORT},HARNESS://:{KAFKA_HARNESS_PORT},CONTROLLER://:9093");
    let advertised = format!("SERVICE://{advertised},HARNESS://127.0.0.1:{}", ports.harness);
    image
        .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
        .with_mapped_port(ports.service, KAFKA_PORT.tcp())
        .with_mapped_port(ports.harness, KAFKA_HARNESS_PORT.tcp())
        .with_env_var("KAFKA_NODE_ID", "1")
        .with_env_var("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env_var("KAFKA_LISTENERS", listeners)
        .with_env_var("KAFKA_ADVERTISED_LISTENERS", advertised)
        .with_env_var(
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "SERVICE:PLAINTEXT,HARNESS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        )
        // The broker must not talk to itself through a proxy.
        .with_env_var("KAFKA_INTER_BROKER_LISTENER_NAME", "HARNESS")
        .with_env_var("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env_var("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
        .with_env_var("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
        .with_env_var("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "4")
        .with_env_var("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env_var("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env_var("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .with_env_var("KAFKA_NUM_PARTITIONS", "8")
        .with_env_var("KAFKA_LOG_DIRS", "/tmp/kraft-combined-logs")
        .with_env_var("KAFKA_HEAP_OPTS", "-Xms256m -Xmx512m")
}
