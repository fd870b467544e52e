//! `render` and `verify` on what is no recording, or is not the one that was recorded: missing, newer, cut off, edited.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use soundcheck::fault::Edges;
use soundcheck::plan::{Dataset, DrillFault, IncidentPlan, Profile, incident};
use soundcheck::recording::model::{Environment, Tool};
use soundcheck::recording::{Clock, Endpoint, Manifest, Outcome, Recording, RecordingWriter, RunClock, Tag};
use soundcheck::run::{self, Bench, Observer};
use soundcheck::stack::{self, StackChoice, StackOptions};
use soundcheck::target::Program;
use soundcheck::units::Nanos;
use soundcheck::watchdog::Watchdog;
use tokio_util::sync::CancellationToken;

use crate::tool::{Said, Site, tool};

/// The files that grow while a run goes, each with what it holds.
const GROWING: [&str; 6] = [
    "events.jsonl",
    "latency.hlog",
    "series.ndjson",
    "history.names",
    "history.000.bin",
    "audit.0.ndjson",
];

#[test]
fn what_is_no_recording_is_named() {
    let site = Site::new();
    fs::create_dir(site.path("empty")).unwrap();
    site.write("notes.txt", "mine");
    for command in ["render", "verify"] {
        for (run, words) in [
            ("nowhere", &["nowhere is no recording: it has no manifest.json"][..]),
            ("empty", &["empty is no recording: it has no manifest.json"]),
            ("notes.txt", &["notes.txt is no recording"]),
        ] {
            site.run(&[command, run]).fails(2, words);
            site.run(&[command, run, "--json"]).fails(2, words);
        }
    }
    assert_eq!(site.names(), ["empty", "notes.txt"]);
    assert_eq!(fs::read_dir(site.path("empty")).unwrap().count(), 0);
}

#[test]
fn a_newer_recording_is_refused_with_the_version_to_use() {
    let site = Site::new();
    fs::create_dir(site.path("run")).unwrap();
    let newer = r#"{"schema_version": 9, "tool": {"version": "7.1.0"}, "shape": "unheard of"}"#;
    site.write("run/manifest.json", newer);
    for command in ["render", "verify"] {
        let words = [
            "run/manifest.json was written in format 9 by soundcheck 7.1.0",
            "reads up to format 1",
        ];
        site.run(&[command, "run"]).fails(2, &words);
    }
    assert_eq!(
        fs::read_dir(site.path("run")).unwrap().count(),
        1,
        "nothing was written"
    );
}

/// One short drill, recorded by the tool's own code, and then mistreated in every way.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_was_mistreated_is_told_from_a_whole_one() {
    let site = Site::new();
    let whole = site.path("whole");
    record(&site, &whole).await;
    let rendered = site.run(&["render", "whole"]);
    assert_eq!(rendered.code, Some(0), "{rendered:?}");
    assert!(!rendered.stdout.contains("note: "), "{rendered:?}");
    let verified = site.run(&["verify", "whole"]);
    assert!(!verified.stdout.contains("note: "), "{verified:?}");
    assert_eq!(verified.code, Some(0), "{verified:?}");

    the_whole_one_can_be_exported(&site);
    cut_files_are_read_as_far_as_they_go(&site, &whole);
    a_missing_file_is_said(&site, &whole);
    one_changed_byte_is_noticed(&site, &whole);
    a_damaged_frame_is_named(&site, &whole);
    a_kind_without_a_report_is_named(&site, &whole);
    an_interval_that_no_run_records_is_named(&site, &whole);
}

/// A drill of a few seconds, with a little of everything.
async fn record(site: &Site, dir: &Path) {
    let options = StackOptions {
        program: tool().to_owned(),
        ..StackOptions::from_env(StackChoice::Embedded).unwrap()
    };
    let stack = stack::open(&options).await.unwrap();
    let watchdog = Watchdog::start(tool()).unwrap();
    let plan = IncidentPlan {
        dataset: Dataset {
            seed: 1,
            users: 200,
            concerts: 2,
            schedules_per_concert: 2,
            seats_per_schedule: 50,
        },
        probe_ms: 500,
        warm_up_ms: 500,
        before_ms: 1_500,
        fault_ms: 1_000,
        after_ms: 1_500,
        ..incident::plan(DrillFault::DatabaseLock, Profile::Smoke, 1)
    };
    let scratch = site.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let program = Program::tool(tool());
    let bench = Bench {
        stack: stack.as_ref(),
        stack_reason: None,
        program: &program,
        watchdog: &watchdog,
        scratch: &scratch,
        observer: Observer::silent(),
        stop: CancellationToken::new(),
        command: vec!["soundcheck".to_owned(), "report".to_owned(), "incident".to_owned()],
        typed: Vec::new(),
        profile: None,
        traces: None,
    };
    run::incident(&bench, &plan, &mut Edges::default(), dir).await.unwrap();
    stack.close().await.unwrap();
}

/// A drill has no objectives, and all the rest.
fn the_whole_one_can_be_exported(site: &Site) {
    let csv = site.run(&["export", "whole", "--as", "csv"]);
    assert_eq!((csv.code, csv.stderr.as_str()), (Some(0), ""));
    for part in [",load,", ",books,", "response_p99", "http_request"] {
        assert!(csv.stdout.contains(part), "no `{part}` in {}", csv.stdout);
    }
    let junit = site.run(&["export", "whole", "--as", "junit"]);
    assert_eq!((junit.code, junit.stderr.as_str()), (Some(0), ""));
    let report = quick_junit::Report::deserialize_from_str(&junit.stdout).unwrap();
    let names: Vec<&str> = report
        .test_suites
        .iter()
        .map(|suite| suite.name.rsplit_once(": ").unwrap().1)
        .collect();
    assert_eq!(names, ["verdict", "books", "invariants"]);
}

/// A copy to mistreat, under its own name, which stays when a check fails and goes otherwise.
fn copy(site: &Site, whole: &Path) -> PathBuf {
    let copy = site.path("copy");
    if copy.exists() {
        fs::remove_dir_all(&copy).unwrap();
    }
    fs::create_dir(&copy).unwrap();
    // The charts are made anew.
    for entry in fs::read_dir(whole).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() {
            fs::copy(&entry, copy.join(entry.file_name().unwrap())).unwrap();
        }
    }
    copy
}

fn change(copy: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = copy.join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// It was accepted, and says `words` of it, on the terminal and in the report.
#[track_caller]
fn check_said(site: &Site, words: &str) {
    let verified = site.run(&["verify", "copy"]);
    assert_eq!(verified.code, Some(4), "too little for a verdict: {verified:?}");
    let rendered = site.run(&["render", "copy"]);
    assert_eq!(rendered.code, Some(0), "{rendered:?}");
    let says_so = |said: &Said| {
        said.stdout
            .lines()
            .any(|line| line.starts_with("note: ") && line.contains(words))
    };
    assert!(
        says_so(&verified) && says_so(&rendered),
        "no `{words}`: {verified:?} {rendered:?}"
    );
    let report = fs::read_to_string(site.path("copy/report.md")).unwrap();
    assert!(report.contains(words), "`{words}` is not in the report: {report}");
}

fn cut_files_are_read_as_far_as_they_go(site: &Site, whole: &Path) {
    for name in GROWING {
        let length = fs::metadata(whole.join(name)).unwrap().len();
        assert!(
            length > 100,
            "{name} holds next to nothing, so that cutting it shows nothing"
        );
        for left in [0, length / 2, length - 1] {
            let copy = copy(site, whole);
            change(&copy, name, |bytes| bytes.truncate(usize::try_from(left).unwrap()));
            check_said(site, &format!("{name} was cut off: {left} of {length} bytes are left"));
        }
    }
    // What a kill leaves: every file as far as it was written, and no checksums.
    let copy = copy(site, whole);
    fs::remove_file(copy.join("checksums.json")).unwrap();
    change(&copy, "events.jsonl", |bytes| {
        bytes.truncate(bytes.len() / 3);
        // By chance a line may end there.
        bytes.pop_if(|last| *last == b'\n');
    });
    check_said(site, "the recording was never closed");
    check_said(site, "events.jsonl ends inside a line");
}

fn a_missing_file_is_said(site: &Site, whole: &Path) {
    for name in GROWING {
        let copy = copy(site, whole);
        fs::remove_file(copy.join(name)).unwrap();
        check_said(site, &format!("{name} is missing"));
    }
}

fn one_changed_byte_is_noticed(site: &Site, whole: &Path) {
    for name in GROWING.into_iter().chain(["plan.yaml"]) {
        let copy = copy(site, whole);
        change(&copy, name, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let before = names(&copy);
        for command in ["render", "verify"] {
            let words = [
                "edited after the recording was closed",
                &format!("{name} between bytes "),
                "restore the original",
            ];
            site.run(&[command, "copy"]).fails(2, &words);
        }
        assert_eq!(names(&copy), before);
    }
    // What is made anew casts no doubt on what was measured.
    let copy = copy(site, whole);
    change(&copy, "report.md", |bytes| bytes.extend(b"and all was well\n"));
    let verified = site.run(&["verify", "copy"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(
        verified.stdout.contains("report.md was edited after the run"),
        "{verified:?}"
    );
    let rendered = site.run(&["render", "copy"]);
    assert_eq!(rendered.code, Some(0), "{rendered:?}");
    for name in ["report.md", "checksums.json"] {
        let [is, was] = [&copy, whole].map(|folder| fs::read_to_string(folder.join(name)).unwrap());
        assert!(is == was, "{name} is another one: {is}");
    }
}

/// What the rest is read by cannot be read in part.
fn a_damaged_frame_is_named(site: &Site, whole: &Path) {
    for (name, render_alone) in [("manifest.json", false), ("checksums.json", false), ("plan.yaml", true)] {
        let copy = copy(site, whole);
        change(&copy, name, |bytes| bytes.truncate(bytes.len() / 2));
        site.run(&["render", "copy"])
            .fails(2, &[&format!("copy/{name}"), "restore it from a copy"]);
        let verified = site.run(&["verify", "copy"]);
        if render_alone {
            assert_eq!(verified.code, Some(4), "{verified:?}");
            assert!(
                verified.stdout.contains(&format!("note: {name} was cut off")),
                "{verified:?}"
            );
        } else {
            verified.fails(2, &[name, "restore it from a copy"]);
        }
    }
}

/// Without checksums nothing tells of a flipped bit, and what it makes of a line must not be computed with.
fn an_interval_that_no_run_records_is_named(site: &Site, whole: &Path) {
    let log = fs::read_to_string(whole.join("latency.hlog")).unwrap();
    let first = log.lines().find(|line| line.starts_with("Tag=")).unwrap();
    let last = Recording::open(whole).unwrap().latency().unwrap();
    let last = last.intervals().last().unwrap().unwrap().start;
    let at = |start: &str| {
        let mut parts: Vec<&str> = first.split(',').collect();
        parts[1] = start;
        parts.join(",")
    };
    for (line, words) in [
        (at("0.001"), "starts at 0.001 s, and the one before it at "),
        (at("1000.000"), "starts at 1000.000 s, and the run was over at "),
        (
            interval_of_other_bounds(site, last),
            "its histogram is of 1000 to 240000000000 ns",
        ),
    ] {
        let copy = copy(site, whole);
        fs::remove_file(copy.join("checksums.json")).unwrap();
        change(&copy, "latency.hlog", |bytes| {
            bytes.extend(format!("{line}\n").into_bytes());
        });
        let place = format!("copy/latency.hlog, line {}: ", log.lines().count() + 1);
        for command in [
            &["render", "copy"][..],
            &["export", "copy", "--as", "csv", "--out", "a.csv"],
        ] {
            site.run(command).fails(2, &[&place, words, "restore it from a copy"]);
        }
        assert!(!site.path("a.csv").exists(), "half an export");
        // The invariants rest on other files.
        let verified = site.run(&["verify", "copy"]);
        assert_eq!(verified.code, Some(4), "{verified:?}");
    }
}

/// Of up to four minutes.
fn interval_of_other_bounds(site: &Site, start: Nanos) -> String {
    let tool = Tool {
        version: "0".to_owned(),
        commit: None,
    };
    let manifest = Manifest::new("run", tool, 1, Environment::default(), RunClock::start().anchor());
    let writer = RecordingWriter::create(&site.path("other"), &manifest).unwrap();
    let tag = Tag {
        variant: "base".to_owned(),
        endpoint: Endpoint::Hold,
        outcome: Outcome::Won,
        clock: Clock::Service,
    };
    let mut histogram = hdrhistogram::Histogram::new_with_bounds(1_000, 240_000_000_000, 3).unwrap();
    histogram.record(200_000_000_000).unwrap();
    let second = Duration::from_secs(1);
    writer.interval(start, second, &tag, &histogram).unwrap();
    writer.flush().unwrap();
    let log = fs::read_to_string(site.path("other/latency.hlog")).unwrap();
    log.lines().last().unwrap().to_owned()
}

fn a_kind_without_a_report_is_named(site: &Site, whole: &Path) {
    let copy = copy(site, whole);
    fs::remove_file(copy.join("checksums.json")).unwrap();
    change(&copy, "manifest.json", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(r#""kind": "incident""#), "{text}");
        *bytes = text
            .replacen(r#""kind": "incident""#, r#""kind": "fortune""#, 1)
            .into_bytes();
    });
    site.run(&["render", "copy"]).fails(
        2,
        &[
            "copy is a recording of kind `fortune`",
            "known are cache, index, incident, run, overview",
        ],
    );
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    names
}
