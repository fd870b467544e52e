//! Child processes of these tests, kept apart from the mock brokers beside them.
//!
//! A child has a copy of every open socket until the kernel closes them in the middle of `exec`. A mock broker that is
//! taken down in that moment closes its port, finds it taken when it opens it anew, and ends this whole process.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

static SPAWNING: RwLock<()> = RwLock::new(());
const WITHIN: Duration = Duration::from_secs(10);

/// Starts a process, and returns when it can keep no port of ours from being opened anew.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _starting = SPAWNING.read().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn().unwrap();
    let began = Instant::now();
    // Its own ports are others: only a copy has the same number.
    while !listeners(&child.id().to_string()).is_disjoint(&listeners("self")) {
        assert!(began.elapsed() < WITHIN, "the child never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Does `act` while no process is being started.
pub(crate) fn while_quiet<T>(act: impl FnOnce() -> T) -> T {
    let _nobody_starts = SPAWNING.write().unwrap_or_else(PoisonError::into_inner);
    act()
}

/// The listening sockets of a process, by the kernel's numbers; none of one that is gone.
fn listeners(process: &str) -> BTreeSet<String> {
    let Ok(handles) = std::fs::read_dir(format!("/proc/{process}/fd")) else {
        return BTreeSet::new();
    };
    let links = handles.filter_map(|handle| std::fs::read_link(handle.ok()?.path()).ok());
    let sockets: BTreeSet<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listening = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        (fields.get(3) == Some(&"0A")).then(|| format!("socket:[{}]", fields[9]))
    });
    listening.filter(|socket| sockets.contains(socket)).collect()
}
