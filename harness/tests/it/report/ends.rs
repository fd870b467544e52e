//! Asked to end once, a report keeps and tells what it has measured; asked twice, it ends at once. Nothing is left
//! either way, however it is asked.

use rustix::process::Signal;
use soundcheck::recording::What;
use soundcheck::recording::event::{Edge, Slow};
use soundcheck::verdict::ledger;

use crate::MEASURING;
use crate::collector::Collector;
use crate::tool::{Ended, Tool, is_alive};

const ENDING: &str = "ending: the recording is being closed; once more ends at once";

/// Starts a report and waits until the first slice of the cache's experiment is over: the next one has just begun.
fn measuring(kinds: &[&str]) -> Tool {
    let how = ["--stack", "embedded", "--profile", "smoke"];
    let mut tool = Tool::start(&[&["report"][..], kinds, &how].concat());
    tool.until("the end of a slice", |tool| {
        let is_slice = |what: &What| matches!(what, What::Slice(_));
        tool.events("cache")
            .iter()
            .any(|event| is_slice(&event.what))
            .then_some(())
    });
    tool
}

fn ending(tool: &mut Tool) {
    tool.until("a word about the end", |tool| {
        tool.said().iter().any(|line| line == ENDING).then_some(())
    });
}

/// Neither files nor processes are left, and the code says that it was interrupted.
#[track_caller]
fn check_ended(tool: &Tool, ended: &Ended, kind: &str) {
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert_eq!(tool.left_behind(), [] as [std::path::PathBuf; 0], "{ended:#?}");
    let services = tool.services(kind);
    assert!(!services.is_empty(), "no service was launched");
    for pid in services {
        assert!(!is_alive(pid), "service {pid} still runs");
    }
}

#[track_caller]
fn once(signal: Signal) {
    let _alone = MEASURING.blocking_lock();
    let mut tool = measuring(&["cache", "index"]);
    tool.signal(signal);
    let ended = tool.end();
    check_ended(&tool, &ended, "cache");
    let recording = tool.read("cache");
    // Closed in order: whole, with its checksums.
    assert!(recording.is_complete(), "{:?}", recording.notes());
    ledger::verify(&recording).unwrap();
    let report = std::fs::read_to_string(recording.dir().join("report.md")).unwrap();
    assert!(
        report.contains("unknown"),
        "a part of an experiment shows nothing: {report}"
    );
    assert_eq!(tool.recording("index"), None, "nothing new is begun");
    let folder = recording.dir().display().to_string();
    let said = ended.said.join("\n");
    assert!(said.contains(ENDING) && said.contains(&folder), "{said}");
    assert!(
        ended.printed.contains(&folder),
        "the report is not named: {}",
        ended.printed
    );
    let overview = tool.recording("overview").unwrap().join("report.md");
    let overview = std::fs::read_to_string(overview).unwrap();
    assert!(
        overview.contains("Not measured to the end: cache, index."),
        "{overview}"
    );
}

#[track_caller]
fn twice(signals: [Signal; 2]) {
    let _alone = MEASURING.blocking_lock();
    let mut tool = measuring(&["cache"]);
    tool.signal(signals[0]);
    ending(&mut tool);
    tool.signal(signals[1]);
    let ended = tool.end();
    check_ended(&tool, &ended, "cache");
    // It did not wait for the recording to be closed and judged, and what was written is there all the same.
    assert!(
        !tool.recording("cache").unwrap().join("report.html").exists(),
        "{ended:#?}"
    );
    assert_eq!(ended.printed, "");
    assert!(!tool.read("cache").events().unwrap().is_empty());
}

#[test]
fn ctrl_c_once_keeps_what_was_measured() {
    once(Signal::INT);
}

#[test]
fn sigterm_once_keeps_what_was_measured() {
    once(Signal::TERM);
}

#[test]
fn ctrl_c_twice_ends_at_once() {
    twice([Signal::INT, Signal::INT]);
}

#[test]
fn sigterm_after_ctrl_c_ends_at_once() {
    twice([Signal::INT, Signal::TERM]);
}

/// In the middle of a fault: it is healed, and seen to be. What was slow until then is found in the traces and in what is
/// kept of the log.
#[test]
fn a_drill_that_is_interrupted_heals_first() {
    let _alone = MEASURING.blocking_lock();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::start());
    let traced = ["--traces", &collector.url()];
    let how = ["report", "incident", "--stack", "embedded", "--profile", "smoke"];
    let mut tool = Tool::start(&[&how[..], &traced].concat());
    let steps = |tool: &Tool| -> Vec<String> {
        let events = tool.events("incident").into_iter();
        let steps = events.filter_map(|event| match event.what {
            What::Fault { step, .. } => Some(format!("{step:?}")),
            _ => None,
        });
        steps.collect()
    };
    tool.until("the fault", |tool| {
        steps(tool).contains(&"Injected".to_owned()).then_some(())
    });
    tool.signal(Signal::INT);
    let ended = tool.end();
    check_ended(&tool, &ended, "incident");
    assert_eq!(steps(&tool), ["Injecting", "Injected", "Healing", "Healed", "Verified"]);
    assert!(tool.recording("incident").unwrap().join("report.html").exists());
    let warm = tool
        .events("incident")
        .into_iter()
        .any(|event| matches!(event.what, What::Phase { name, edge: Edge::End } if name == "warm-up"));
    assert!(warm, "what was before the fault is kept");

    let slow: Vec<Slow> = tool
        .events("incident")
        .into_iter()
        .filter_map(|event| match event.what {
            What::Slow(slow) if slow.outcome.is_answered() => Some(slow),
            _ => None,
        })
        .collect();
    assert!(!slow.is_empty(), "nothing was slow");
    let dir = tool.recording("incident").unwrap();
    let log = std::fs::read_to_string(dir.join("slowest.ndjson")).unwrap();
    for slow in &slow {
        assert!(!collector.of_trace(&slow.trace).is_empty(), "no trace of {slow:?}");
        assert!(log.contains(&slow.trace), "no line of {slow:?} in {log}");
    }
    let report = std::fs::read_to_string(dir.join("report.md")).unwrap();
    assert!(report.contains(&traced.join(" ")), "{report}");
}

/// Experiments measure without traces.
#[test]
fn traces_of_no_drill_are_refused() {
    let asked = [
        "report",
        "cache",
        "--stack",
        "embedded",
        "--traces",
        "http://127.0.0.1:4318",
    ];
    let ended = Tool::start(&asked).end();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let said = ended.said.join("\n");
    assert!(said.contains("name `incident` as well"), "{said}");
}
