//! A build of the service: its program, its configuration file, and its commands that run to an end.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::spawning;
use crate::stack::Endpoints;

/// Variables that override the service's file would make two variants alike.
const SERVICE_ENV_PREFIX: &str = "SOUNDCHECK_SERVICE_";
/// How much of a log an error repeats.
const N_LOG_LINES: usize = 15;
/// A million seats, on a slow disk.
const COMMAND_WITHIN: Duration = Duration::from_secs(600);

/// The service could not be started, or a command of it failed.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The program does not start.
    #[error("cannot start the service {program}")]
    Spawn {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file of the run's folder cannot be used.
    #[error("cannot use {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The configuration cannot be written as YAML.
    #[error("cannot write the service's configuration")]
    Config(#[from] serde_yaml::Error),
    /// It ended, with an error of its own.
    #[error("`{command}` of the service failed ({status}); the end of its log:\n{log}")]
    Failed {
        command: String,
        status: ExitStatus,
        log: String,
    },
    /// It takes too long.
    #[error("`{command}` of the service did not end within {} s", within.as_secs())]
    TooSlow { command: String, within: Duration },
    /// It ended before it was ready.
    #[error("the service ended ({status}) before it was ready; the end of its log:\n{log}")]
    Ended { status: ExitStatus, log: String },
    /// It never said that it is ready.
    #[error("the service was not ready within {} s; the end of its log:\n{log}", within.as_secs())]
    NotReady { within: Duration, log: String },
    /// It said something else than that it is ready.
    #[error("the service's first line is no ready line: `{line}`")]
    NoReadyLine {
        line: String,
        #[source]
        source: Option<serde_json::Error>,
    },
    /// Something was asked of a process that is not there.
    #[error("the service does not run")]
    NotRunning,
    /// The kernel refuses.
    #[error("cannot {what} the service")]
    System {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// Nobody would clean up.
    #[error("cannot start the service without a watchdog")]
    Watchdog(#[from] crate::watchdog::WatchdogError),
}

/// A program that understands `serve`, `migrate`, `seed`, `index`, `audit` and `dlt` after its first arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<String>,
}

/// Keys that differ from the service's defaults; the rest is left out, so that older builds understand the file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceConfig(BTreeMap<String, String>);

/// What `seed` is asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SeedSpec {
    pub seed: u64,
    pub n_users: u64,
    pub n_concerts: u64,
    pub n_schedules_per_concert: u64,
    pub n_seats_per_schedule: u64,
    /// The exponent of the Zipf distribution; the service's default when `None`.
    pub skew: Option<f64>,
}

impl SeedSpec {
    /// Seats of all dates.
    pub const fn n_seats(&self) -> u64 {
        self.n_concerts * self.n_schedules_per_concert * self.n_seats_per_schedule
    }
}

impl ServiceConfig {
    /// The keys that every service on these endpoints needs.
    pub fn new(namespace: &str, endpoints: &Endpoints) -> Self {
        let mut config = Self::default();
        config.set("namespace", namespace);
        config.set("listen", "127.0.0.1:0");
        config.set("database.url", &endpoints.database_url);
        if let Some(url) = &endpoints.redis_url {
            config.set("redis.url", url);
        }
        if let Some(brokers) = &endpoints.kafka_brokers {
            config.set("kafka.brokers", brokers);
        }
        config.set("token.secret", "soundcheck-rehearsal-only");
        config
    }

    /// Sets a key such as `cache.mode`.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> &mut Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// The value of a key, if it was set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Every key that was set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Writes the file. It may hold passwords, so that only the user may read it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TargetError> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let text = serde_yaml::to_string(&self.0)?;
        let unusable = |source| TargetError::File {
            path: path.to_owned(),
            source,
        };
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(unusable)
    }
}

impl Program {
    /// This tool, or another build of it, at `path`.
    pub fn tool(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: vec!["service".to_owned()],
        }
    }

    /// The program that is running.
    ///
    /// # Errors
    /// Its path is not to be had.
    pub fn current() -> std::io::Result<Self> {
        Ok(Self::tool(std::env::current_exe()?))
    }

    /// Creates the schema, or brings it up to date.
    ///
    /// # Errors
    /// The command fails; see its log in the error.
    pub async fn migrate(&self, config: &Path) -> Result<(), TargetError> {
        self.run("migrate", config, [], None).await
    }

    /// Fills the schema and writes what there is to `catalogue`.
    ///
    /// # Errors
    /// The command fails; see its log in the error.
    pub async fn seed(&self, config: &Path, spec: &SeedSpec, catalogue: &Path) -> Result<(), TargetError> {
        let mut arguments = vec![
            "--seed".to_owned(),
            spec.seed.to_string(),
            "--users".to_owned(),
            spec.n_users.to_string(),
            "--concerts".to_owned(),
            spec.n_concerts.to_string(),
            "--schedules-per-concert".to_owned(),
            spec.n_schedules_per_concert.to_string(),
            "--seats-per-schedule".to_owned(),
            spec.n_seats_per_schedule.to_string(),
            "--catalogue".to_owned(),
        ];
        arguments.push(catalogue.display().to_string());
        if let Some(skew) = spec.skew {
            arguments.extend(["--skew".to_owned(), skew.to_string()]);
        }
        self.run("seed", config, arguments.iter().map(AsRef::as_ref), None)
            .await
    }

    /// Puts the named index in place of whichever there is.
    ///
    /// # Errors
    /// The command fails; see its log in the error.
    pub async fn index(&self, config: &Path, name: &str) -> Result<(), TargetError> {
        self.run("index", config, [name.as_ref()], None).await
    }

    /// Writes the final state as NDJSON to `out`.
    ///
    /// # Errors
    /// The command fails; see its log in the error.
    pub async fn audit(&self, config: &Path, out: &Path) -> Result<(), TargetError> {
        self.run("audit", config, [], Some(out)).await
    }

    /// Writes what the consumer gave up as JSON lines, and a summary line, to `out`.
    ///
    /// # Errors
    /// The command fails; see its log in the error.
    pub async fn dead_letters(&self, config: &Path, out: &Path) -> Result<(), TargetError> {
        self.run("dlt", config, ["list".as_ref()], Some(out)).await
    }

    /// Runs a command to its end; its output goes to `out` or nowhere.
    async fn run<'a>(
        &self,
        command: &str,
        config: &Path,
        arguments: impl IntoIterator<Item = &'a OsStr>,
        out: Option<&Path>,
    ) -> Result<(), TargetError> {
        let out = match out {
            None => Stdio::null(),
            Some(path) => File::create(path)
                .map_err(|source| TargetError::File {
                    path: path.to_owned(),
                    source,
                })?
                .into(),
        };
        let starting = spawning::begin();
        let spawned = self
            .command()
            .arg(command)
            .args(arguments)
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        drop(starting);
        let running = spawned.map_err(|source| TargetError::Spawn {
            program: self.path.clone(),
            source,
        })?;
        let ended = tokio::time::timeout(COMMAND_WITHIN, running.wait_with_output()).await;
        let output = match ended {
            Err(_elapsed) => {
                return Err(TargetError::TooSlow {
                    command: command.to_owned(),
                    within: COMMAND_WITHIN,
                });
            }
            Ok(ended) => ended.map_err(|source| TargetError::System {
                what: "wait for",
                source,
            })?,
        };
        if output.status.success() {
            return Ok(());
        }
        let log = last_lines(&String::from_utf8_lossy(&output.stderr));
        Err(TargetError::Failed {
            command: command.to_owned(),
            status: output.status,
            log,
        })
    }

    /// The program with its first arguments, deaf to variables that would override a configuration file.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(SERVICE_ENV_PREFIX) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// The end of a log, for an error: set in, since it speaks of errors itself.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    let end = lines[lines.len().saturating_sub(N_LOG_LINES)..].join("\n");
    if end.trim().is_empty() {
        "(empty)".to_owned()
    } else {
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_holds_what_was_set_and_nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let endpoints = Endpoints {
            database_url: "mysql://root:geheim@127.0.0.1:1".into(),
            redis_url: None,
            kafka_brokers: Some("127.0.0.1:2".into()),
        };
        let mut config = ServiceConfig::new("a", &endpoints);
        config.set("cache.mode", "off");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.yaml");
        config.write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read: BTreeMap<String, String> = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read["cache.mode"], "off");
        assert_eq!(read["kafka.brokers"], "127.0.0.1:2");
        assert!(!read.contains_key("redis.url"), "a default must not be written");
    }

    #[tokio::test]
    async fn a_failing_command_shows_the_end_of_its_log() {
        let program = Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), "echo first >&2; echo the reason >&2; exit 3".into()],
        };
        let error = program.migrate(Path::new("x")).await.unwrap_err().to_string();
        assert!(
            error.contains("migrate") && error.contains("exit status: 3") && error.ends_with("the reason"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = Program::tool("/nowhere/at/all")
            .migrate(Path::new("x"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }
}
