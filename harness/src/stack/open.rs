//! Chooses a stack and starts it.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::future::try_join_all;

use super::component::{Component, StackKind};
use super::containers::Containers;
use super::contract::Stack;
use super::embedded::Embedded;
use super::error::StackError;
use super::external::External;
use super::images::{self, LocalImage};
use super::options::{StackChoice, StackEvent, StackOptions};
use crate::causes;
use crate::daemon::{Daemon, sweep};

/// Opens the stack that `options` choose.
///
/// With [`StackChoice::Auto`], containers need a daemon that answers and images that are local or arrive in time; the
/// observer is told which stack it became and why.
///
/// # Errors
/// The stack is not available; the error says what was tried and what to do.
pub async fn open(options: &StackOptions) -> Result<Box<dyn Stack>, StackError> {
    let started = Instant::now();
    let stack: Box<dyn Stack> = match options.choice {
        StackChoice::Containers => {
            let daemon = Daemon::connect().await?;
            let images = local_images(&daemon, options).await?;
            containers(daemon, &images, options).await?
        }
        StackChoice::External => Box::new(External::connect(options).await?),
        StackChoice::Embedded => Box::new(Embedded::start(options).await?),
        StackChoice::Auto => choose(options).await?,
    };
    tracing::debug!(kind = %stack.kind(), took = ?started.elapsed(), "stack is open");
    Ok(stack)
}

async fn choose(options: &StackOptions) -> Result<Box<dyn Stack>, StackError> {
    let found = async {
        let daemon = Daemon::connect().await?;
        let images = local_images(&daemon, options).await?;
        Ok::<_, StackError>((daemon, images))
    };
    match found.await {
        Ok((daemon, images)) => {
            let names: Vec<_> = images.values().map(|image| image.name.as_str()).collect();
            let why = format!("the container daemon {} has {}", daemon.version(), names.join(", "));
            options.observer.tell(&StackEvent::Chosen {
                kind: StackKind::Containers,
                why,
            });
            containers(daemon, &images, options).await
        }
        // Images that were asked for by name must not be ignored.
        Err(error @ StackError::NamedImage { .. }) => Err(error),
        Err(error) => {
            let why = causes::chain(&error);
            options.observer.tell(&StackEvent::Chosen {
                kind: StackKind::Embedded,
                why,
            });
            Ok(Box::new(Embedded::start(options).await?))
        }
    }
}

async fn containers(
    daemon: Daemon,
    images: &BTreeMap<Component, LocalImage>,
    options: &StackOptions,
) -> Result<Box<dyn Stack>, StackError> {
    let names = sweep::remove_orphans(&daemon).await?;
    if !names.is_empty() {
        options.observer.tell(&StackEvent::Swept { names });
    }
    Ok(Box::new(Containers::start(daemon, images, options).await?))
}

/// The images of all wanted components, side by side.
async fn local_images(daemon: &Daemon, options: &StackOptions) -> Result<BTreeMap<Component, LocalImage>, StackError> {
    let deadline = tokio::time::Instant::now() + images::ARRIVE_WITHIN;
    let wanted = Component::ALL.into_iter().filter(|component| options.wants(*component));
    let resolved = try_join_all(wanted.map(|component| async move {
        let image = images::resolve(daemon, component, &options.images, deadline, &options.observer).await?;
        Ok::<_, StackError>((component, image))
    }));
    Ok(resolved.await?.into_iter().collect())
}
