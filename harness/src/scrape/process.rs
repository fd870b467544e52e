//! What processes and the machine use, from `/proc`, under the names of node_exporter and of Prometheus' clients.
//! Stolen time is there, too: on a shared machine it is the first suspect.

use std::fs;
use std::path::{Path, PathBuf};

use super::poll::Source;
use super::{Sample, ScrapeError};
use crate::recording::SeriesKind;

/// One process.
#[derive(Debug)]
pub struct ProcessSource {
    pid: u32,
    /// Ticks since boot; tells the process from a later one with the same number.
    started: Option<u64>,
}

impl ProcessSource {
    /// The process with this number.
    pub const fn new(pid: u32) -> Self {
        Self { pid, started: None }
    }

    /// This process: the load generator.
    pub fn own() -> Self {
        Self::new(std::process::id())
    }
}

impl Source for ProcessSource {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        let folder = PathBuf::from(format!("/proc/{}", self.pid));
        let text = match fs::read_to_string(folder.join("stat")) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ScrapeError::Ended { pid: self.pid });
            }
            Err(error) => return Err(reading(&folder.join("stat"))(error)),
        };
        let stat = Stat::parse(&text).ok_or_else(|| form(&folder.join("stat")))?;
        // A zombie has ended; nobody has asked how.
        if stat.state == 'Z' || *self.started.get_or_insert(stat.started_ticks) != stat.started_ticks {
            return Err(ScrapeError::Ended { pid: self.pid });
        }
        let files = fs::read_dir(folder.join("fd"))
            .map_err(reading(&folder.join("fd")))?
            .count();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as f64;
        let gauge = |name: &str, value: f64| Sample::new(name, &[], SeriesKind::Gauge, value);
        Ok(vec![
            Sample::new(
                "process_cpu_seconds_total",
                &[],
                SeriesKind::Counter,
                stat.cpu_ticks as f64 / ticks,
            ),
            gauge("process_resident_memory_bytes", stat.resident_pages as f64 * page),
            gauge("process_threads", stat.threads as f64),
            gauge("process_open_fds", files as f64),
        ])
    }
}

/// The fields of `/proc/<pid>/stat` that are used; see proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    /// User and system.
    cpu_ticks: u64,
    threads: u64,
    started_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name stands in parentheses and may itself hold some, and spaces.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // Field 3 of the manual comes first after the name.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            state: fields.first()?.chars().next()?,
            cpu_ticks: field(14)?.checked_add(field(15)?)?,
            threads: field(20)?,
            started_ticks: field(22)?,
            resident_pages: field(24)?,
        })
    }
}

/// The whole machine.
#[derive(Debug, Default)]
pub struct MachineSource;

impl Source for MachineSource {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        let read = |path: &'static str| fs::read_to_string(path).map_err(reading(Path::new(path)));
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let mut samples = cpu_seconds(&read("/proc/stat")?, ticks).ok_or_else(|| form(Path::new("/proc/stat")))?;
        samples.extend(memory(&read("/proc/meminfo")?));
        Ok(samples)
    }
}

/// Seconds of all processors together by what they did.
fn cpu_seconds(stat: &str, ticks_per_second: f64) -> Option<Vec<Sample>> {
    const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
    let total = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut values = total.split_whitespace();
    MODES
        .iter()
        .map(|mode| {
            let seconds = values.next()?.parse::<f64>().ok()? / ticks_per_second;
            Some(Sample::new(
                "node_cpu_seconds_total",
                &[("mode", mode)],
                SeriesKind::Counter,
                seconds,
            ))
        })
        .collect()
}

fn memory(meminfo: &str) -> Vec<Sample> {
    let bytes = |name: &str| {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Sample::new(
            format!("node_memory_{name}_bytes"),
            &[],
            SeriesKind::Gauge,
            kib * 1024.0,
        ))
    };
    ["MemTotal", "MemAvailable"].into_iter().filter_map(bytes).collect()
}

fn reading(path: &Path) -> impl Fn(std::io::Error) -> ScrapeError {
    move |source| ScrapeError::Read {
        path: path.display().to_string(),
        source,
    }
}

fn form(path: &Path) -> ScrapeError {
    ScrapeError::Form {
        path: path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_confuse() {
        let text = "4242 (a) b (c) S 1 4242 4242 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 7 0 98765 1000000 300 1844 1 1";
        let expected = Stat {
            state: 'S',
            cpu_ticks: 200,
            threads: 7,
            started_ticks: 98_765,
            resident_pages: 300,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("4242 (a"), None);
        assert_eq!(Stat::parse("4242 (a) S 1"), None);
    }

    #[test]
    fn stolen_time_is_read() {
        let samples = cpu_seconds("cpu  100 0 200 5000 10 0 5 40 0 0\ncpu0 1 2\n", 100.0).unwrap();
        let steal = samples.iter().find(|s| s.labels["mode"] == "steal").unwrap();
        assert_eq!((samples.len(), steal.value), (8, 0.4));
        assert_eq!(cpu_seconds("intr 1\n", 100.0), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let samples = memory("MemTotal:       24682680 kB\nMemFree: 1 kB\nMemAvailable:   23000000 kB\n");
        assert_eq!(samples[0].value, 24_682_680.0 * 1024.0);
        assert_eq!(samples[1].name, "node_memory_MemAvailable_bytes");
    }
}
