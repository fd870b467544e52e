//! Whether containers can be used here, and from which image.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use soundcheck::daemon::Daemon;

/// An image that is present on this machine.
#[derive(Clone, Debug)]
pub(crate) struct LocalImage {
    pub(crate) name: String,
    pub(crate) tag: String,
}

static HAS_SAID_SO: AtomicBool = AtomicBool::new(false);

/// The first present image: the one that the environment variable `variable` names, or else of `candidates`.
/// `None` when nothing can be run; that has been said then.
pub(crate) async fn local_image(variable: &str, candidates: &[&str]) -> Option<LocalImage> {
    let daemon = match Daemon::connect().await {
        Ok(daemon) => daemon,
        Err(error) => return skip(&error.to_string()),
    };
    let chosen = std::env::var(variable).ok();
    let candidates = chosen.as_deref().map_or_else(|| candidates.to_vec(), |one| vec![one]);
    for image in &candidates {
        if daemon.api().inspect_image(image).await.is_ok() {
            let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
            return Some(LocalImage {
                name: name.to_owned(),
                tag: tag.to_owned(),
            });
        }
    }
    skip(&format!(
        "no image {} is present; build it with `soundcheck images build`, or name one in {variable}",
        candidates.join(" or ")
    ))
}

fn skip<T>(why: &str) -> Option<T> {
    let is_required =
        std::env::var("SOUNDCHECK_REQUIRE").is_ok_and(|list| list.split(',').any(|it| it == "containers"));
    assert!(!is_required, "SOUNDCHECK_REQUIRE=containers, but {why}");
    if !HAS_SAID_SO.swap(true, Ordering::SeqCst) {
        // Past the test runner's capture, which would hide it for tests that pass.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: the tests of this binary that need containers: {why}"
        );
    }
    None
}
