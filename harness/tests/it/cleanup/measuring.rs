//! Whoever measures on containers of its own and is ended leaves none of them: neither a report nor a run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use soundcheck::stack::Component;

use crate::containers::{can_open_a_stack, containers_of};
use crate::{signal, tool, until};

/// Users who think for a minute between two steps, so that there is somebody to wait for when the end is asked for.
const PATIENT: &str = "extends: smoke\nname: patient\nusers: 2000\nthink: {from: 1m, to: 1m}\ntimeouts: {drain: 5m}\n\
                       stages: [{name: long, for: 10m, rate: 30/s}]\n";

/// A command that measures on containers of its own.
struct Measuring {
    child: Child,
    folder: tempfile::TempDir,
}

impl Measuring {
    /// Starts it; `None` where there can be no containers.
    async fn start(arguments: &[&str]) -> Option<Self> {
        if !can_open_a_stack().await {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("temporary")).unwrap();
        std::fs::write(path("patient.yaml"), PATIENT).unwrap();
        let child = Command::new(tool())
            .args(arguments)
            .args(["--stack", "containers", "--out", "out"])
            .current_dir(folder.path())
            .env("TMPDIR", path("temporary"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("said")).unwrap())
            .spawn()
            .unwrap();
        Some(Self { child, folder })
    }

    /// A run of this scenario, when its users have begun.
    async fn run(scenario: &str) -> Option<Self> {
        let mut run = Self::start(&["run", scenario]).await?;
        run.until("the load", |run| {
            let history = run.recording()?.join("history.000.bin");
            std::fs::metadata(history)
                .is_ok_and(|file| file.len() > 1_000)
                .then_some(())
        })
        .await;
        assert_eq!(containers_of(run.child.id()).await.len(), Component::ALL.len());
        Some(run)
    }

    /// A report, when its first service runs.
    async fn report() -> Option<Self> {
        let mut report = Self::start(&["report", "cache", "--profile", "smoke"]).await?;
        report
            .until("a service", |report| (report.n_services() > 0).then_some(()))
            .await;
        assert_eq!(containers_of(report.child.id()).await.len(), Component::ALL.len());
        Some(report)
    }

    /// Waits until it is so, while it runs.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> Option<()>) {
        until(what, async || {
            assert_eq!(self.child.try_wait().unwrap(), None, "it ended early: {}", self.said());
            is_so(self).is_some()
        })
        .await;
    }

    fn signal(&self, with: Signal) {
        signal(&self.child, with);
    }

    /// What it has said so far on standard error.
    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// The folder of its only recording, once there is one.
    fn recording(&self) -> Option<PathBuf> {
        let mut folders = std::fs::read_dir(self.folder.path().join("out")).ok()?;
        Some(folders.next()?.unwrap().path())
    }

    /// How many processes have a command line that names its folder and serves.
    fn n_services(&self) -> usize {
        let folder = self.folder.path().display().to_string();
        let processes = std::fs::read_dir("/proc").unwrap();
        let lines = processes.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok());
        lines
            .filter(|line| line.contains(&folder) && line.split('\0').any(|word| word == "serve"))
            .count()
    }

    /// It was interrupted, and nothing of it was left when it ended.
    async fn check_interrupted(&mut self) {
        let code = self.child.wait().unwrap().code();
        assert_eq!(code, Some(130), "{}", self.said());
        assert_eq!(containers_of(self.child.id()).await, [] as [String; 0]);
        assert_eq!(self.n_services(), 0);
        assert_eq!(files(&self.folder.path().join("temporary")), [] as [PathBuf; 0]);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn sigkill_in_the_middle_of_a_report_leaves_no_containers() {
    let Some(mut report) = Measuring::report().await else {
        return;
    };
    report.signal(Signal::KILL);
    report.child.wait().unwrap();
    let pid = report.child.id();
    until("removal", async || containers_of(pid).await.is_empty()).await;
    until("the end of the services", async || report.n_services() == 0).await;
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_a_report_removes_everything_before_the_end() {
    let Some(mut report) = Measuring::report().await else {
        return;
    };
    report.signal(Signal::INT);
    report.check_interrupted().await;
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_a_run_reports_what_there_is_and_removes_everything() {
    let Some(mut run) = Measuring::run("smoke").await else {
        return;
    };
    run.signal(Signal::INT);
    run.check_interrupted().await;
    let report = std::fs::read_to_string(run.recording().unwrap().join("report.md")).unwrap();
    assert!(
        report.contains("# Run: smoke") && report.contains("**Unknown:** "),
        "{report}"
    );
    assert!(!report.contains("SQLite numbers"), "{report}");
}

/// The second one does not wait for users who think, and for no report either.
#[tokio::test]
async fn ctrl_c_twice_in_the_middle_of_a_run_removes_everything_at_once() {
    let Some(mut run) = Measuring::run("patient.yaml").await else {
        return;
    };
    run.signal(Signal::INT);
    run.until("a word about the end", |run| {
        run.said().contains("once more ends at once").then_some(())
    })
    .await;
    run.signal(Signal::INT);
    run.check_interrupted().await;
    assert!(!run.recording().unwrap().join("report.md").exists(), "{}", run.said());
}
