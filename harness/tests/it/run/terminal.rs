//! On a terminal the run is redrawn in place.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::ran::turn;

const SCENARIO: &str = "extends: smoke\nname: watched\nstages: [{name: only, for: 4s, rate: 20/s}]\n\
                        data: {users: 500, concerts: 2, schedules-per-concert: 2, seats-per-schedule: 50}\n";

/// Moves the cursor up over the four lines below the step, and clears a line.
const UP: &str = "\x1b[4A";
const CLEAR: &str = "\x1b[2K";

/// `script` runs a command on a terminal of its own; Debian has it always, beside `mount`.
#[test]
fn on_a_terminal_each_second_is_drawn_over_the_one_before() {
    let _alone = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let scenario = path("scenario.yaml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    std::fs::create_dir(path("temporary")).unwrap();
    let tool = env!("CARGO_BIN_EXE_soundcheck");
    let (out, log) = (path("out"), path("log"));
    // A terminal of its own has no size until it is given one.
    let command = format!("stty cols 100 rows 30; exec '{tool}' run '{scenario}' --stack embedded --out '{out}'");
    let ran = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, &log])
        .env("TMPDIR", path("temporary"))
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(matches!(ran.status.code(), Some(0 | 4)), "{ran:?}");
    let n = |what: &str| shown.matches(what).count();
    // Four seconds, one of which may come too late to be drawn before the next step.
    assert!(n(UP) >= 3 && n(CLEAR) >= 15, "{shown:?}");
    for words in [
        "only: planned 20.0/s, ",
        " well, ",
        " failed",
        "response p50 ",
        ", p99 ",
        "outbox ",
    ] {
        assert!(n(words) >= 2, "`{words}` is not drawn again: {shown:?}");
    }
    // A tick redraws what was there, with another spinner: each second has figures of its own.
    let drawn = shown.split("only: planned ").skip(1);
    let seconds: BTreeSet<&str> = drawn.filter_map(|drawn| Some(drawn.split_once("outbox ")?.0)).collect();
    assert!(
        seconds.len() >= 2,
        "only {seconds:?} is drawn again and again: {shown:?}"
    );
    assert_eq!(
        n(" failed, p50 "),
        0,
        "a line of its own, as where nothing is redrawn: {shown:?}"
    );
    // What stays in the end is the summary.
    let (_, end) = shown.rsplit_once(CLEAR).unwrap();
    assert!(end.contains("Run: watched") && !end.contains("planned"), "{end:?}");
    assert_eq!(std::fs::read_dir(path("temporary")).unwrap().count(), 0);
}
