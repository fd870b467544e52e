//! Removes containers by their owner's label. What carries no such label is never touched.

use std::collections::HashMap;
use std::time::Duration;

use testcontainers::bollard::errors::Error as ApiError;
use testcontainers::bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use testcontainers::bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions};
use tokio::time::Instant;

use super::connect::{Daemon, is_not_found};
use super::owner::{Owner, pid_namespace};

/// The owner, as `PID:STARTTIME:BOOTID`.
pub const LABEL_OWNER: &str = "org.soundcheck.owner";
/// The stack, so that two of one process are told apart.
pub const LABEL_STACK: &str = "org.soundcheck.stack";
/// The namespace in which the owner's process number holds.
pub const LABEL_PID_NAMESPACE: &str = "org.soundcheck.pid-namespace";

/// A container that the daemon was about to create when its owner died shows up a little later.
const QUIET_FOR: Duration = Duration::from_secs(2);
const POLL_EVERY: Duration = Duration::from_millis(100);

/// What could not be swept.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The daemon's list is not to be had.
    #[error("cannot list this tool's containers")]
    List(#[source] ApiError),
    /// A container stays.
    #[error("cannot remove container {name}; remove it with: docker rm -fv {name}")]
    Remove {
        name: String,
        #[source]
        source: ApiError,
    },
    /// `/proc` does not say who is alive.
    #[error("cannot tell which owners are alive")]
    Owners(#[source] std::io::Error),
}

/// The labels of everything that this process creates for `stack`.
///
/// # Errors
/// `/proc` does not tell who we are.
pub fn labels(stack: &str) -> std::io::Result<[(String, String); 3]> {
    Ok([
        (LABEL_OWNER.to_owned(), Owner::me()?.to_string()),
        (LABEL_STACK.to_owned(), stack.to_owned()),
        (LABEL_PID_NAMESPACE.to_owned(), pid_namespace()?),
    ])
}

/// Removes the containers whose owner is dead, and returns their names.
///
/// # Errors
/// The daemon refuses, or `/proc` cannot be read.
pub async fn remove_orphans(daemon: &Daemon) -> Result<Vec<String>, SweepError> {
    let here = pid_namespace().map_err(SweepError::Owners)?;
    let mut removed = Vec::new();
    for container in list(daemon, LABEL_OWNER).await? {
        let labels = container.labels.as_ref();
        let label = |name| labels.and_then(|labels| labels.get(name));
        // An unreadable label, or another namespace's number: not ours to judge.
        let Some(owner) = label(LABEL_OWNER).and_then(|text| text.parse::<Owner>().ok()) else {
            continue;
        };
        if label(LABEL_PID_NAMESPACE) == Some(&here) && !owner.is_alive().map_err(SweepError::Owners)? {
            removed.push(remove(daemon, &container).await?);
        }
    }
    Ok(removed)
}

/// Removes everything of one stack.
///
/// # Errors
/// The daemon refuses.
pub async fn remove_stack(daemon: &Daemon, stack: &str) -> Result<Vec<String>, SweepError> {
    let mut removed = Vec::new();
    for container in list(daemon, &format!("{LABEL_STACK}={stack}")).await? {
        removed.push(remove(daemon, &container).await?);
    }
    Ok(removed)
}

/// Removes everything of a stack whose owner died, and what the daemon still creates for it meanwhile.
///
/// # Errors
/// The daemon refuses.
pub async fn remove_stack_until_quiet(daemon: &Daemon, stack: &str) -> Result<(), SweepError> {
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET_FOR {
        if !remove_stack(daemon, stack).await?.is_empty() {
            quiet_since = Instant::now();
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    Ok(())
}

async fn list(daemon: &Daemon, label: &str) -> Result<Vec<ContainerSummary>, SweepError> {
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])])),
        ..ListContainersOptions::default()
    };
    daemon
        .api()
        .list_containers(Some(options))
        .await
        .map_err(SweepError::List)
}

async fn remove(daemon: &Daemon, container: &ContainerSummary) -> Result<String, SweepError> {
    let id = container.id.clone().unwrap_or_default();
    let name = container
        .names
        .as_ref()
        .and_then(|names| names.first())
        .map_or(id.as_str(), |name| name.as_str());
    let name = name.trim_start_matches('/').to_owned();
    if container.state == Some(ContainerSummaryStateEnum::PAUSED) {
        // A frozen process cannot die; should thawing fail, the removal says why.
        let _removal_decides = daemon.api().unpause_container(&id).await;
    }
    let options = RemoveContainerOptions {
        force: true,
        v: true,
        ..RemoveContainerOptions::default()
    };
    match daemon.api().remove_container(&id, Some(options)).await {
        Ok(()) => Ok(name),
        // Somebody else was faster, or is at it.
        Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(name),
        Err(source) => Err(SweepError::Remove { name, source }),
    }
}

const fn is_conflict(error: &ApiError) -> bool {
    matches!(error, ApiError::DockerResponseServerError { status_code: 409, .. })
}
