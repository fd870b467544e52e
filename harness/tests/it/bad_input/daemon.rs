//! Whether a whole stack of containers can be started here, and what is left of one.

use std::collections::HashMap;

use soundcheck::daemon::{Daemon, sweep};
use testcontainers::bollard::query_parameters::ListContainersOptions;

use crate::containers::local_image;

/// Whether every image is here; what is missing has been said otherwise.
pub(crate) async fn has_images() -> bool {
    for (variable, candidates) in [
        ("SOUNDCHECK_MYSQL_IMAGE", ["mysql:9.7", "soundcheck/mysql:9.7"]),
        ("SOUNDCHECK_REDIS_IMAGE", ["redis:8", "soundcheck/redis:8"]),
        ("SOUNDCHECK_KAFKA_IMAGE", ["apache/kafka:4.3.0", "soundcheck/kafka:4"]),
    ] {
        if local_image(variable, &candidates).await.is_none() {
            return false;
        }
    }
    true
}

/// The names of the containers that carry our label and belong to a process.
pub(crate) async fn containers_of(pid: u32) -> Vec<String> {
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([(
            "label".to_owned(),
            vec![sweep::LABEL_OWNER.to_owned()],
        )])),
        ..ListContainersOptions::default()
    };
    let daemon = Daemon::connect().await.unwrap();
    let containers = daemon.api().list_containers(Some(options)).await.unwrap();
    let is_its = |labels: &HashMap<String, String>| labels[sweep::LABEL_OWNER].starts_with(&format!("{pid}:"));
    let its = containers
        .into_iter()
        .filter(|one| one.labels.as_ref().is_some_and(is_its));
    its.flat_map(|container| container.names.unwrap_or_default()).collect()
}
