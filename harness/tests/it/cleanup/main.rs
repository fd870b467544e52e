//! Nothing is left behind: not after an orderly end, not after Ctrl-C, a panic or SIGKILL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/containers.rs"]
mod containers;

mod measuring;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use containers::{containers_of, image_of};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use soundcheck::daemon::{Daemon, Owner, ProcessId, sweep};
use soundcheck::stack::{self, Component, StackChoice, StackOptions};
use soundcheck::watchdog::{Undo, Watchdog};
use testcontainers::bollard::models::ContainerCreateBody;
use testcontainers::bollard::query_parameters::CreateContainerOptions;

const WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(20);

fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_soundcheck"))
}

async fn has_redis() -> bool {
    image_of(Component::Redis).await.is_some()
}

/// `soundcheck up` with Redis alone, which starts fastest.
fn up(stack: &str) -> Child {
    Command::new(tool())
        .args(["up", "--stack", stack, "--no-service", "--json"])
        .args(if stack == "containers" {
            ["--only", "redis"]
        } else {
            ["--only", "kafka"]
        })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Waits for the line with the URLs.
fn urls(up: &mut Child) -> Value {
    let mut line = String::new();
    BufReader::new(up.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    serde_json::from_str(&line).unwrap()
}

fn signal(up: &Child, signal: Signal) {
    kill_process(Pid::from_child(up), signal).unwrap();
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} did not come true in time");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

#[tokio::test]
async fn sigkill_leaves_no_containers() {
    if !has_redis().await {
        return;
    }
    let mut up = up("containers");
    urls(&mut up);
    let pid = up.id();
    assert_eq!(containers_of(pid).await.len(), 1);
    signal(&up, Signal::KILL);
    up.wait().unwrap();
    until("removal", async || containers_of(pid).await.is_empty()).await;
}

#[tokio::test]
async fn sigkill_in_the_middle_of_the_start_leaves_no_containers() {
    if !has_redis().await {
        return;
    }
    let mut up = up("containers");
    let pid = up.id();
    until("a container", async || !containers_of(pid).await.is_empty()).await;
    signal(&up, Signal::KILL);
    up.wait().unwrap();
    until("removal", async || containers_of(pid).await.is_empty()).await;
}

#[tokio::test]
async fn ctrl_c_removes_everything_before_the_end() {
    if !has_redis().await {
        return;
    }
    let mut up = up("containers");
    urls(&mut up);
    signal(&up, Signal::INT);
    assert_eq!(up.wait().unwrap().code(), Some(0));
    assert!(containers_of(up.id()).await.is_empty());
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_the_start_removes_everything_before_the_end() {
    if !has_redis().await {
        return;
    }
    let mut up = up("containers");
    let pid = up.id();
    until("a container", async || !containers_of(pid).await.is_empty()).await;
    signal(&up, Signal::INT);
    // 0 when it was ready just then.
    let code = up.wait().unwrap().code();
    assert!(matches!(code, Some(130 | 0)), "{code:?}");
    assert!(containers_of(pid).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_leaves_no_containers() {
    if !has_redis().await {
        return;
    }
    let options = StackOptions {
        components: vec![Component::Redis],
        program: tool().to_owned(),
        ..StackOptions::from_env(StackChoice::Containers).unwrap()
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    let panicked = tokio::spawn(async move {
        let stack = stack::open(&options).await.unwrap();
        tell.send(stack.container(Component::Redis).unwrap()).unwrap();
        panic!("as a test asks for");
    });
    let container = told.await.unwrap();
    assert!(panicked.await.unwrap_err().is_panic());
    let api = container.daemon.api();
    until("removal", async || {
        api.inspect_container(&container.name, None).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn the_sweep_takes_what_dead_owners_left_and_nothing_else() {
    if !has_redis().await {
        return;
    }
    let daemon = Daemon::connect().await.unwrap();
    let image = image_of(Component::Redis).await.unwrap();
    let image = format!("{}:{}", image.name, image.tag);
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let boot = Owner::me().unwrap().to_string().rsplit_once(':').unwrap().1.to_owned();
    let dead = format!("{}:1:{boot}", gone.id());
    let here = sweep::labels("a").unwrap()[2].1.clone();
    let elsewhere = "pid:[1]".to_owned();
    let alive = Owner::me().unwrap().to_string();
    let cases = [
        ("orphan", Some((dead.clone(), here.clone())), true),
        ("alive", Some((alive, here.clone())), false),
        ("elsewhere", Some((dead, elsewhere)), false),
        ("unreadable", Some(("x".to_owned(), here)), false),
        ("stranger", None, false),
    ];
    let mut created = Vec::new();
    for (name, labels, is_swept) in cases {
        let name = format!("sweep-test-{}-{name}", std::process::id());
        let labels = labels.map(|(owner, namespace)| {
            HashMap::from([
                (sweep::LABEL_OWNER.to_owned(), owner),
                (sweep::LABEL_PID_NAMESPACE.to_owned(), namespace),
            ])
        });
        let body = ContainerCreateBody {
            image: Some(image.clone()),
            labels,
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..CreateContainerOptions::default()
        };
        daemon.api().create_container(Some(options), body).await.unwrap();
        created.push((name, is_swept));
    }
    let swept = sweep::remove_orphans(&daemon).await;
    let mut left = Vec::new();
    for (name, is_swept) in &created {
        let is_there = daemon.api().inspect_container(name, None).await.is_ok();
        if is_there {
            daemon.api().remove_container(name, None).await.unwrap();
        }
        left.push((name, is_there != *is_swept));
    }
    swept.unwrap();
    assert!(left.iter().all(|(_, is_right)| *is_right), "{left:?}");
}

#[tokio::test]
async fn sigkill_of_an_embedded_stack_leaves_no_files() {
    let before = folders();
    let mut up = up("embedded");
    let urls = urls(&mut up);
    let database = PathBuf::from(urls["database"].as_str().unwrap().strip_prefix("sqlite://").unwrap());
    let folder = database.parent().unwrap().to_owned();
    assert!(folder.exists() && !before.contains(&folder));
    signal(&up, Signal::KILL);
    up.wait().unwrap();
    until("removal", async || !folder.exists()).await;
}

fn folders() -> Vec<PathBuf> {
    std::fs::read_dir(std::env::temp_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[tokio::test]
async fn the_watchdog_kills_groups_and_thaws_processes() {
    use std::os::unix::process::CommandExt;
    let watchdog = Watchdog::start(tool()).unwrap();
    let start = || Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
    let (mut killed, mut frozen, mut kept) = (start(), start(), start());
    let process = |child: &Child| ProcessId::of(child.id()).unwrap();
    let _kill = watchdog
        .register(Undo::KillGroup {
            leader: process(&killed),
        })
        .unwrap();
    let _thaw = watchdog
        .register(Undo::Continue {
            process: process(&frozen),
        })
        .unwrap();
    let kept_entry = watchdog.register(Undo::KillGroup { leader: process(&kept) }).unwrap();
    kept_entry.forget().unwrap();
    kill_process(Pid::from_child(&frozen), Signal::STOP).unwrap();
    let state = |child: &Child| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit_once(')').unwrap().1.trim_start().chars().next().unwrap()
    };
    until("the stop", async || state(&frozen) == 'T').await;
    drop((_kill, _thaw, watchdog));
    assert!(!killed.wait().unwrap().success());
    until("the thaw", async || state(&frozen) != 'T').await;
    assert!(
        kept.try_wait().unwrap().is_none(),
        "what was taken off the list is left alone"
    );
    for child in [&mut frozen, &mut kept] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
