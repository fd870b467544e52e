//! `soundcheck load` on a service that somebody else has started: round after round, until it is asked to end.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Up, tool};

const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const FILE: &str = "brief.yaml";
/// A round of two seconds.
const SCENARIO: &str = "extends: smoke\nname: brief\nstages:\n  - {name: only, for: 2s, rate: 10/s}\n";
const ARRIVALS: u64 = 20;

/// How many have come into the queue.
async fn n_came(up: &Up) -> u64 {
    let metrics = up.get("/metrics").await.unwrap();
    let counted = metrics.lines().filter_map(|line| {
        let labels = line.strip_prefix("booking_http_requests_total{")?;
        let is_wanted = labels.contains(r#"method="POST""#) && labels.contains(r#"route="/v1/queue/tokens""#);
        is_wanted.then(|| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
    });
    counted.sum()
}

/// The tool at work on the service of `up`, with a scenario and nothing else in its folder.
struct Load {
    child: Child,
    folder: TempDir,
}

impl Load {
    fn start(up: &Up, scenario: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, scenario).unwrap();
        // Where `up` has left it for itself.
        let catalogue = Path::new(&up.url("log")).with_file_name("catalogue.json");
        let child = tool(folder.path())
            .current_dir(folder.path())
            .args(["load", FILE, "--target", &up.url("service"), "--catalogue"])
            .arg(&catalogue)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// Waits until more than so many have come into the queue.
    async fn until_came(&mut self, up: &Up, n: u64) {
        let deadline = Instant::now() + WITHIN;
        while n_came(up).await <= n {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks it to end, and returns what it says then.
    fn end(self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let ended = self.child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(0), "{said}");
        assert!(ended.stdout.is_empty());
        let left = std::fs::read_dir(self.folder.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [FILE], "it records nothing");
        said
    }
}

/// The number between two texts, the first one's last occurrence.
#[track_caller]
fn number(said: &str, after: &str, before: &str) -> u64 {
    let found = said.rsplit_once(after).and_then(|(_, rest)| rest.split_once(before));
    found.unwrap_or_else(|| panic!("{said}")).0.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn load_goes_on_round_after_round_until_it_is_asked_to_end_and_records_nothing() {
    let up = Up::start(&["--stack", "embedded"]);
    let mut load = Load::start(&up, SCENARIO);
    load.until_came(&up, 2 * ARRIVALS).await;
    let said = load.end();

    // Every arrival of every round, and no journey that was left on its way.
    let started = number(&said, "brief: ", " journeys started");
    let ended = number(&said, "started, ", " served") + number(&said, "served, ", " not served");
    assert_eq!(started, ended, "{said}");
    assert_eq!(started, n_came(&up).await, "{said}");
    assert!(number(&said, "not served; ", " rounds are over") >= 3, "{said}");
    up.down();
}

/// What runs containers kills who does not end soon.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_thinks_for_long_is_not_waited_for() {
    let up = Up::start(&["--stack", "embedded"]);
    let mut load = Load::start(
        &up,
        &format!("{SCENARIO}think: {{from: 5m, to: 5m}}\ntimeouts: {{drain: 1h}}\n"),
    );
    load.until_came(&up, 0).await;
    let asked = Instant::now();
    let said = load.end();
    assert!(asked.elapsed() < WITHIN, "{:?}", asked.elapsed());
    let ended = number(&said, "started, ", " served") + number(&said, "served, ", " not served");
    assert!(number(&said, "brief: ", " journeys started") > ended, "{said}");
    up.down();
}

#[test]
fn load_needs_what_there_is_to_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = folder.path().join("none.json");
    let ended = tool(folder.path())
        .arg("load")
        .arg("--catalogue")
        .arg(&catalogue)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(
        said.contains("none.json; `service seed --catalogue` writes it"),
        "{said}"
    );
}
