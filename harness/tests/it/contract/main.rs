//! Promises that hold between files: the direction of imports, the names that dashboards use, the versions of images,
//! what each service of `docker-compose.yml` is bound to, what the documentation shows, and that nothing but the service's
//! clock tells the time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compose;
mod dashboards;
mod documented;
mod layering;
mod time;
mod versions;

use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below `folder` whose name ends in `ending`, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
