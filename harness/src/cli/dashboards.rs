//! `soundcheck dashboards`: writes what Prometheus loads from the file of objectives, or checks that it is up to date.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::exit::{Exit, Failure, OrExit as _};
use super::stdout;
use crate::monitoring::{self, SOURCE, Written};

/// Arguments of `soundcheck dashboards`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with objectives.yaml, into which the rest is written.
    #[arg(value_name = "DIR", default_value = "dashboards")]
    dir: PathBuf,

    /// Write nothing; end with 2 where a file is not what the objectives say.
    #[arg(long)]
    check: bool,
}

/// Runs `soundcheck dashboards`.
///
/// # Errors
/// Objectives that make no sense, files that cannot be read or written, and with `--check` files that are out of date.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let source = args.dir.join(SOURCE);
    let shown = source.display().to_string();
    let text = fs::read_to_string(&source)
        .with_context(|| format!("{shown} cannot be read; name the folder of dashboards"))
        .or_exit(Exit::Usage)?;
    let mut outdated = Vec::new();
    for Written { path, text } in monitoring::write(&shown, &text).or_exit(Exit::Usage)? {
        let path = args.dir.join(path);
        // What cannot be read is not what it should be; writing it says why.
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            stdout::line(&format!("{}: up to date", path.display()))?;
        } else if args.check {
            outdated.push(path.display().to_string());
        } else {
            put(&path, &text).or_exit(Exit::Usage)?;
            stdout::line(&format!("{}: written", path.display()))?;
        }
    }
    if outdated.is_empty() {
        return Ok(Exit::Pass);
    }
    let error = anyhow!(
        "not what {shown} says: {}; write anew with `soundcheck dashboards {}`",
        outdated.join(", "),
        args.dir.display()
    );
    Err(Failure::new(Exit::Usage, error))
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}
