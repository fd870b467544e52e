//! `soundcheck load` on a service that somebody else has started: round after round, until it is asked to end.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Up, tool};

const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
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

#[tokio::test(flavor = "multi_thread")]
async fn load_goes_on_round_after_round_until_it_is_asked_to_end_and_records_nothing() {
    let up = Up::start(&["--stack", "embedded"]);
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("brief.yaml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    // Where `up` has left it for itself.
    let catalogue = Path::new(&up.url("log")).with_file_name("catalogue.json");
    let mut load = tool(folder.path())
        .current_dir(folder.path())
        .arg("load")
        .arg(&scenario)
        .args(["--target", &up.url("service")])
        .arg("--catalogue")
        .arg(&catalogue)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    let deadline = Instant::now() + WITHIN;
    while n_came(&up).await <= 2 * ARRIVALS {
        let ended = load.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    kill_process(Pid::from_child(&load), Signal::TERM).unwrap();
    let ended = load.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(ended.stdout.is_empty());

    // Every arrival of every round, and no journey that was left on its way.
    let number = |after: &str, before: &str| -> u64 {
        let rest = said.trim_end().rsplit_once(after).unwrap_or_else(|| panic!("{said}")).1;
        rest.split_once(before)
            .unwrap_or_else(|| panic!("{said}"))
            .0
            .parse()
            .unwrap()
    };
    let started = number("brief: ", " journeys started");
    assert_eq!(
        started,
        number("started, ", " served") + number("served, ", " not served"),
        "{said}"
    );
    assert_eq!(started, n_came(&up).await, "{said}");
    assert!(number("not served; ", " rounds are over") >= 3, "{said}");

    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, [scenario]);
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
