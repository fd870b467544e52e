//! What this machine is, read from `/proc` and `/sys`, and which build this is. The only place that looks; a fact that is
//! not there is `None`.

use std::fs;
use std::path::Path;

use super::model::{Environment, Tool};
use crate::units::Bytes;

/// This build: its commit was baked in when it was compiled, with `-dirty` behind it where the sources had been changed
/// since. `None` where it was built outside of a work tree.
pub fn tool() -> Tool {
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("SOUNDCHECK_COMMIT").map(str::to_owned),
    }
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
#[path = "../../build/commit.rs"]
mod commit;

#[cfg(test)]
mod tests {
    use super::commit::{head, named};
    use super::*;

    const COMMIT: &str = "4cb85cc18a9c264ff5d4416c9be1ac99a467f7a9";

    /// A folder with these files; the commit that it stands at, and the names of the files that tell.
    #[track_caller]
    fn check_head(files: &[(&str, &str)], from: &str, commit: Option<&str>, told_by: &[&str]) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(root.path().join(from)).unwrap();
        let found = head(&root.path().join(from));
        assert_eq!(found.commit.as_deref(), commit);
        let expected: Vec<_> = told_by
            .iter()
            .map(|path| root.path().join(path).canonicalize().unwrap())
            .collect();
        let files: Vec<_> = found.files.iter().map(|path| path.canonicalize().unwrap()).collect();
        assert_eq!(files, expected);
    }

    #[test]
    fn the_commit_is_found_wherever_git_keeps_it() {
        let line = format!("{COMMIT}\n");
        let packed = format!("# pack-refs\n0000 refs/heads/other\n{COMMIT} refs/heads/main\n");
        let branch = (".git/HEAD", "ref: refs/heads/main\n");
        check_head(
            &[branch, (".git/refs/heads/main", &line), (".git/logs/HEAD", "")],
            "harness",
            Some(COMMIT),
            &[".git/HEAD", ".git/logs/HEAD", ".git/refs/heads/main"],
        );
        check_head(
            &[branch, (".git/packed-refs", &packed)],
            "harness",
            Some(COMMIT),
            &[".git/HEAD", ".git/packed-refs"],
        );
        check_head(&[(".git/HEAD", &line)], ".", Some(COMMIT), &[".git/HEAD"]);
        // A second work tree has its own HEAD and the branches of the first.
        let second = [
            ("second/.git", "gitdir: ../first/.git/worktrees/second\n"),
            ("first/.git/worktrees/second/HEAD", "ref: refs/heads/fix\n"),
            ("first/.git/worktrees/second/commondir", "../..\n"),
            ("first/.git/refs/heads/fix", &line),
        ];
        let told_by = ["first/.git/worktrees/second/HEAD", "first/.git/refs/heads/fix"];
        check_head(&second, "second/harness", Some(COMMIT), &told_by);
        check_head(&[branch], "harness", None, &[".git/HEAD"]);
    }

    #[test]
    fn a_build_of_changed_sources_is_not_its_commit() {
        assert_eq!(named(COMMIT, Some("")), COMMIT);
        assert_eq!(named(COMMIT, Some(" M src/lib.rs\n")), format!("{COMMIT}-dirty"));
        assert_eq!(named(COMMIT, None), format!("{COMMIT}-unchecked"));
    }

    #[test]
    fn this_build_names_its_commit_where_there_is_one() {
        let Some(commit) = tool().commit else {
            let here = head(Path::new(env!("CARGO_MANIFEST_DIR")));
            assert_eq!(here.commit, None, "the build did not look");
            return;
        };
        let hash = commit.split('-').next().unwrap();
        assert!(
            hash.len() >= 40 && hash.chars().all(|c| c.is_ascii_hexdigit()),
            "{commit}"
        );
    }

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
