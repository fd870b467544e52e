//! Pulls an image, and tells how much of it has arrived.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use testcontainers::bollard::errors::Error as ApiError;
use testcontainers::bollard::models::CreateImageInfo;
use testcontainers::bollard::query_parameters::CreateImageOptions;

use super::component::Component;
use super::options::{Observer, StackEvent};
use crate::daemon::Daemon;
use crate::units::Bytes;

/// How often a pull that goes on is told of.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Pulls `image` for `component` to its end.
///
/// # Errors
/// The daemon refuses, or no registry that it reaches has the image.
pub(super) async fn pull(
    daemon: &Daemon,
    component: Component,
    image: &str,
    observer: &Observer,
) -> Result<(), ApiError> {
    let started = Instant::now();
    observer.tell(&StackEvent::Pulling {
        component,
        image: image.to_owned(),
    });
    // Without a tag the daemon would fetch every one there is.
    let has_tag = image.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    let from = if has_tag {
        image.to_owned()
    } else {
        format!("{image}:latest")
    };
    let options = CreateImageOptions {
        from_image: Some(from),
        ..CreateImageOptions::default()
    };
    let mut steps = Box::pin(daemon.api().create_image(Some(options), None, None));
    let mut layers = Layers::default();
    let mut last_told = None;
    while let Some(step) = steps.next().await {
        layers.take(&step?);
        let is_due = last_told.is_none_or(|told: Instant| told.elapsed() >= TELL_EVERY);
        if let Some((fetched, known)) = layers.fetched().filter(|_| is_due) {
            last_told = Some(Instant::now());
            observer.tell(&StackEvent::Fetched {
                component,
                fetched,
                known,
            });
        }
    }
    observer.tell(&StackEvent::Pulled {
        component,
        image: image.to_owned(),
        took: started.elapsed(),
    });
    Ok(())
}

/// What the daemon has said of each layer: bytes that have arrived, and bytes in all.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    /// Unpacking has its own numbers of the same bytes, so that only the download counts.
    fn take(&mut self, step: &CreateImageInfo) {
        let Some(layer) = &step.id else { return };
        match step.status.as_deref() {
            Some("Downloading") => {
                let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
                let detail = step.progress_detail.as_ref();
                let current = detail.and_then(|detail| number(detail.current));
                let total = detail.and_then(|detail| number(detail.total));
                if let (Some(current), Some(total)) = (current, total) {
                    self.0.insert(layer.clone(), (current, total));
                }
            }
            Some("Download complete" | "Pull complete") => {
                if let Some((current, total)) = self.0.get_mut(layer) {
                    *current = *total;
                }
            }
            _ => {}
        }
    }

    /// What has arrived, of the layers whose size is known by now; `None` before the first.
    fn fetched(&self) -> Option<(Bytes, Bytes)> {
        if self.0.is_empty() {
            return None;
        }
        let sum = |number: fn(&(u64, u64)) -> u64| Bytes(self.0.values().map(number).sum());
        Some((sum(|layer| layer.0), sum(|layer| layer.1)))
    }
}

#[cfg(test)]
mod tests {
    use testcontainers::bollard::models::ProgressDetail;

    use super::*;

    fn step(layer: &str, status: &str, progress: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(layer.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: progress.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn what_arrives_is_summed_over_layers_and_counted_once() {
        let mut layers = Layers::default();
        let mut told = Vec::new();
        for step in [
            step("9.7", "Pulling from library/mysql", None),
            step("a", "Pulling fs layer", None),
            step("a", "Downloading", Some((100, 1_000))),
            step("b", "Downloading", Some((5, 50))),
            // Before the size is known the daemon may say -1.
            step("c", "Downloading", Some((7, -1))),
            step("b", "Download complete", None),
            step("b", "Extracting", Some((20, 50))),
            step("a", "Downloading", Some((900, 1_000))),
            step("a", "Pull complete", None),
        ] {
            layers.take(&step);
            told.push(layers.fetched().map(|(fetched, known)| (fetched.0, known.0)));
        }
        let expected = [
            None,
            None,
            Some((100, 1_000)),
            Some((105, 1_050)),
            Some((105, 1_050)),
            Some((150, 1_050)),
            Some((150, 1_050)),
            Some((950, 1_050)),
            Some((1_050, 1_050)),
        ];
        assert_eq!(told, expected);
    }
}
