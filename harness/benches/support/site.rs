//! A stack, and services on it: what a bench needs to be somewhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use soundcheck::load::catalogue::Catalogue;
use soundcheck::stack::{self, Component, Endpoints, Stack, StackChoice, StackOptions};
use soundcheck::target::{Program, RunningService, SeedSpec, ServiceConfig};
use soundcheck::watchdog::Watchdog;
use tempfile::TempDir;

use super::client::{Connection, get, post};

const STOPS_WITHIN: Duration = Duration::from_secs(20);

/// A running stack, and a folder for configurations and logs.
#[derive(Debug)]
pub(crate) struct Site {
    stack: Box<dyn Stack>,
    program: Program,
    watchdog: Watchdog,
    folder: TempDir,
}

impl Site {
    /// Opens a stack; `None` when there can be none here, which has been said then.
    pub(crate) async fn open(choice: StackChoice, components: &[Component]) -> Option<Self> {
        let program = program();
        let mut options = StackOptions::from_env(choice).unwrap();
        options.components = components.to_vec();
        options.program.clone_from(&program);
        let stack = match stack::open(&options).await {
            Ok(stack) => stack,
            Err(error) => {
                println!("n/a: {:#}", anyhow::Error::from(error));
                return None;
            }
        };
        Some(Self {
            stack,
            watchdog: Watchdog::start(&program).unwrap(),
            program: Program::tool(program),
            folder: tempfile::tempdir().unwrap(),
        })
    }

    /// Names and versions of what runs.
    pub(crate) fn engines(&self) -> String {
        let names = self.stack.engines().iter().map(|engine| {
            let version = engine.version.as_deref().unwrap_or("of unknown version");
            format!("{} {version}", engine.engine)
        });
        names.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn endpoints(&self, namespace: &str) -> Endpoints {
        self.stack.direct_endpoints(namespace)
    }

    /// A configuration of `namespace` with `settings` besides.
    pub(crate) fn config(&self, namespace: &str, settings: &[(&str, &str)]) -> ServiceConfig {
        let mut config = ServiceConfig::new(namespace, &self.stack.service_endpoints(namespace));
        for (key, value) in settings {
            config.set(key, *value);
        }
        config
    }

    /// Creates the schema of a configuration, and returns the file that commands of the service read.
    pub(crate) async fn migrate(&self, config: &ServiceConfig) -> PathBuf {
        let path = self.path(&format!("{}.yaml", config.get("namespace").unwrap()));
        config.write(&path).unwrap();
        self.program.migrate(&path).await.unwrap();
        path
    }

    /// Fills the schema of a configuration file.
    pub(crate) async fn seed(&self, config: &Path, spec: &SeedSpec) -> Catalogue {
        let catalogue = config.with_extension("json");
        self.program.seed(config, spec, &catalogue).await.unwrap();
        Catalogue::load(&catalogue).unwrap()
    }

    /// Starts a service whose log is called `name`.
    pub(crate) async fn launch(&self, config: &ServiceConfig, name: &str) -> RunningService {
        RunningService::launch(&self.program, config, self.folder.path(), name, Some(&self.watchdog))
            .await
            .unwrap()
    }

    /// The same with another build.
    pub(crate) async fn launch_build(&self, build: PathBuf, config: &ServiceConfig, name: &str) -> RunningService {
        let program = Program::tool(build);
        RunningService::launch(&program, config, self.folder.path(), name, Some(&self.watchdog))
            .await
            .unwrap()
    }

    pub(crate) async fn remove(&self, namespace: &str) {
        self.stack.remove_namespace(namespace).await.unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn close(self) {
        self.stack.close().await.unwrap();
    }
}

fn program() -> PathBuf {
    std::env::var_os("SOUNDCHECK_BENCH_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_soundcheck").into(), PathBuf::from)
}

/// Ends a service as an operator would.
pub(crate) async fn stop(service: RunningService) {
    let log = service.log_path().to_owned();
    let stopped = service.stop(STOPS_WITHIN).await.unwrap();
    assert!(
        stopped.is_graceful,
        "the service did not end in time; see {}",
        log.display()
    );
}

/// A token for every user, each of them admitted.
pub(crate) async fn admit(service: &RunningService, users: &[uuid::Uuid]) -> Vec<String> {
    let mut connection = Connection::open(&service.ready().address).await.unwrap();
    let mut tokens = Vec::with_capacity(users.len());
    for user in users {
        let answer = connection.exchange(&enter(*user)).await.unwrap();
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(answer.body));
        let place: Value = serde_json::from_slice(answer.body).unwrap();
        assert_eq!(place["state"], "active", "{place}");
        tokens.push(place["token"].as_str().unwrap().to_owned());
    }
    tokens
}

/// The request for a place in the waiting room.
pub(crate) fn enter(user: uuid::Uuid) -> Vec<u8> {
    post("/v1/queue/tokens", None, None, &format!(r#"{{"user_id":"{user}"}}"#))
}

/// The sum of a counter's series whose labels contain `part`.
pub(crate) async fn counter(service: &RunningService, name: &str, part: &str) -> f64 {
    let mut connection = Connection::open(&service.ready().address).await.unwrap();
    let answer = connection.exchange(&get("/metrics", None)).await.unwrap();
    assert_eq!(answer.status, 200);
    let text = std::str::from_utf8(answer.body).unwrap();
    let series = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .filter(|line| line.contains(part));
    series
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum()
}
