//! Keeps the birth of child processes apart from what it would disturb.
//!
//! A child has a copy of every open socket until the kernel closes them in the middle of `exec`, a moment after the
//! parent has been told that the child runs. A port that is closed and opened anew in that moment is still taken: the
//! mock broker's library then ends the whole process.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

static SPAWNING: RwLock<()> = RwLock::new(());

/// `exec` takes milliseconds, on a starved machine a few more.
const SETTLE_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// To be held while a process is started.
pub fn begin() -> RwLockReadGuard<'static, ()> {
    SPAWNING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Does `act` while no process is being started and none holds copies of our sockets any more.
pub fn while_quiet<T>(act: impl FnOnce() -> T) -> T {
    let _nobody_starts = SPAWNING.write().unwrap_or_else(PoisonError::into_inner);
    let deadline = Instant::now() + SETTLE_WITHIN;
    while children_hold_our_sockets() && Instant::now() < deadline {
        std::thread::sleep(LOOK_EVERY);
    }
    act()
}

fn children_hold_our_sockets() -> bool {
    let ours = sockets(Path::new("/proc/self/fd"));
    children().any(|pid| !sockets(Path::new(&format!("/proc/{pid}/fd"))).is_disjoint(&ours))
}

/// The sockets behind a process's file handles, by the kernel's numbers; none of one that is gone or not ours.
fn sockets(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .map(|link| link.to_string_lossy().into_owned())
        .filter(|link| link.starts_with("socket:"))
        .collect()
}

fn children() -> impl Iterator<Item = u32> {
    let me = std::process::id();
    let entries = std::fs::read_dir("/proc").ok().into_iter().flatten();
    entries.filter_map(move |entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        (parent_of(pid)? == me).then_some(pid)
    })
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_and_holds_none_of_our_sockets_after_its_start() {
        let _socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = {
            let _starting = begin();
            std::process::Command::new("sleep").arg("1000").spawn().unwrap()
        };
        let found = while_quiet(|| children().any(|pid| pid == child.id()));
        assert!(found);
        assert!(!sockets(Path::new("/proc/self/fd")).is_empty());
        let is_disjoint =
            sockets(Path::new(&format!("/proc/{}/fd", child.id()))).is_disjoint(&sockets(Path::new("/proc/self/fd")));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_disjoint);
    }
}
