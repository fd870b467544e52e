//! `soundcheck up` with the service, as a person runs it: each part is told of with its time, the service answers,
//! and `soundcheck down` ends and removes everything.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod external;
mod load;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use soundcheck::stack::Component;
use tempfile::TempDir;

use support::containers::{can_open_a_stack, image_of};

const NAMESPACE: &str = "up_test";

/// A run of `up` that no other knows of: notes for `down` lie in a folder of its own.
struct Up {
    child: Child,
    runtime: TempDir,
    urls: Value,
}

fn tool(runtime: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soundcheck"));
    command.env("XDG_RUNTIME_DIR", runtime).stdin(Stdio::null());
    command
}

impl Up {
    fn start(arguments: &[&str]) -> Self {
        let runtime = tempfile::tempdir().unwrap();
        let mut child = tool(runtime.path())
            .args(["up", "--json", "--seats", "200", "--namespace", NAMESPACE])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let urls = serde_json::from_str(&line).unwrap_or(Value::Null);
        Self { child, runtime, urls }
    }

    /// Ends it by `down`, and returns what it said from its start to its end.
    fn down(mut self) -> Vec<String> {
        let down = tool(self.runtime.path()).arg("down").output().unwrap();
        let said = String::from_utf8_lossy(&down.stdout).into_owned();
        let code = self.child.wait().unwrap().code();
        let mut lines = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut lines).unwrap();
        assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
        assert_eq!(code, Some(0), "{lines}");
        let expected = format!("ended process {}", self.child.id());
        assert!(said.lines().any(|line| line == expected), "{said}");
        lines.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn url(&self, name: &str) -> String {
        self.urls[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.urls))
            .to_owned()
    }

    async fn get(&self, path: &str) -> reqwest::Result<String> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let response = client.get(format!("{}{path}", self.url("service"))).send().await?;
        response.error_for_status()?.text().await
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It has ended already, unless the test failed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// That `lines` tell when `part` began to do something, and afterwards how long it took; in one order of `steps`.
#[track_caller]
fn check_steps(lines: &[String], part: &str, steps: &[(&str, &str)]) {
    let of_part: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix(&format!("{part}: ")))
        .collect();
    assert_eq!(of_part.len(), 2 * steps.len(), "{lines:#?}");
    for ((doing, done), told) in steps.iter().zip(of_part.chunks(2)) {
        assert_eq!(told[0], *doing, "{lines:#?}");
        let took = told[1].strip_prefix(&format!("{done} after "));
        let took = took.and_then(|rest| rest.strip_suffix(" s")).map(str::parse::<f64>);
        assert!(matches!(took, Some(Ok(seconds)) if seconds >= 0.0), "{}", told[1]);
    }
}

const SERVICE: &[(&str, &str)] = &[
    ("migrating", "migrated"),
    ("seeding 200 seats", "seeded"),
    ("starting", "ready"),
];

#[tokio::test(flavor = "multi_thread")]
async fn on_the_embedded_stack_each_part_is_told_of_and_down_removes_it() {
    let up = Up::start(&["--stack", "embedded"]);
    assert_eq!(up.urls["stack"], "embedded");
    assert!(up.get("/health/ready").await.unwrap().contains("true"));
    let database = PathBuf::from(up.url("database").strip_prefix("sqlite://").unwrap());
    let log = PathBuf::from(up.url("log"));
    assert!(database.exists() && log.exists());
    let service = up.url("service");

    let lines = up.down();
    check_steps(&lines, "mysql", &[("starting SQLite, in its place", "ready")]);
    let broker = "starting librdkafka's mock cluster, in its place";
    check_steps(&lines, "kafka", &[(broker, "ready")]);
    check_steps(&lines, "service", SERVICE);
    assert!(!database.exists() && !log.exists());
    assert!(reqwest::get(format!("{service}/health/live")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_containers_each_part_is_told_of_and_down_removes_it() {
    if !can_open_a_stack().await {
        return;
    }
    let up = Up::start(&["--stack", "containers", "--set", "cache=redis"]);
    assert_eq!(up.urls["stack"], "containers");
    assert!(up.get("/health/ready").await.unwrap().contains("true"));
    let metrics = up.get("/metrics").await.unwrap();
    for part in [
        r#"engine="mysql",namespace="up_test""#,
        r#"booking_switch_info{switch="cache.mode",value="redis"} 1"#,
    ] {
        assert!(metrics.contains(part), "no {part}");
    }
    let redis = up.url("redis");

    let lines = up.down();
    for component in Component::ALL {
        let image = image_of(component).await.unwrap();
        let starting = format!("starting {}:{}", image.name, image.tag);
        check_steps(&lines, component.name(), &[(&starting, "ready")]);
    }
    check_steps(&lines, "service", SERVICE);
    // The service is told of after everything that it needs.
    let position = |text: &str| lines.iter().position(|line| line.starts_with(text)).unwrap();
    for component in Component::ALL {
        assert!(
            position(&format!("{component}: ready")) < position("service: migrating"),
            "{lines:#?}"
        );
    }
    let client = redis::Client::open(redis).unwrap();
    assert!(client.get_multiplexed_async_connection().await.is_err());
}

/// A setting that the service refuses ends `up` as wrong usage, and the step that failed is the last one told.
#[test]
fn a_step_that_fails_is_not_told_as_done() {
    let mut up = Up::start(&["--stack", "embedded", "--set", "pool.size=0"]);
    assert_eq!(up.urls, Value::Null);
    assert_eq!(up.child.wait().unwrap().code(), Some(2));
    let mut said = String::new();
    up.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(
        said.contains("service: migrating\n") && !said.contains("migrated"),
        "{said}"
    );
    assert!(
        said.contains("`pool.size` must be a whole number from 1 to 1024, not `0`"),
        "{said}"
    );
}

#[test]
fn quiet_says_nothing_but_the_urls() {
    let up = Up::start(&["--stack", "embedded", "--quiet"]);
    assert_eq!(up.urls["stack"], "embedded");
    assert_eq!(up.down(), [] as [&str; 0]);
}
