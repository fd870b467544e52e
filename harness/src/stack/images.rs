//! Which image a component runs from: the one asked for, the official one if local, our stand-in if local, or else the
//! official one, pulled.

use std::time::Duration;

use tokio::time::Instant;

use super::component::Component;
use super::error::StackError;
use super::options::{ImageOverrides, Observer};
use super::pull::pull;
use crate::daemon::Daemon;
use crate::daemon::builder::StandIn;

/// How long images may take to arrive; a machine without a registry must not wait for long.
pub const ARRIVE_WITHIN: Duration = Duration::from_secs(60);

/// An image that is local.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalImage {
    pub name: String,
    /// The registry's digest, or for an image built here its own.
    pub digest: Option<String>,
}

/// The official image, and the stand-in for it.
pub const fn defaults(component: Component) -> (&'static str, StandIn) {
    match component {
        Component::Database => ("mysql:9.7", StandIn::MySql),
        Component::Redis => ("redis:8.0", StandIn::Redis),
        Component::Kafka => ("apache/kafka:4.3.0", StandIn::Kafka),
    }
}

/// Finds the image of `component`, and pulls it if it must, until `deadline`.
///
/// # Errors
/// It is not local and does not arrive in time.
pub async fn resolve(
    daemon: &Daemon,
    component: Component,
    overrides: &ImageOverrides,
    deadline: Instant,
    observer: &Observer,
) -> Result<LocalImage, StackError> {
    let (official, stand_in) = defaults(component);
    let candidates = match overrides.get(component) {
        Some(named) => vec![named],
        None => vec![official, stand_in.image()],
    };
    for name in &candidates {
        if let Some(image) = local(daemon, name).await {
            return Ok(image);
        }
    }
    let wanted = candidates[0];
    let pulled = tokio::time::timeout_at(deadline, pull(daemon, component, wanted, observer)).await;
    let why = match pulled {
        Ok(Ok(())) => match local(daemon, wanted).await {
            Some(image) => return Ok(image),
            None => "the daemon does not find it afterwards".to_owned(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => format!("it did not arrive within {} s", ARRIVE_WITHIN.as_secs()),
    };
    Err(match overrides.get(component) {
        Some(image) => StackError::NamedImage {
            component,
            image: image.to_owned(),
            why,
        },
        None => StackError::Image {
            component,
            official: official.to_owned(),
            stand_in: stand_in.image().to_owned(),
            why,
        },
    })
}

/// The image, if the daemon has it. Trouble in asking counts as absence: pulling reports it better.
pub async fn local(daemon: &Daemon, name: &str) -> Option<LocalImage> {
    let image = daemon.api().inspect_image(name).await.ok()?;
    let digest = image
        .repo_digests
        .and_then(|digests| digests.into_iter().next())
        .or(image.id);
    Some(LocalImage {
        name: name.to_owned(),
        digest,
    })
}
