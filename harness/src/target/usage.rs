//! What a process has used so far, as the kernel counts it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// A reading of `/proc/PID`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time, in the process and in the kernel for it.
    pub cpu: Duration,
    /// Resident memory now.
    pub resident: Bytes,
    /// The most that was resident at once.
    pub resident_peak: Bytes,
    pub n_threads: u64,
    /// `None` when the kernel does not show them to us.
    pub n_open_files: Option<u64>,
}

impl Usage {
    /// Reads it; `None` when the process is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let folder = format!("/proc/{pid}");
        let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("{folder}/status")).ok()?;
        let n_open_files = std::fs::read_dir(format!("{folder}/fd"))
            .ok()
            .map(|entries| entries.count() as u64);
        let kib = |name| Some(Bytes(field(&status, name)? * 1024));
        Some(Self {
            cpu: cpu(&stat, rustix::param::clock_ticks_per_second())?,
            resident: kib("VmRSS:")?,
            resident_peak: kib("VmHWM:")?,
            n_threads: field(&status, "Threads:")?,
            n_open_files,
        })
    }
}

/// User and system time: fields 14 and 15, counted from after the name, which may hold anything.
fn cpu(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs_f64(
        (user + system) as f64 / ticks_per_second as f64,
    ))
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident.0 > 0 && usage.resident_peak >= usage.resident);
        assert!(usage.n_threads >= 1 && usage.n_open_files.is_some());
    }

    #[test]
    fn processor_time_is_read_after_the_name() {
        let stat = "7 (a) 9 (b)) S 1 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 4711";
        assert_eq!(cpu(stat, 100), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_process_that_is_gone_uses_nothing_known() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(Usage::of(pid), None);
    }
}
