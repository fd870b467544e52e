//! No space left: in the folder of a recording while it is made, where the database is, where a report goes, and where
//! standard output leads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use soundcheck::recording::model::{Environment, Variant};
use soundcheck::recording::{Manifest, RecordingWriter, RunClock, environment};

use crate::containers::{can_open_a_stack, containers_of};
use crate::disk::{Disk, Used};
use crate::tool::Site;

/// More than a run needs, so that it is full when the test says so, and at no other time.
const ENOUGH_KIB: u32 = 64 * 1024;

/// Records onto a disk that fills up as soon as operations are on it.
#[track_caller]
fn report(site: &Site, kind: &str, stack: &str) -> Option<Used> {
    let disk = Disk {
        size_kib: ENOUGH_KIB,
        is_full_after: "reports/*/history.*.bin",
        ..Disk::default()
    };
    let out = Disk::path(site).join("reports").display().to_string();
    disk.run(
        site,
        None,
        &[],
        &["report", kind, "--profile", "smoke", "--stack", stack, "--out", &out],
    )
}

/// It ended with an error that names the file, and what it had measured can still be read and says that it is not all.
#[track_caller]
fn check_kept(site: &Site, used: &Used, kind: &str) {
    let recording = only_folder(&used.after.join("reports"));
    let name = recording.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.contains(kind), "{name}");
    let on_disk = Disk::path(site).join("reports").join(&name).display().to_string();
    used.said.fails(
        4,
        &[
            &format!("what was measured is kept in {on_disk}\n"),
            &format!("no space left while writing {on_disk}/"),
            "; free some, or record elsewhere with --out",
        ],
    );
    let recording = recording.display().to_string();
    let verified = site.run(&["verify", &recording]);
    assert_eq!(verified.code, Some(4), "{verified:?}");
    let operations = verified.stdout.lines().filter_map(|line| {
        let (_, count) = line.split_once(" operations,")?.0.rsplit_once(": ")?;
        count.parse::<u64>().ok()
    });
    assert!(operations.sum::<u64>() > 0, "nothing was kept: {verified:?}");
    let rendered = site.run(&["render", &recording]);
    assert_eq!(rendered.code, Some(0), "{rendered:?}");
    for said in [&verified, &rendered] {
        assert!(said.stdout.contains("note: the run did not end properly"), "{said:?}");
    }
    assert!(rendered.stdout.contains("UNKNOWN"), "{rendered:?}");
    let report = fs::read_to_string(format!("{recording}/report.md")).unwrap();
    assert!(report.contains("the run did not end properly"), "{report}");
    let parts = all_files(Path::new(&recording))
        .into_iter()
        .filter(|file| file.ends_with(".part"));
    assert_eq!(parts.count(), 0, "half a file is left");
}

#[test]
fn an_experiment_that_fills_its_disk_ends_and_is_kept() {
    let site = Site::new();
    if let Some(used) = report(&site, "cache", "embedded") {
        check_kept(&site, &used, "cache");
    }
}

#[test]
fn a_drill_that_fills_its_disk_ends_early_and_is_kept() {
    let site = Site::new();
    if let Some(used) = report(&site, "incident", "embedded") {
        check_kept(&site, &used, "incident");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_removed_when_the_disk_of_their_recording_is_full() {
    if !can_open_a_stack().await {
        return;
    }
    let site = Site::new();
    let Some(used) = report(&site, "cache", "containers") else {
        return;
    };
    used.said.tells(&["mysql: ready", "redis: ready", "kafka: ready"]);
    check_kept(&site, &used, "cache");
    assert_eq!(containers_of(used.pid).await, [] as [String; 0]);
}

#[test]
fn a_database_without_space_is_told_with_where_it_is() {
    let site = Site::new();
    let disk = Disk {
        size_kib: 512,
        ..Disk::default()
    };
    let temporary = Disk::path(&site);
    let out = site.path("reports").display().to_string();
    let arguments = [
        "report",
        "cache",
        "--profile",
        "smoke",
        "--stack",
        "embedded",
        "--out",
        &out,
    ];
    let Some(used) = disk.run(&site, None, &[("TMPDIR", &temporary)], &arguments) else {
        return;
    };
    used.said.fails(
        6,
        &[
            "cannot be run: `",
            "the database has no space left; free some where `database.url` leads",
            "what was measured is kept in",
        ],
    );
    assert_eq!(all_files(&used.after), [] as [String; 0], "temporary files are left");
}

#[test]
fn no_place_for_temporary_files_is_told_with_the_variable() {
    let site = Site::new();
    for arguments in [
        &["report", "cache", "--profile", "smoke", "--stack", "embedded"][..],
        &["up", "--stack", "embedded"],
    ] {
        let mut command = site.tool(arguments);
        command.env("TMPDIR", "/nowhere/at/all");
        site.run_command(command)
            .fails(2, &["/nowhere/at/all", "set TMPDIR to another folder"]);
    }
    assert_eq!(site.names(), [] as [&str; 0]);
}

/// A small recording, as a run writes it.
fn overview(dir: &Path) {
    let clock = RunClock::start().anchor();
    let mut manifest = Manifest::new("overview", environment::tool(), 1, Environment::default(), clock);
    manifest.variants.push(Variant::named("base"));
    let writer = RecordingWriter::create(dir, &manifest).unwrap();
    writer.put("summary.json", br#"{"reports":[]}"#).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_report_that_does_not_fit_leaves_its_recording_as_it_was() {
    let site = Site::new();
    let before = site.path("before");
    overview(&before.join("run"));
    let disk = Disk {
        size_kib: 128,
        is_full: true,
        ..Disk::default()
    };
    let run = Disk::path(&site).join("run").display().to_string();
    let Some(used) = disk.run(&site, Some(&before), &[], &["render", &run]) else {
        return;
    };
    used.said
        .fails(2, &[&format!("cannot write {run}/"), "is there space", "No space left"]);
    let [was, is] = [&before, &used.after].map(|root| all_files(&root.join("run")));
    assert_eq!(is, was, "half a report is left");
    let rendered = site.run(&["render", &used.after.join("run").display().to_string()]);
    assert_eq!(rendered.code, Some(0), "{rendered:?}");
    assert!(!rendered.stdout.contains("note: "), "{rendered:?}");
}

/// `/dev/full` is a disk without space, for whoever writes to it.
#[test]
fn a_result_that_does_not_fit_is_no_panic() {
    let site = Site::new();
    overview(&site.path("run"));
    for arguments in [
        &["verify", "run"][..],
        &["verify", "run", "--json"],
        &["render", "run"],
        &["render", "run", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["up", "--stack", "embedded", "--no-service", "--only", "kafka"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let said = site.run_into(site.tool(arguments), full);
        said.fails(
            2,
            &["cannot write the result to standard output", "No space left on device"],
        );
    }
}

/// A reader that has seen enough, as `head` has, is no failure.
#[test]
fn a_reader_that_has_gone_is_no_error() {
    let site = Site::new();
    overview(&site.path("run"));
    for (arguments, code) in [(&["render", "run"][..], 0), (&["verify", "run"], 4), (&["doctor"], 0)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = site.run_into(site.tool(arguments), writer);
        assert_eq!((said.code, said.stderr.as_str()), (Some(code), ""), "{said:?}");
    }
}

fn only_folder(parent: &Path) -> PathBuf {
    let mut folders: Vec<_> = fs::read_dir(parent)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

/// Every file below `root`, relative to it, in order.
fn all_files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(folder) = pending.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
