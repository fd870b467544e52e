//! Redis in a container of its own, removed when it is dropped.

use std::time::Duration;

use booking_service::adapters::redis_connection::RedisConnection;
use soundcheck::stack::Component;
use soundcheck::stack::ports::{self, for_this_machine_alone};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::runtime::Runtime;

use super::containers::image_of;

/// Generous: these tests share two cores with others.
pub(crate) const PATIENT: Duration = Duration::from_secs(20);

/// Long enough for a machine on which others build.
const STARTS_WITHIN: Duration = Duration::from_secs(180);

/// A running server.
#[derive(Debug)]
pub(crate) struct RedisServer {
    /// Each test has a runtime of its own, which ends with it; a server may outlive several, so it has one too.
    runtime: Option<Runtime>,
    /// There until it is dropped.
    pub(crate) container: Option<ContainerAsync<GenericImage>>,
    port: u16,
}

impl RedisServer {
    /// Starts a server; `None` when there can be none here, which has been said then.
    pub(crate) async fn start() -> Option<Self> {
        let image = image_of(Component::Redis).await?;
        // Chosen here and not by the daemon, so that it stays the same when the container is stopped and started.
        let port = ports::choose().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let container = runtime
            .spawn(async move {
                GenericImage::new(image.name, image.tag)
                    .with_exposed_port(6379.tcp())
                    .with_wait_for(WaitFor::message_on_stdout("Ready to accept connections"))
                    .with_startup_timeout(STARTS_WITHIN)
                    .with_mapped_port(port, 6379.tcp())
                    .with_host_config_modifier(for_this_machine_alone)
                    .start()
                    .await
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
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A new connection, as another instance of the service would have.
    pub(crate) fn connect(&self, command_timeout: Duration) -> RedisConnection {
        RedisConnection::open(&format!("redis://127.0.0.1:{}", self.port), command_timeout).unwrap()
    }
}

impl Drop for RedisServer {
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

/// A name that no other test uses.
pub(crate) fn namespace() -> String {
    format!("test-{}", uuid::Uuid::now_v7().simple())
}
