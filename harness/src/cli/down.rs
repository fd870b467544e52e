//! `soundcheck down`: ends what `soundcheck up` keeps running, and removes what dead runs have left.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::exit::{Exit, Failure, OrExit};
use super::stdout;
use super::up::RunningNote;
use crate::daemon::{Daemon, DaemonError, ProcessId, sweep};

/// Draining requests and removing three containers.
const END_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Runs `soundcheck down`. Runs of other subcommands are left alone.
///
/// # Errors
/// Something does not end, or a container cannot be removed.
pub async fn run() -> Result<Exit, Failure> {
    let running = RunningNote::read_all()?;
    for process in &running {
        end(*process).await?;
        stdout::line(&format!("ended process {}", process.pid))?;
    }
    match Daemon::connect().await {
        Ok(daemon) => {
            for name in sweep::remove_orphans(&daemon).await.or_exit(Exit::NoStack)? {
                stdout::line(&format!("removed container {name}"))?;
            }
        }
        // Without a daemon there are no containers of ours.
        Err(error @ (DaemonError::Address { .. } | DaemonError::Silent { .. })) => {
            tracing::info!(%error, "no containers are looked for");
        }
    }
    if running.is_empty() {
        stdout::line("nothing was up")?;
    }
    Ok(Exit::Pass)
}

async fn end(process: ProcessId) -> Result<(), Failure> {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| anyhow::anyhow!("{} is no process number", process.pid))?;
    match kill_process(pid, Signal::TERM) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(errno) => return Err(Failure::from(std::io::Error::from(errno))),
    }
    let deadline = Instant::now() + END_WITHIN;
    while process.is_alive() {
        if Instant::now() >= deadline {
            let seconds = END_WITHIN.as_secs();
            return Err(anyhow::anyhow!("process {} did not end within {seconds} s", process.pid).into());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    Ok(())
}
