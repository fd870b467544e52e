//! MySQL in a container of its own, removed when it is dropped.

use soundcheck::stack::Component;
use soundcheck::stack::ports::{self, for_this_machine_alone};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::runtime::Runtime;

use super::containers::image_of;

/// Long enough for a machine on which others build.
const STARTS_WITHIN: std::time::Duration = std::time::Duration::from_secs(180);

/// A running server.
#[derive(Debug)]
pub(crate) struct MySqlServer {
    /// Outlives the runtime of the test that started it.
    runtime: Option<Runtime>,
    /// There until it is dropped.
    pub(crate) container: Option<ContainerAsync<GenericImage>>,
    port: u16,
}

impl MySqlServer {
    /// Starts a server; `None` when there can be none here, which has been said then.
    pub(crate) async fn start() -> Option<Self> {
        let image = image_of(Component::Database).await?;
        let port = ports::choose().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let container = runtime
            .spawn(async move {
                GenericImage::new(image.name, image.tag)
                    .with_exposed_port(3306.tcp())
                    // With an address: the server that only prepares the data listens on a socket alone.
                    .with_wait_for(WaitFor::message_on_stderr(
                        "X Plugin ready for connections. Bind-address:",
                    ))
                    .with_env_var("MYSQL_ALLOW_EMPTY_PASSWORD", "1")
                    .with_startup_timeout(STARTS_WITHIN)
                    .with_mapped_port(port, 3306.tcp())
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
        format!("mysql://root@127.0.0.1:{}", self.port)
    }
}

impl Drop for MySqlServer {
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
