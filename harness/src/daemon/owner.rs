//! Who owns a container, or what a process is, so that nobody is mistaken for a namesake.
//!
//! A process number alone is reused; together with the start time and the boot it is not.

use std::fmt;
use std::str::FromStr;

/// A process, safe against reuse of its number within one boot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct ProcessId {
    pub pid: u32,
    /// Clock ticks after boot at which it started.
    pub start_ticks: u64,
}

impl ProcessId {
    /// The process that has this number now; `None` when there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            start_ticks: Stat::read(pid)?.start_ticks,
        })
    }

    /// Whether every thread of it is stopped. SIGSTOP is on its way for a while: one thread takes it, and tells the rest
    /// when it next runs.
    pub fn is_stopped(self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else {
            return false;
        };
        self.is_alive()
            && threads.flatten().all(|thread| {
                // A thread that ends meanwhile does nothing any more.
                std::fs::read_to_string(thread.path().join("stat"))
                    .ok()
                    .and_then(|text| Stat::parse(&text))
                    .is_none_or(|stat| stat.is_stopped || stat.is_dead)
            })
    }

    /// Whether it still runs. A zombie does not: it waits for its parent alone.
    pub fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead)
    }
}

/// What `/proc/PID/stat` says.
struct Stat {
    is_dead: bool,
    is_stopped: bool,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name, second field, may hold spaces and parentheses: count from the last one.
    fn parse(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(')')?;
        let mut fields = after_name.split_ascii_whitespace();
        let state = fields.next()?;
        // The state is field 3 and the start time field 22.
        let start_ticks = fields.nth(18)?.parse().ok()?;
        Some(Self {
            is_dead: matches!(state, "Z" | "X" | "x"),
            is_stopped: matches!(state, "T" | "t"),
            start_ticks,
        })
    }
}

/// A run of the tool: the process, the boot, and the process namespace in which its number means something.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    pub process: ProcessId,
    boot_id: String,
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// `/proc` is not mounted, or is not Linux's.
    pub fn me() -> std::io::Result<Self> {
        let process = ProcessId::of(std::process::id()).ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "/proc/self/stat cannot be read; is /proc mounted?",
            )
        })?;
        Ok(Self {
            process,
            boot_id: boot_id()?,
        })
    }

    /// Whether it may still need what it owns. An owner of another boot is gone for certain.
    ///
    /// # Errors
    /// The boot's id cannot be read.
    pub fn is_alive(&self) -> std::io::Result<bool> {
        Ok(self.boot_id == boot_id()? && self.process.is_alive())
    }
}

fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// The process namespace, as the kernel names it: elsewhere our numbers mean other processes.
pub(crate) fn pid_namespace() -> std::io::Result<String> {
    Ok(std::fs::read_link("/proc/self/ns/pid")?.display().to_string())
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.process.pid, self.process.start_ticks, self.boot_id)
    }
}

/// The text is no owner.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no owner; expected PID:STARTTIME:BOOTID")]
pub struct OwnerParseError(String);

impl FromStr for Owner {
    type Err = OwnerParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.splitn(3, ':');
            let pid = parts.next()?.parse().ok()?;
            let start_ticks = parts.next()?.parse().ok()?;
            let boot_id = parts.next().filter(|id| !id.is_empty())?.to_owned();
            Some(Self {
                process: ProcessId { pid, start_ticks },
                boot_id,
            })
        };
        parse().ok_or_else(|| OwnerParseError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_survives_a_round_trip() {
        let me = Owner::me().unwrap();
        assert!(me.is_alive().unwrap());
        assert_eq!(me.to_string().parse::<Owner>().unwrap(), me);
    }

    #[test]
    fn a_namesake_is_not_the_owner() {
        let mut other = Owner::me().unwrap();
        other.process.start_ticks += 1;
        assert!(!other.is_alive().unwrap(), "the number was reused");
        let mut other = Owner::me().unwrap();
        other.boot_id = "another".into();
        assert!(!other.is_alive().unwrap(), "the machine was restarted");
    }

    #[test]
    fn a_process_is_stopped_between_two_signals() {
        use rustix::process::{Pid, Signal, kill_process};
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        let pid = Pid::from_child(&child);
        let until = |is_stopped| {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while process.is_stopped() != is_stopped {
                assert!(std::time::Instant::now() < deadline, "not {is_stopped} in time");
                std::thread::yield_now();
            }
        };
        assert!(!process.is_stopped());
        kill_process(pid, Signal::STOP).unwrap();
        until(true);
        kill_process(pid, Signal::CONT).unwrap();
        until(false);
        kill_process(pid, Signal::STOP).unwrap();
        until(true);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_stopped(), "what has ended is not stopped");
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while process.is_alive() {
            assert!(std::time::Instant::now() < deadline, "`true` did not end");
            std::thread::yield_now();
        }
        assert!(ProcessId::of(child.id()).is_some(), "not waited for yet");
        child.wait().unwrap();
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = Stat::parse("7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0").unwrap();
        assert_eq!(stat.start_ticks, 4711);
        assert!(!stat.is_dead);
    }

    #[test]
    fn what_is_no_owner_is_refused() {
        for text in ["", "1", "1:2", "1:2:", "x:2:b", "1:-2:b"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }
}
