//! `soundcheck dashboards`: writes what Prometheus and Grafana load, checks that it is up to date, or puts its queries to a
//! Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::exit::{Exit, Failure, OrExit as _};
use super::{asking, drawing, stdout};
use crate::monitoring::{self, DASHBOARDS, OBJECTIVES, PAGES, RUNBOOKS, Sources, Written};

/// Arguments of `soundcheck dashboards`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with objectives.yaml, dashboards.yaml and runbooks, into which the rest is written.
    #[arg(value_name = "DIR", default_value = "dashboards")]
    dir: PathBuf,

    /// Write nothing; end with 2 where a file is not what those say.
    #[arg(long)]
    check: bool,

    /// Write nothing; put every query of every panel and rule to the Prometheus at this address, and end with 4 where one has
    /// no answer and no reason for that.
    #[arg(long, value_name = "URL", conflicts_with = "check")]
    ask: Option<String>,

    /// With --ask: ask those that have no answer again for so long.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "0s", requires = "ask")]
    within: Duration,

    /// Write nothing but a picture of each dashboard, from what the Prometheus at this address answers to its queries, and end
    /// with 4 where one has no answer and no reason for that.
    #[arg(long, value_name = "URL", conflicts_with_all = ["check", "ask"])]
    draw: Option<String>,

    /// With --draw: how long before now the pictures begin.
    #[arg(long, value_name = "TIME", value_parser = at_least_a_second, default_value = "15m", requires = "draw")]
    last: Duration,
}

fn at_least_a_second(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time < Duration::from_secs(1) {
        return Err("a picture is of a second at least; write it as in 15m".to_owned());
    }
    Ok(time)
}

/// Runs `soundcheck dashboards`.
///
/// # Errors
/// Sources that make no sense, files that cannot be read or written, with `--check` files that are out of date, and a
/// Prometheus that does not answer.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let sources = sources(&args.dir).or_exit(Exit::Usage)?;
    if let Some(address) = &args.ask {
        let queries = monitoring::queries(&sources).or_exit(Exit::Usage)?;
        return asking::all(address, &queries, args.within).await;
    }
    if let Some(address) = &args.draw {
        let dashboards = monitoring::dashboards(&sources).or_exit(Exit::Usage)?;
        return drawing::all(&args.dir, &dashboards, address, args.last).await;
    }
    let all = monitoring::write(&sources).or_exit(Exit::Usage)?;
    let mut outdated = Vec::new();
    for path in left_over(&args.dir, &all).or_exit(Exit::Usage)? {
        if args.check {
            outdated.push(path.display().to_string());
        } else {
            fs::remove_file(&path)
                .with_context(|| format!("{} cannot be removed", path.display()))
                .or_exit(Exit::Usage)?;
            stdout::line(&format!("{}: removed", path.display()))?;
        }
    }
    for Written { path, text } in all {
        let path = args.dir.join(path);
        // What cannot be read is not what it should be; writing it says why.
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        if args.check {
            outdated.push(path.display().to_string());
        } else {
            put(&path, &text).or_exit(Exit::Usage)?;
            stdout::line(&format!("{}: written", path.display()))?;
        }
    }
    if outdated.is_empty() {
        stdout::line("all files are up to date")?;
        return Ok(Exit::Pass);
    }
    let error = anyhow!(
        "not what {OBJECTIVES}, {DASHBOARDS} and {RUNBOOKS} say: {}; write anew with `soundcheck dashboards {}`",
        outdated.join(", "),
        args.dir.display()
    );
    Err(Failure::new(Exit::Usage, error))
}

fn sources(dir: &Path) -> anyhow::Result<Sources> {
    let read = |path: PathBuf| -> anyhow::Result<(String, String)> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{shown} cannot be read; name the folder of dashboards"))?;
        Ok((shown, text))
    };
    let mut runbooks = BTreeMap::new();
    for path in named(&dir.join(RUNBOOKS), "md")? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        runbooks.insert(name, read(path)?.1);
    }
    Ok(Sources {
        objectives: read(dir.join(OBJECTIVES))?,
        dashboards: read(dir.join(DASHBOARDS))?,
        runbooks,
    })
}

/// Pages that were written once, and that nothing stands for any more. Those of somebody else are left alone.
fn left_over(dir: &Path, all: &[Written]) -> anyhow::Result<Vec<PathBuf>> {
    let wanted: BTreeSet<PathBuf> = all.iter().map(|one| dir.join(&one.path)).collect();
    let pages = dir.join(PAGES);
    if !pages.exists() {
        return Ok(Vec::new());
    }
    let is_ours = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| monitoring::grafana::is_ours(&text));
    let there = named(&pages, "json")?.into_iter();
    Ok(there.filter(|path| !wanted.contains(path) && is_ours(path)).collect())
}

/// The files in `folder` whose names end so.
fn named(folder: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("{} cannot be read; name the folder of dashboards", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}
