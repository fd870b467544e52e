//! What the daemon has left of a process.

use std::collections::HashMap;

use soundcheck::daemon::{Daemon, sweep};
use testcontainers::bollard::query_parameters::ListContainersOptions;

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
