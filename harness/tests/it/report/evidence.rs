//! Every kind on a real stack, and what its recordings and reports must hold.
//!
//! The profile is the shortest. Whether an effect is shown is the machine's business; that the evidence is there is ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::containers::can_open_a_stack;
use super::contents::{Engine, check_cache, check_incident, check_index};
use serde_json::Value;
use soundcheck::recording::Recording;

use super::MEASURING;

pub(crate) fn soundcheck(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soundcheck"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Every file of a folder by its path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Runs these kinds and looks at what they left; the folders by kind.
fn report(kinds: &[&str], stack: &str, out: &Path) -> BTreeMap<String, PathBuf> {
    let out_text = out.to_str().unwrap();
    let how = ["--stack", stack, "--profile", "smoke", "--seed", "7", "--json"];
    let output = soundcheck(&[&["report"][..], kinds, &how, &["--out", out_text]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    // 4: a busy machine may leave a claim undecided.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}: {said}", output.status);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let folders: BTreeMap<String, PathBuf> = summary["reports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|report| {
            let kind = report["report"]["kind"].as_str().unwrap().to_owned();
            (kind, PathBuf::from(report["folder"].as_str().unwrap()))
        })
        .collect();
    let mut expected = [kinds, &["overview"]].concat();
    expected.sort_unstable();
    let made: Vec<&str> = folders.keys().map(String::as_str).collect();
    assert_eq!(made, expected);
    folders
}

/// A copy elsewhere renders to the same bytes, and the ledger judges the recording as valid.
pub(crate) fn check_again(folder: &Path, kind: &str) {
    let before = files(folder);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy");
    for (name, bytes) in &before {
        // What is derived must come back by itself.
        let is_derived = name.starts_with("charts") || name.starts_with("report.html") || name.starts_with("report.md");
        if !is_derived {
            let path = copy.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let rendered = soundcheck(&["render", copy.to_str().unwrap()]);
    assert!(
        matches!(rendered.status.code(), Some(0 | 4)),
        "{kind}: {}",
        String::from_utf8_lossy(&rendered.stderr)
    );
    let after = files(&copy);
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "{kind}");
    for (name, bytes) in &before {
        assert!(after[name] == *bytes, "{kind}: {} differs", name.display());
    }
    if kind != "overview" {
        let verified = soundcheck(&["verify", copy.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&verified.stdout);
        assert_eq!(verified.status.code(), Some(0), "{kind}: {said}");
    }
}

/// What was made before, by kind: a folder for each stack below the one that `SOUNDCHECK_SMOKE_REPORTS` names, as continuous
/// integration makes them with the release build. `None` where there is none.
fn made_before(stack: &str) -> Option<BTreeMap<String, PathBuf>> {
    let folder = PathBuf::from(std::env::var_os("SOUNDCHECK_SMOKE_REPORTS")?).join(stack);
    let recordings = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let by_kind = recordings.map(|entry| {
        let path = entry.unwrap().path();
        let kind = Recording::open(&path).unwrap().manifest().kind.clone();
        (kind, path)
    });
    Some(by_kind.collect())
}

fn check(kinds: &[&str], stack: &str, engine: Engine) {
    let out = tempfile::tempdir().unwrap();
    let folders = made_before(stack).unwrap_or_else(|| report(kinds, stack, out.path()));
    let overview = fs::read_to_string(folders["overview"].join("report.html")).unwrap();
    let summary = fs::read(folders["overview"].join("summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    for entry in summary["reports"].as_array().unwrap() {
        let over_time = &entry["over_time"]["curves"];
        let is_incident = entry["kind"] == "incident";
        assert_eq!(
            over_time.as_array().is_some_and(|curves| curves.len() == 2),
            is_incident,
            "{entry}"
        );
        assert_eq!(entry["effects"].as_array().unwrap().is_empty(), is_incident, "{entry}");
    }
    for &kind in kinds {
        let folder = &folders[kind];
        match kind {
            "cache" => check_cache(folder, engine),
            "index" => check_index(folder, engine),
            _ => check_incident(folder, engine),
        }
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(
            overview.contains(&format!("../{name}/report.html")),
            "the overview does not link {name}"
        );
    }
    for (kind, folder) in &folders {
        check_again(folder, kind);
    }
}

/// The cache's report is looked at beside the steps of its making, since it takes a minute.
#[tokio::test]
async fn reports_on_nothing_installed_hold_their_evidence() {
    let _alone = MEASURING.lock().await;
    tokio::task::spawn_blocking(|| check(&["index", "incident"], "embedded", Engine::Sqlite))
        .await
        .unwrap();
}

#[tokio::test]
async fn every_report_on_containers_holds_its_evidence() {
    if !can_open_a_stack().await {
        return;
    }
    let _alone = MEASURING.lock().await;
    tokio::task::spawn_blocking(|| check(&["cache", "index", "incident"], "containers", Engine::MySql))
        .await
        .unwrap();
}
