//! Bakes the commit into the tool, so that a recording names the build that made it, and not what the work tree holds
//! when it runs. Runs again only when the sources or the commit change, of which the first compiles the crate anyway.

#[path = "build/commit.rs"]
mod commit;

use std::path::Path;
use std::process::Command;

/// Everything that decides what the tool does.
const SOURCES: [&str; 10] = [
    "build.rs",
    "build",
    "src",
    "images",
    "scenarios",
    "Cargo.toml",
    "../service/src",
    "../service/migrations",
    "../service/Cargo.toml",
    "../Cargo.lock",
];
/// For a build of sources that lie in no work tree.
const GIVEN: &str = "SOUNDCHECK_COMMIT";

fn main() {
    println!("cargo::rerun-if-env-changed={GIVEN}");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let head = commit::head(here);
    for file in &head.files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let given = std::env::var(GIVEN).ok().filter(|given| !given.is_empty());
    let found = || {
        head.commit
            .as_deref()
            .map(|commit| commit::named(commit, changes(here).as_deref()))
    };
    if let Some(commit) = given.or_else(found) {
        println!("cargo::rustc-env={GIVEN}={commit}");
    }
}

/// What git lists as changed among the sources; `None` where it does not say.
fn changes(here: &Path) -> Option<String> {
    let output = Command::new("git")
        .args(["status", "--porcelain", "--"])
        .args(SOURCES)
        .current_dir(here)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
