//! Standard error that nobody reads any more, as after a terminal was closed or Ctrl-C has ended `| tee log` as well:
//! what is to be done is done, and ends with the code that it ends with otherwise.

use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use soundcheck::recording::Recording;

use crate::tool::{Said, Site};

/// Far more than a run needs to begin, on a machine that is busy with other tests.
const BEGINS_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[track_caller]
fn check(arguments: &[&str], code: i32) {
    let site = Site::new();
    let said = site.run_unheard(site.tool(arguments), |_| {});
    assert_eq!((said.code, said.stdout.as_str()), (Some(code), ""), "{said:?}");
    assert_eq!(site.names(), [] as [&str; 0], "nothing is begun");
}

#[test]
fn an_error_that_nobody_reads_has_its_code() {
    check(&["report", "cash"], 2);
    check(&["report", "--image", "mysql"], 2);
    check(&["run", "smok"], 2);
    check(&["render", "nowhere"], 2);
}

/// Runs a scenario in which so many come a second for so long.
#[track_caller]
fn run(site: &Site, rate: u32, length: &str, meanwhile: impl FnOnce(&mut Child)) -> Said {
    let text = format!("extends: smoke\nname: unheard\nstages: [{{name: only, for: {length}, rate: {rate}/s}}]\n");
    let file = site.write("unheard.yaml", text);
    let out = site.path("out").display().to_string();
    // Its log is written there as well.
    let command = site.tool(&["-v", "run", &file, "--stack", "embedded", "--out", &out]);
    site.run_unheard(command, meanwhile)
}

/// The folder of the only recording, once there is one.
fn recording(site: &Site) -> Option<PathBuf> {
    let mut folders = std::fs::read_dir(site.path("out")).ok()?;
    Some(folders.next()?.unwrap().path())
}

#[track_caller]
fn check_reported(site: &Site, said: &Said) -> String {
    let dir = recording(site).unwrap();
    let recording = Recording::open(&dir).unwrap();
    assert!(recording.is_complete(), "{:?}", recording.notes());
    assert!(dir.join("report.html").exists(), "{said:?}");
    assert!(said.stdout.contains(&dir.display().to_string()), "{said:?}");
    let verdict = std::fs::read_to_string(dir.join("verdict.json")).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    verdict["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_that_nobody_listens_to_goes_on_to_its_report() {
    let site = Site::new();
    let said = run(&site, 20, "3s", |_| {});
    let verdict = check_reported(&site, &said);
    // A busy machine may take away a pass.
    let codes = [("pass", 0), ("unknown", 4)];
    let code = codes.iter().find(|(word, _)| *word == verdict).map(|(_, code)| *code);
    assert!(said.code.is_some() && said.code == code, "{verdict}: {said:?}");
}

#[test]
fn a_run_that_nobody_listens_to_can_be_interrupted_and_reports() {
    let site = Site::new();
    let said = run(&site, 30, "10m", |child| {
        let deadline = Instant::now() + BEGINS_WITHIN;
        let is_begun = || {
            let history = recording(&site).map(|dir| dir.join("history.000.bin"));
            history.is_some_and(|file| std::fs::metadata(file).is_ok_and(|file| file.len() > 1_000))
        };
        while !is_begun() {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "it does not begin: {ended:?}"
            );
            std::thread::sleep(LOOK_EVERY);
        }
        kill_process(Pid::from_child(child), Signal::INT).unwrap();
    });
    assert_eq!(said.code, Some(130), "{said:?}");
    assert_eq!(check_reported(&site, &said), "unknown");
}
