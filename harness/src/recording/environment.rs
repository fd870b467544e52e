//! What this machine is, read from `/proc` and `/sys`. The only place that looks; a fact that is not there is `None`.

use std::fs;
use std::path::Path;

use super::model::{Environment, Tool};
use crate::units::Bytes;

/// This build.
pub fn tool() -> Tool {
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("SOUNDCHECK_COMMIT")
            .map(str::to_owned)
            .or_else(|| head_commit(Path::new(env!("CARGO_MANIFEST_DIR")))),
    }
}

/// The commit of the work tree that this was built from, while it still lies where it was built.
fn head_commit(from: &Path) -> Option<String> {
    let git = from.ancestors().map(|dir| dir.join(".git")).find(|git| git.exists())?;
    let git = if git.is_file() {
        Path::new(fs::read_to_string(&git).ok()?.trim().strip_prefix("gitdir: ")?).to_owned()
    } else {
        git
    };
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_owned());
    };
    let common = fs::read_to_string(git.join("commondir")).map_or_else(|_| git.clone(), |dir| git.join(dir.trim()));
    let loose = fs::read_to_string(common.join(reference))
        .ok()
        .map(|commit| commit.trim().to_owned());
    loose.or_else(|| {
        let packed = fs::read_to_string(common.join("packed-refs")).ok()?;
        let line = packed.lines().find(|line| line.ends_with(&format!(" {reference}")))?;
        line.split(' ').next().map(str::to_owned)
    })
}

/// Reads the machine's facts.
pub fn read() -> Environment {
    read_from(Path::new("/"))
}

/// The same from a root of one's own, so that a test can show a machine where facts are missing.
fn read_from(root: &Path) -> Environment {
    let text = |path: &str| fs::read_to_string(root.join(path)).ok();
    let cpu = text("proc/cpuinfo");
    let (cgroup_cpus, cgroup_memory) = control_group(root);
    Environment {
        cpu_model: cpu
            .as_deref()
            .and_then(|cpu| field(cpu, "model name").or_else(|| field(cpu, "Model"))),
        cores: cpu
            .as_deref()
            .map(|cpu| cpu.lines().filter(|line| line.starts_with("processor")).count())
            .filter(|&cores| cores > 0)
            .and_then(|cores| u32::try_from(cores).ok()),
        memory: text("proc/meminfo").and_then(|memory| kibibytes(&field(&memory, "MemTotal")?)),
        kernel: text("proc/sys/kernel/osrelease").map(|release| release.trim().to_owned()),
        system: text("etc/os-release").and_then(|release| {
            let line = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(line.trim_matches('"').to_owned())
        }),
        architecture: Some(std::env::consts::ARCH.to_owned()),
        cgroup_cpus,
        cgroup_memory,
        open_files_limit: text("proc/self/limits").and_then(|limits| {
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
            line.split_whitespace().next()?.parse().ok()
        }),
        load_before: text("proc/loadavg").and_then(|load| load.split(' ').next()?.parse().ok()),
        clock_source: text("sys/devices/system/clocksource/clocksource0/current_clocksource")
            .map(|source| source.trim().to_owned()),
        virtualised: cpu.as_deref().and_then(|cpu| {
            let flags = field(cpu, "flags")?;
            Some(flags.split(' ').any(|flag| flag == "hypervisor"))
        }),
    }
}

/// The first value under a name in a `name : value` file.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn kibibytes(value: &str) -> Option<Bytes> {
    let number: u64 = value.strip_suffix(" kB")?.trim().parse().ok()?;
    number.checked_mul(1024).map(Bytes)
}

/// The tightest limits on the way from our control group (version 2) up to the root.
fn control_group(root: &Path) -> (Option<f64>, Option<Bytes>) {
    let own = fs::read_to_string(root.join("proc/self/cgroup")).ok();
    let own = own
        .as_deref()
        .and_then(|own| own.lines().find_map(|line| line.strip_prefix("0::/")));
    let base = root.join("sys/fs/cgroup");
    let mut cpus: Option<f64> = None;
    let mut memory: Option<u64> = None;
    for dir in base
        .join(own.unwrap_or_default())
        .ancestors()
        .take_while(|dir| dir.starts_with(&base))
    {
        if let Some(limit) = fs::read_to_string(dir.join("cpu.max"))
            .ok()
            .and_then(|text| cpu_limit(&text))
        {
            cpus = Some(cpus.map_or(limit, |known| known.min(limit)));
        }
        let limit = fs::read_to_string(dir.join("memory.max"))
            .ok()
            .and_then(|text| text.trim().parse().ok());
        if let Some(limit) = limit {
            memory = Some(memory.map_or(limit, |known| known.min(limit)));
        }
    }
    (cpus, memory.map(Bytes))
}

fn cpu_limit(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_tells_nothing_has_no_facts() {
        let root = tempfile::tempdir().unwrap();
        let environment = read_from(root.path());
        let nothing = Environment {
            architecture: environment.architecture.clone(),
            ..Environment::default()
        };
        assert_eq!(environment, nothing);
    }

    #[test]
    fn facts_are_read_with_the_tightest_limit_of_the_control_groups() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(
            "proc/cpuinfo",
            "processor\t: 0\nmodel name\t: Abacus 3\nflags\t\t: fpu hypervisor\n\nprocessor\t: 1\n",
        );
        put("proc/meminfo", "MemTotal:        8000 kB\n");
        put("proc/self/cgroup", "0::/a/b\n");
        put("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
        put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
        put("sys/fs/cgroup/a/memory.max", "max\n");
        put("sys/fs/cgroup/a/b/memory.max", "1048576\n");
        put(
            "proc/self/limits",
            "Max open files            1024                 524288               files\n",
        );
        put("proc/loadavg", "0.50 0.60 0.70 1/100 42\n");
        let environment = read_from(root.path());
        assert_eq!(environment.cpu_model.as_deref(), Some("Abacus 3"));
        assert_eq!(environment.cores, Some(2));
        assert_eq!(environment.memory, Some(Bytes(8_192_000)));
        assert_eq!(environment.cgroup_cpus, Some(1.5));
        assert_eq!(environment.cgroup_memory, Some(Bytes(1_048_576)));
        assert_eq!(environment.open_files_limit, Some(1024));
        assert_eq!(environment.load_before, Some(0.5));
        assert_eq!(environment.virtualised, Some(true));
    }
}
