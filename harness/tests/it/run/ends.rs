//! Asked to end once, a run keeps and reports what it has; asked twice, it ends at once. Nothing is left either way.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::EMBEDDED;
use crate::ran::turn;
use crate::tool::{Ended, Tool, is_alive};

const ENDING: &str = "ending: the recording is being closed; once more ends at once";

/// Starts a run of ten minutes whose users think for so long between two steps, and waits for some operations of theirs.
fn under_way(think: &str) -> (tempfile::TempDir, Tool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.yaml");
    let scenario = format!(
        "name: mine\nstages: [{{name: long, for: 10m, rate: 30/s}}]\njourneys: {{browse: 50%, book: 50%}}\ntops-up: true\n\
         users: 2000\nthink: {{from: {think}, to: {think}}}\ntimeouts: {{drain: 5m}}\n"
    );
    std::fs::write(&path, scenario).unwrap();
    let mut tool = Tool::start(&[&["run", path.to_str().unwrap()][..], &EMBEDDED].concat());
    tool.until("some arrivals", |tool| {
        let history = tool.recording("run")?.join("history.000.bin");
        let is_begun = std::fs::metadata(history).is_ok_and(|file| file.len() > 1_000);
        is_begun.then_some(())
    });
    (folder, tool)
}

/// Neither files nor processes are left, and the code says that it was interrupted.
#[track_caller]
fn check_ended(tool: &Tool, ended: &Ended) {
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert_eq!(tool.left_behind(), [] as [PathBuf; 0], "{ended:#?}");
    let services = tool.services("run");
    assert_eq!(services.len(), 1, "{ended:#?}");
    assert!(!is_alive(services[0]), "the service still runs: {ended:#?}");
}

#[test]
fn ctrl_c_once_ends_the_arrivals_and_still_reports() {
    let _alone = turn();
    let (_folder, mut tool) = under_way("0s");
    tool.signal(Signal::INT);
    let ended = tool.end();
    check_ended(&tool, &ended);
    let recording = tool.read("run");
    assert!(recording.is_complete(), "{:?}", recording.notes());
    let report = std::fs::read_to_string(recording.dir().join("report.md")).unwrap();
    assert!(
        report.contains("**Unknown:** "),
        "a part of a run shows nothing: {report}"
    );
    assert!(
        ended.printed.contains(&recording.dir().display().to_string()),
        "{ended:#?}"
    );
}

#[test]
fn ctrl_c_while_the_data_are_created_is_heard_at_once() {
    let _alone = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.yaml");
    // Ten million seats: SQLite takes twenty seconds and more to have them.
    let scenario = "name: large\nstages: [{name: short, for: 1s, rate: 10/s}]\njourneys: {browse: 100%}\n\
                    data: {users: 10, concerts: 10000, schedules-per-concert: 10, seats-per-schedule: 100}\n";
    std::fs::write(&path, scenario).unwrap();
    let mut tool = Tool::start(&[&["run", path.to_str().unwrap()][..], &EMBEDDED].concat());
    tool.until("the data", |tool| {
        let is_creating = tool.said().iter().any(|line| line.contains("creating data"));
        is_creating.then_some(())
    });
    tool.signal(Signal::INT);
    let ended = tool.end();
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert_eq!(tool.left_behind(), [] as [PathBuf; 0], "{ended:#?}");
    assert_eq!(
        tool.services("run"),
        [] as [u32; 0],
        "a service was started: {ended:#?}"
    );
}

/// After the first one it waits for its users, who think for a minute; the second one does not let it.
#[track_caller]
fn twice(signals: [Signal; 2]) {
    let _alone = turn();
    let (_folder, mut tool) = under_way("1m");
    tool.signal(signals[0]);
    tool.until("a word about the end", |tool| {
        tool.said().iter().any(|line| line == ENDING).then_some(())
    });
    tool.signal(signals[1]);
    let ended = tool.end();
    check_ended(&tool, &ended);
    let folder = tool.recording("run").unwrap();
    for report in ["report.md", "report.html"] {
        assert!(!folder.join(report).exists(), "{report}: {ended:#?}");
    }
    assert_eq!(ended.printed, "", "{ended:#?}");
    // What was written is there all the same, and does not pass for a whole recording.
    let recording = tool.read("run");
    assert!(!recording.is_complete());
    assert!(!recording.events().unwrap().is_empty() && !recording.history().unwrap().is_empty());
}

#[test]
fn ctrl_c_twice_ends_at_once() {
    twice([Signal::INT, Signal::INT]);
}

#[test]
fn sigterm_after_ctrl_c_ends_at_once() {
    twice([Signal::INT, Signal::TERM]);
}
