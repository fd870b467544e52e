//! Prometheus in a container of its own, removed when it is dropped.

use std::time::Duration;

use soundcheck::daemon::builder::StandIn;
use soundcheck::stack::ports::{self, for_this_machine_alone};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

use super::containers::{LocalImage, local_image};

/// Long enough for a machine on which others build.
const STARTS_WITHIN: Duration = Duration::from_secs(180);

/// A running server, which takes remote writes and scrapes itself.
#[derive(Debug)]
pub(crate) struct PrometheusServer {
    _container: ContainerAsync<GenericImage>,
    pub(crate) url: String,
}

impl PrometheusServer {
    /// `None` when there can be none here, which has been said then.
    pub(crate) async fn start() -> Option<Self> {
        let image = image().await?;
        let port = ports::choose().unwrap();
        let container = GenericImage::new(image.name, image.tag)
            .with_exposed_port(9090.tcp())
            .with_wait_for(WaitFor::message_on_stderr("Server is ready to receive web requests"))
            .with_startup_timeout(STARTS_WITHIN)
            .with_cmd([
                "--config.file=/etc/prometheus/prometheus.yml",
                "--storage.tsdb.path=/prometheus",
                "--web.enable-remote-write-receiver",
            ])
            .with_mapped_port(port, 9090.tcp())
            .with_host_config_modifier(for_this_machine_alone)
            .start()
            .await
            .unwrap();
        Some(Self {
            _container: container,
            url: format!("http://127.0.0.1:{port}"),
        })
    }
}

/// Prometheus's image, which has its tools too; `None` as above.
pub(crate) async fn image() -> Option<LocalImage> {
    let images = ["prom/prometheus:v2.53.0", StandIn::Prometheus.image()];
    local_image("SOUNDCHECK_PROMETHEUS_IMAGE", &images).await
}
