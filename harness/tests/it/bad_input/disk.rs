//! A small disk of one's own: a file system in memory, in a mount namespace that ends with the command that uses it, so
//! that nothing stays mounted however a test ends.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::tool::{Said, Site, tool};

/// Mounts the disk, copies onto it what it is to hold, runs a command, and copies off what is there then.
const SCRIPT: &str = r#"
set -eu
mount -t tmpfs -o "$DISK_OPTIONS" none "$DISK"
cp -a "$DISK_BEFORE/." "$DISK"
if [ -n "$DISK_FULL" ]; then
  # Writes until nothing more fits, which is what it is for.
  head -c 1G /dev/zero > "$DISK/filler" 2>/dev/null || true
fi
if [ -n "$DISK_READ_ONLY" ]; then
  mount -o remount,ro "$DISK"
fi
code=0
"$@" & command=$!
echo $command > "$DISK_PID"
if [ -n "$DISK_FULL_AFTER" ]; then
  # Until the command has written some blocks there, or has ended, which its caller bounds.
  until find "$DISK" -path "$DISK/$DISK_FULL_AFTER" -size +7 | grep -q . || ! kill -0 $command 2>/dev/null; do
    sleep 0.02
  done
  head -c 1G /dev/zero > "$DISK/filler" 2>/dev/null || true
fi
wait $command || code=$?
cp -a "$DISK/." "$DISK_AFTER"
exit $code
"#;

/// How a small disk is at the start.
#[derive(Clone, Copy, Default)]
pub(crate) struct Disk {
    pub(crate) size_kib: u32,
    pub(crate) is_full: bool,
    /// A pattern: the disk is filled as soon as there are some KiB in such a file; empty for never.
    pub(crate) is_full_after: &'static str,
    pub(crate) is_read_only: bool,
}

/// What there was at the end.
pub(crate) struct Used {
    pub(crate) said: Said,
    /// The tool's process.
    pub(crate) pid: u32,
    /// A copy of what the disk held.
    pub(crate) after: PathBuf,
}

impl Disk {
    /// Where it is mounted, for arguments.
    pub(crate) fn path(site: &Site) -> PathBuf {
        site.path("disk")
    }

    /// Runs the tool while the disk is there, holding what is below `before`. `None` where nothing can be mounted; that
    /// has been said then.
    #[track_caller]
    pub(crate) fn run(
        self,
        site: &Site,
        before: Option<&Path>,
        variables: &[(&str, &Path)],
        arguments: &[&str],
    ) -> Option<Used> {
        let namespace = namespace()?;
        let [disk, empty, after] = ["disk", "empty", "after"].map(|name| site.path(name));
        for folder in [&disk, &empty, &after] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let pid = site.path("pid");
        let flag = |is_set: bool| if is_set { "yes" } else { "" };
        let mut command = site.command(namespace[0]);
        command
            .args(&namespace[1..])
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(tool())
            .args(arguments)
            .envs(variables.iter().copied())
            .env("DISK", &disk)
            .env("DISK_OPTIONS", format!("size={}k", self.size_kib))
            .env("DISK_BEFORE", before.unwrap_or(&empty))
            .env("DISK_FULL", flag(self.is_full))
            .env("DISK_FULL_AFTER", self.is_full_after)
            .env("DISK_READ_ONLY", flag(self.is_read_only))
            .env("DISK_AFTER", &after)
            .env("DISK_PID", &pid);
        let said = site.run_command(command);
        let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        Some(Used { said, pid, after })
    }
}

/// The command in whose children disks can be mounted.
fn namespace() -> Option<&'static [&'static str]> {
    static FOUND: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    const AS_ROOT: &[&str] = &["unshare", "--mount"];
    const AS_ANYBODY: &[&str] = &["unshare", "--user", "--map-root-user", "--mount"];
    *FOUND.get_or_init(|| {
        let works = |namespace: &&[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let tried = Command::new(namespace[0])
                .args(&namespace[1..])
                .args(["mount", "-t", "tmpfs", "none"])
                .arg(folder.path())
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .status();
            tried.is_ok_and(|status| status.success())
        };
        let found = [AS_ROOT, AS_ANYBODY].into_iter().find(works);
        if found.is_none() {
            let is_root = rustix::process::getuid().is_root();
            let is_required =
                std::env::var("SOUNDCHECK_REQUIRE").is_ok_and(|list| list.split(',').any(|it| it == "containers"));
            assert!(
                !(is_root && is_required),
                "SOUNDCHECK_REQUIRE, but root cannot mount a disk here"
            );
            // Past the test runner's capture, which would hide it for tests that pass.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: the tests of this binary that need a small disk: no mount namespace can be made here; \
                 run them as root, or allow user namespaces"
            );
        }
        found
    })
}
