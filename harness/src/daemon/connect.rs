//! The container daemon: found, reached, and asked about its containers and images.
//!
//! Speaks to the socket alone, so no client program needs to be installed.

use std::path::Path;
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as ApiError;
use testcontainers::core::client::docker_client_instance;

/// A daemon that does not answer in this time would make every later step hang as well.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A daemon that has answered.
#[derive(Clone, Debug)]
pub struct Daemon {
    api: Docker,
    version: String,
}

/// Why no daemon can be used.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The address cannot be understood, or its socket is not there.
    #[error("no container daemon can be at {host}; {remedy}")]
    Address {
        host: String,
        remedy: String,
        #[source]
        source: Box<testcontainers::core::error::ClientError>,
    },
    /// Nothing answers there.
    #[error("no container daemon answers at {host}; {remedy}")]
    Silent {
        host: String,
        remedy: String,
        #[source]
        source: Option<ApiError>,
    },
}

impl Daemon {
    /// The daemon at DOCKER_HOST, or else at the usual sockets.
    ///
    /// # Errors
    /// No daemon answers; the error says where it was looked for and what to do.
    pub async fn connect() -> Result<Self, DaemonError> {
        let host = host();
        let api = docker_client_instance().await.map_err(|source| DaemonError::Address {
            host: host.clone(),
            remedy: remedy(),
            source: Box::new(source),
        })?;
        let answer = tokio::time::timeout(ANSWER_WITHIN, api.version()).await;
        let silent = |source| DaemonError::Silent {
            remedy: remedy(),
            host: host.clone(),
            source,
        };
        match answer {
            Ok(Ok(version)) => Ok(Self {
                api,
                version: version.version.unwrap_or_else(|| "of unknown version".into()),
            }),
            Ok(Err(source)) => Err(silent(Some(source))),
            Err(_elapsed) => Err(silent(None)),
        }
    }

    /// Its interface.
    pub const fn api(&self) -> &Docker {
        &self.api
    }

    /// Its version, as it says.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Whether the daemon said that there is no such thing.
pub(crate) const fn is_not_found(error: &ApiError) -> bool {
    matches!(error, ApiError::DockerResponseServerError { status_code: 404, .. })
}

/// Where a daemon is looked for, in words.
pub fn host() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| "/var/run/docker.sock".to_owned())
}

/// The sockets that Podman opens; it is used when DOCKER_HOST names one.
pub fn podman_socket() -> Option<String> {
    let of_user = std::env::var("XDG_RUNTIME_DIR")
        .ok()
        .map(|folder| format!("{folder}/podman/podman.sock"));
    of_user
        .into_iter()
        .chain(["/run/podman/podman.sock".to_owned()])
        .find(|path| Path::new(path).exists())
}

fn remedy() -> String {
    podman_socket().map_or_else(
        || {
            "start one (`dockerd` as root, or the docker service), name it in DOCKER_HOST, or use --stack embedded"
                .into()
        },
        |path| format!("Podman's socket is there: set DOCKER_HOST=unix://{path}, or use --stack embedded"),
    )
}

/// Lets a container that was paused or stopped run again; one that runs is left alone.
///
/// # Errors
/// The daemon refuses.
pub async fn resume(daemon: &Daemon, container: &str) -> Result<(), ApiError> {
    let state = daemon
        .api()
        .inspect_container(container, None)
        .await?
        .state
        .unwrap_or_default();
    if state.paused == Some(true) {
        daemon.api().unpause_container(container).await
    } else if state.running == Some(true) {
        Ok(())
    } else {
        daemon.api().start_container(container, None).await
    }
}
