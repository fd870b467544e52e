//! A running service: started, found ready, stopped or killed, and never left behind.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::program::{Program, ServiceConfig, TargetError, last_lines};
use super::usage::Usage;
use crate::daemon::ProcessId;
use crate::spawning;
use crate::watchdog::{Entry, Undo, Watchdog};

/// A service that starts takes a fraction of a second; on a machine that also starts containers, longer.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// No ready line is as long; what comes instead must not fill the memory.
const READY_LINE_LIMIT_BYTES: usize = 64 * 1024;

/// Where the service writes its log.
const LOG_TARGET: &str = "logging.to";

/// The one line that the service prints when it can be used.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Ready {
    pub ready: bool,
    /// `HOST:PORT`.
    pub address: String,
    pub pid: u32,
    pub version: String,
}

/// A service process, and the leader of its process group.
///
/// Dropping it kills the group; [`RunningService::stop`] lets it finish its requests first.
#[derive(Debug)]
pub struct RunningService {
    child: Child,
    process: ProcessId,
    ready: Ready,
    start_took: Duration,
    log_path: PathBuf,
    /// The service ends when this closes, however we end.
    stdin_guard: Option<ChildStdin>,
    undo: Option<Entry>,
}

/// How a service ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    pub status: ExitStatus,
    /// False when it had to be killed, since it did not end in time.
    pub is_graceful: bool,
}

impl RunningService {
    /// Writes `config` to `folder/NAME.yaml`, starts the service with its log in `folder/NAME.log`, and waits until it
    /// is ready.
    ///
    /// # Errors
    /// It does not become ready; the error holds the end of its log.
    pub async fn launch(
        program: &Program,
        config: &ServiceConfig,
        folder: &Path,
        name: &str,
        watchdog: Option<&Watchdog>,
    ) -> Result<Self, TargetError> {
        let config_path = folder.join(format!("{name}.yaml"));
        config.write(&config_path)?;
        let log_path = folder.join(format!("{name}.log"));
        let unusable = |source| TargetError::File {
            path: log_path.clone(),
            source,
        };
        // Appended to: a service that a fault restarts goes on in the same log.
        let log = File::options()
            .append(true)
            .create(true)
            .open(&log_path)
            .map_err(unusable)?;
        let log_of_stdout = log.try_clone().map_err(unusable)?;
        let started = Instant::now();
        let starting = spawning::begin();
        let mut command = program.command();
        command.args(["serve", "--stdin-guard", "--config"]).arg(&config_path);
        if config.get(LOG_TARGET).is_none() {
            // Straight into the file: of a pipe's lines, each would cost us time while we measure.
            command.args(["--set", &format!("{LOG_TARGET}=stderr")]);
        }
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        drop(starting);
        let mut child = spawned.map_err(|source| TargetError::Spawn {
            program: program.path.clone(),
            source,
        })?;
        let stdin_guard = child.stdin.take();
        let stdout = child.stdout.take();
        let process = child.id().and_then(ProcessId::of);
        let mut starting = Starting { child, log_path };
        // It may have ended already, and then it is nobody's business any more.
        let (Some(process), Some(stdout)) = (process, stdout) else {
            return Err(starting.ended().await?);
        };
        let undo = watchdog
            .map(|watchdog| watchdog.register(Undo::KillGroup { leader: process }))
            .transpose()?;
        let ready = starting.read_ready(stdout, log_of_stdout).await?;
        let Starting { child, log_path } = starting;
        Ok(Self {
            child,
            process,
            ready,
            start_took: started.elapsed(),
            log_path,
            stdin_guard,
            undo,
        })
    }

    /// What it said when it was ready.
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// `http://HOST:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.ready.address)
    }

    /// From the start of the process to its ready line.
    pub const fn start_took(&self) -> Duration {
        self.start_took
    }

    /// The process.
    pub const fn process(&self) -> ProcessId {
        self.process
    }

    /// Where it logs.
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// What it has used so far; `None` when it has ended.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.process.pid).filter(|_| self.process.is_alive())
    }

    /// Asks it to end, and kills it when it has not done so `within`.
    ///
    /// # Errors
    /// The kernel does not let us signal it or wait for it.
    pub async fn stop(mut self, within: Duration) -> Result<Stopped, TargetError> {
        self.signal(Signal::TERM)?;
        let is_graceful = if let Ok(ended) = timeout(within, self.child.wait()).await {
            ended.map_err(|source| TargetError::System {
                what: "wait for",
                source,
            })?;
            true
        } else {
            self.signal_group(Signal::KILL)?;
            false
        };
        let status = self.reap().await?;
        Ok(Stopped { status, is_graceful })
    }

    /// Kills it at once, as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// The kernel does not let us.
    pub async fn kill(mut self) -> Result<ExitStatus, TargetError> {
        self.signal_group(Signal::KILL)?;
        self.reap().await
    }

    /// Sends `signal` to the process, unless it has ended.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<(), TargetError> {
        send(self.process, |pid| kill_process(pid, signal))
    }

    fn signal_group(&self, signal: Signal) -> Result<(), TargetError> {
        send(self.process, |pid| kill_process_group(pid, signal))
    }

    async fn reap(&mut self) -> Result<ExitStatus, TargetError> {
        let status = self.child.wait().await.map_err(|source| TargetError::System {
            what: "wait for",
            source,
        })?;
        self.stdin_guard = None;
        if let Some(undo) = self.undo.take() {
            undo.forget()?;
        }
        Ok(status)
    }
}

impl Drop for RunningService {
    fn drop(&mut self) {
        if let Err(error) = self.signal_group(Signal::KILL) {
            tracing::warn!(%error, "service may still run");
        }
    }
}

/// A process that has not said anything yet.
struct Starting {
    child: Child,
    log_path: PathBuf,
}

impl Starting {
    async fn read_ready(&mut self, stdout: ChildStdout, mut log: File) -> Result<Ready, TargetError> {
        let mut stdout = BufReader::new(stdout);
        let read = timeout(READY_WITHIN, first_own_line(&mut stdout, &mut log)).await;
        let line = match read {
            Err(_elapsed) => {
                return Err(TargetError::NotReady {
                    within: READY_WITHIN,
                    log: self.log(),
                });
            }
            Ok(line) => line.map_err(|source| TargetError::System {
                what: "read from",
                source,
            })?,
        };
        let line = line.trim();
        if line.is_empty() {
            return Err(self.ended().await?);
        }
        let no_ready_line = |source| TargetError::NoReadyLine {
            line: line.to_owned(),
            source,
        };
        let ready: Ready = serde_json::from_str(line).map_err(|error| no_ready_line(Some(error)))?;
        if !ready.ready {
            return Err(no_ready_line(None));
        }
        // Whatever else it prints goes to the log: a full pipe would stop it.
        tokio::spawn(async move {
            let mut log = tokio::fs::File::from_std(log);
            if let Err(error) = tokio::io::copy(&mut stdout, &mut log).await {
                tracing::debug!(%error, "output of the service is lost");
            }
            let _unwritten_is_lost = log.flush().await;
        });
        Ok(ready)
    }

    /// The error for a service that closed its output.
    async fn ended(&mut self) -> Result<TargetError, TargetError> {
        match timeout(READY_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) => Ok(TargetError::Ended {
                status,
                log: self.log(),
            }),
            Ok(Err(source)) => Err(TargetError::System {
                what: "wait for",
                source,
            }),
            Err(_elapsed) => Ok(TargetError::NotReady {
                within: READY_WITHIN,
                log: self.log(),
            }),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log_path)
            .map_or_else(|error| format!("(unreadable: {error})"), |text| last_lines(&text))
    }
}

/// The first line that is none of its log, which may stand there too; what is of the log goes there.
async fn first_own_line(stdout: &mut (impl AsyncRead + Unpin), log: &mut File) -> std::io::Result<String> {
    loop {
        let mut line = String::new();
        read_line(stdout, &mut line).await?;
        if !is_of_log(&line) {
            return Ok(line);
        }
        line.push('\n');
        log.write_all(line.as_bytes())?;
    }
}

fn is_of_log(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["timestamp"].is_string())
}

async fn read_line(input: &mut (impl AsyncRead + Unpin), line: &mut String) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    // A byte at a time, out of the buffer, so that an endless line is cut and what follows a line is kept.
    while bytes.len() < READY_LINE_LIMIT_BYTES && input.read(&mut byte).await? == 1 && byte[0] != b'\n' {
        bytes.push(byte[0]);
    }
    line.push_str(&String::from_utf8_lossy(&bytes));
    Ok(())
}

/// Signals a process that is alive; one that has ended needs none.
fn send(process: ProcessId, send: impl FnOnce(Pid) -> rustix::io::Result<()>) -> Result<(), TargetError> {
    let raw = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = raw.filter(|_| process.is_alive()) else {
        return Ok(());
    };
    match send(pid) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(TargetError::System {
            what: "signal",
            source: errno.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for a service program: a shell script that gets `serve --stdin-guard --config FILE` as arguments.
    fn script(text: &str) -> Program {
        Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), text.into(), "service".into()],
        }
    }

    const READY: &str = r#"echo '{"ready":true,"address":"127.0.0.1:1","pid":1,"version":"x"}'; "#;

    async fn launch(text: &str) -> (tempfile::TempDir, Result<RunningService, TargetError>) {
        let folder = tempfile::tempdir().unwrap();
        let result = RunningService::launch(&script(text), &ServiceConfig::default(), folder.path(), "a", None).await;
        (folder, result)
    }

    #[tokio::test]
    async fn a_service_is_launched_and_stopped() {
        let (_folder, service) = launch(&format!("{READY} read -r line")).await;
        let service = service.unwrap();
        assert_eq!(service.base_url(), "http://127.0.0.1:1");
        assert!(service.usage().is_some());
        let stopped = service.stop(Duration::from_secs(10)).await.unwrap();
        assert!(stopped.is_graceful);
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed() {
        let (_folder, service) = launch(&format!("trap '' TERM; {READY} while :; do read -r line; done")).await;
        let service = service.unwrap();
        let process = service.process();
        let stopped = service.stop(Duration::from_millis(100)).await.unwrap();
        assert!(!stopped.is_graceful);
        assert!(!process.is_alive());
    }

    #[tokio::test]
    async fn dropping_kills_the_whole_group() {
        let (_folder, service) = launch(&format!("sleep 1000 & {READY} read -r line")).await;
        let service = service.unwrap();
        let group = Pid::from_raw(i32::try_from(service.process().pid).unwrap()).unwrap();
        drop(service);
        let deadline = Instant::now() + Duration::from_secs(10);
        while rustix::process::test_kill_process_group(group).is_ok() {
            assert!(Instant::now() < deadline, "a member of the group is left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn one_that_ends_at_once_shows_its_log() {
        let (_folder, result) = launch("echo no database >&2; exit 2").await;
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("exit status: 2") && error.ends_with("no database"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn another_first_line_is_refused() {
        for text in [
            "echo hello; read -r line",
            r#"echo '{"ready":false,"address":"","pid":1,"version":""}'"#,
        ] {
            let (_folder, result) = launch(text).await;
            assert!(matches!(result, Err(TargetError::NoReadyLine { .. })), "{result:?}");
        }
    }

    #[tokio::test]
    async fn lines_of_its_log_may_stand_before_the_ready_line() {
        let (_folder, service) = launch(&format!(
            r#"echo '{{"timestamp":"t","message":"begins"}}'; {READY} read -r line"#
        ))
        .await;
        let service = service.unwrap();
        let log = std::fs::read_to_string(service.log_path()).unwrap();
        assert_eq!(log, "{\"timestamp\":\"t\",\"message\":\"begins\"}\n");
    }

    #[tokio::test]
    async fn what_it_prints_later_goes_to_its_log() {
        let (_folder, service) = launch(&format!("{READY} echo later; read -r line")).await;
        let service = service.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !std::fs::read_to_string(service.log_path()).unwrap().contains("later") {
            assert!(Instant::now() < deadline, "the line never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
