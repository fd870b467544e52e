//! `soundcheck run`, as people call it: a scenario that ships or lies in a file, its report, and its end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/tool.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod tool;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use quick_junit::{NonSuccessKind, TestCaseStatus};
use rustix::process::Signal;
use soundcheck::config::shipped;
use soundcheck::recording::What;
use soundcheck::recording::event::{Accounting, Edge};
use soundcheck::recording::history::{Code, OpKind};
use soundcheck::verdict::ledger::{self, Overall};
use tokio::sync::Mutex;
use tool::Tool;

/// Held while something is measured: two at once on two cores would measure each other.
static MEASURING: Mutex<()> = Mutex::const_new(());

const EMBEDDED: [&str; 2] = ["--stack", "embedded"];

fn soundcheck(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_soundcheck"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_list_names_every_scenario_that_ships_and_says_what_it_is_for() {
    let listed = soundcheck(&["run", "--list"]);
    assert!(listed.status.success(), "{listed:?}");
    let text = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), shipped::SCENARIOS.len());
    for (line, (name, _)) in lines.iter().zip(shipped::SCENARIOS) {
        let about = shipped::scenario(name).unwrap().about;
        assert!(line.starts_with(name) && line.ends_with(&about), "{line}");
    }
}

#[test]
fn a_scenario_that_there_is_not_is_wrong_usage_and_the_nearest_is_named() {
    let run = soundcheck(&["run", "smok"]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("did you mean `smoke`?"), "{said}");
}

#[test]
fn a_run_is_recorded_judged_and_reported() {
    let _alone = MEASURING.blocking_lock();
    let mut tool = Tool::start(&[&["run", "smoke", "--seed", "7", "--live"][..], &EMBEDDED].concat());
    let page = tool.until("the address of the live page", |tool| {
        tool.said()
            .iter()
            .find_map(|line| line.strip_prefix("live: ").map(str::to_owned))
    });
    let watched = std::thread::spawn(move || watch(&page));
    let ended = tool.end();
    // 4: a busy machine may leave a run that cannot carry a claim.
    assert!(matches!(ended.code, Some(0 | 4)), "{ended:#?}");
    assert_eq!(tool.left_behind(), [] as [std::path::PathBuf; 0]);
    let recording = tool.read("run");
    assert!(recording.is_complete(), "{:?}", recording.notes());
    assert_eq!(ledger::verify(&recording).unwrap().overall(), Overall::Valid);

    let scenario = shipped::scenario("smoke").unwrap();
    let events = recording.events().unwrap();
    let stages: Vec<(String, Edge)> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Phase { name, edge } => Some((name.clone(), *edge)),
            _ => None,
        })
        .collect();
    let planned = scenario.stages.iter();
    let planned = planned.flat_map(|stage| [Edge::Begin, Edge::End].map(|edge| (stage.name.clone(), edge)));
    assert_eq!(stages, planned.collect::<Vec<_>>());
    let books = events.iter().find_map(|event| match &event.what {
        What::Accounting { counts, .. } => Some(*counts),
        _ => None,
    });
    let books = books.unwrap();
    assert_eq!(books.imbalances(), [] as [String; 0]);
    // Even arrivals: 3 s at 20/s and 12 s at 40/s.
    assert_eq!(books.scheduled, 540);

    let watched = watched.join().unwrap();
    let seconds = watched.matches("event: second\n").count();
    assert!((10..=25).contains(&seconds), "{seconds} of 15 seconds: {watched}");
    assert!(
        watched.contains("\"planned\":40.0") && watched.contains("\"outcomes\":{"),
        "{watched}"
    );
    assert!(watched.contains("event: end\n"), "{watched}");
    // Where nothing is redrawn, some of them are told on lines of their own.
    assert!(
        ended.said.iter().any(|line| line.contains("planned 40.0/s")),
        "{ended:#?}"
    );

    let folder = recording.dir().to_owned();
    the_exports_agree_with_the_books(&folder, &books);
    let exported = soundcheck(&["export", folder.to_str().unwrap(), "--as", "junit"]);
    let xml = String::from_utf8(exported.stdout).unwrap();
    let junit = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    // CI is as content as the exit code.
    assert_eq!(junit.failures + junit.errors == 0, ended.code == Some(0), "{xml}");
    let report = std::fs::read_to_string(folder.join("report.md")).unwrap();
    for part in [
        "Run: smoke",
        &format!("{} = {} + {}", books.scheduled, books.started, books.dropped),
        "soundcheck run smoke --stack embedded --seed 7",
        "p99 asked for",
        "How journeys ended",
        "held to no objective",
    ] {
        assert!(report.contains(part), "no `{part}` in {report}");
    }
    let before = std::fs::read(folder.join("report.html")).unwrap();
    let rendered = soundcheck(&["render", folder.to_str().unwrap()]);
    assert!(matches!(rendered.status.code(), Some(0 | 4)), "{rendered:?}");
    assert!(std::fs::read(folder.join("report.html")).unwrap() == before);
}

/// What ended in each second adds up to what became of every arrival; and each second has a row.
fn the_exports_agree_with_the_books(folder: &Path, books: &Accounting) {
    let exported = soundcheck(&["export", folder.to_str().unwrap(), "--as", "csv"]);
    assert!(exported.status.success(), "{exported:?}");
    let mut reader = csv::Reader::from_reader(exported.stdout.as_slice());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let sum = |series: &str| -> f64 {
        let of_journeys = rows.iter().filter(|row| {
            row["source"] == "load" && row["endpoint"].starts_with("journey-") && row["series"] == series
        });
        of_journeys.map(|row| row["value"].parse::<f64>().unwrap()).sum()
    };
    for (series, count) in [("ok", books.ok), ("failed", books.failed), ("dropped", books.dropped)] {
        assert!(
            (sum(series) - count as f64).abs() < 0.5,
            "{series}: {} of {count}",
            sum(series)
        );
    }
    let planned: Vec<f64> = rows
        .iter()
        .filter(|row| row["series"] == "planned")
        .map(|row| row["value"].parse().unwrap())
        .collect();
    assert!((10..=20).contains(&planned.len()), "{planned:?}");
    assert!(planned.contains(&40.0), "{planned:?}");
    // What the service says about itself stands beside what its users saw.
    let scraped = rows
        .iter()
        .filter(|row| row["source"] == "service:service" && !row["value"].is_empty());
    assert!(scraped.count() > 100);
}

/// Everything that the live page is told until the run is over.
fn watch(page: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut answer = reqwest::get(format!("{page}events")).await.unwrap();
        let mut seen = String::new();
        while !seen.contains("event: end\n")
            && let Some(chunk) = answer.chunk().await.unwrap()
        {
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        seen
    })
}

/// Rows reach the service: every guest gets the seat that the list promises, and what is recorded needs no list.
#[test]
fn guests_from_a_file_get_the_seats_that_their_rows_name() {
    let _alone = MEASURING.blocking_lock();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/examples/guest-list.yaml");
    let mut tool = Tool::start(&[&["run", example][..], &EMBEDDED].concat());
    let ended = tool.end();
    assert!(matches!(ended.code, Some(0 | 4)), "{ended:#?}");
    let recording = tool.read("run");
    assert!(recording.is_complete(), "{:?}", recording.notes());
    let (mut holds, mut guests) = (Vec::new(), std::collections::BTreeSet::new());
    let history = recording.history().unwrap();
    history
        .scan(|_, op| {
            if op.kind == OpKind::Hold {
                holds.push(op.code);
                guests.insert(op.user);
            }
        })
        .unwrap();
    // 60 % of 130 even arrivals; the seed decides which.
    assert!((60..=100).contains(&holds.len()), "{}", holds.len());
    assert!(
        holds.iter().all(|code| *code == Code::None),
        "no two want one seat: {holds:?}"
    );
    assert_eq!(guests.len(), holds.len(), "no guest comes twice");
    let folder = recording.dir();
    let report = std::fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(
        !report.contains("ran dry") && report.contains("Run: guest-list"),
        "{report}"
    );
    let chart = std::fs::read_to_string(folder.join("charts/timeline.svg")).unwrap();
    assert!(chart.contains("cool-down"), "the chart marks what figures leave out");
}

#[test]
fn ctrl_c_once_ends_the_arrivals_and_still_reports() {
    let _alone = MEASURING.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.yaml");
    let scenario =
        "name: mine\nstages: [{name: long, for: 10m, rate: 30/s}]\njourneys: {browse: 50%, book: 50%}\ntops-up: true\n";
    std::fs::write(&path, scenario).unwrap();
    let mut tool = Tool::start(&[&["run", path.to_str().unwrap()][..], &EMBEDDED].concat());
    tool.until("some arrivals", |tool| {
        let history = tool.recording("run")?.join("history.000.bin");
        let is_begun = std::fs::metadata(history).is_ok_and(|file| file.len() > 1_000);
        is_begun.then_some(())
    });
    tool.signal(Signal::INT);
    let ended = tool.end();
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    let recording = tool.read("run");
    assert!(recording.is_complete(), "{:?}", recording.notes());
    let report = std::fs::read_to_string(recording.dir().join("report.md")).unwrap();
    assert!(report.contains("unknown"), "a part of a run shows nothing: {report}");
    assert!(
        ended.printed.contains(&recording.dir().display().to_string()),
        "{ended:#?}"
    );
}

#[test]
fn objectives_are_refused_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objectives.yaml");
    std::fs::write(
        &path,
        "objectives:\n  - {name: quick, of: seat, p99: 1s}\n  - {p99: 1}\n",
    )
    .unwrap();
    let run = soundcheck(&["run", "smoke", "--objectives", path.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{said}");
    for part in [
        "objectives.yaml:2",
        "did you mean `seats`?",
        "objectives.yaml:3",
        "write `1s`",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    let none = soundcheck(&["run", "smoke", "--objectives", "no-such-file.yaml"]);
    let said = String::from_utf8_lossy(&none.stderr);
    assert_eq!(none.status.code(), Some(2), "{said}");
    assert!(
        said.contains("cannot read the objectives in no-such-file.yaml"),
        "{said}"
    );
}

#[test]
fn a_run_that_is_hopeless_is_ended_and_a_missed_objective_has_its_own_exit_code() {
    let _alone = MEASURING.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let (scenario, objectives) = (folder.path().join("mine.yaml"), folder.path().join("objectives.yaml"));
    std::fs::write(
        &scenario,
        "name: mine\nstages: [{name: long, for: 10m, rate: 30/s}]\njourneys: {browse: 50%, book: 50%}\ntops-up: true\n",
    )
    .unwrap();
    // No journey through a waiting room takes less than a microsecond; nearly all of them take less than a minute.
    std::fs::write(
        &objectives,
        "objectives:\n\
         - {name: impossible, p50: 1us, over: 2s, abort-after: 3s}\n\
         - {name: easy, p50: 1m, over: 2s}\n\
         - {name: untested, stage: long, of: cancel, p99: 1s}\n",
    )
    .unwrap();
    let (scenario, objectives) = (scenario.to_str().unwrap(), objectives.to_str().unwrap());
    let junit = folder.path().join("junit.xml");
    let junit = junit.to_str().unwrap();
    let arguments = ["run", scenario, "--objectives", objectives, "--junit", junit];
    let mut tool = Tool::start(&[&arguments[..], &EMBEDDED].concat());
    let ended = tool.end();
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert_eq!(tool.left_behind(), [] as [std::path::PathBuf; 0]);
    let recording = tool.read("run");
    assert!(recording.is_complete(), "{:?}", recording.notes());
    let events = recording.events().unwrap();
    let reason = events.iter().find_map(|event| match &event.what {
        What::EndedEarly { reason } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(
        reason.unwrap(),
        "the objective `impossible` (journeys p50 ≤ 1us) was missed for 3s without a break"
    );
    let report = std::fs::read_to_string(recording.dir().join("report.md")).unwrap();
    for part in [
        "The objective “impossible” was missed: journeys p50 ≤ 1us",
        "ended early",
        "| easy | journeys | p50 ≤ 1m | 2s |",
        "| met |",
        "| missed |",
        "unknown: less than 100 of cancel ended",
    ] {
        assert!(report.contains(part), "no `{part}` in {report}");
    }
    let written = std::fs::read_to_string(junit).unwrap();
    let exported = soundcheck(&["export", recording.dir().to_str().unwrap(), "--as", "junit"]);
    assert_eq!(String::from_utf8(exported.stdout).unwrap(), written);
    ci_sees_each_objective(&written);
}

fn ci_sees_each_objective(xml: &str) {
    let report = quick_junit::Report::deserialize_from_str(xml).unwrap();
    let cases = || report.test_suites.iter().flat_map(|suite| &suite.test_cases);
    let of = |name: &str| cases().find(|case| case.name.as_str() == name).unwrap();
    assert!(matches!(of("easy").status, TestCaseStatus::Success { .. }), "{xml}");
    for (name, expected, words) in [
        (
            "verdict",
            NonSuccessKind::Failure,
            "The objective “impossible” was missed",
        ),
        ("impossible", NonSuccessKind::Failure, "journeys p50 ≤ 1us: "),
        ("untested", NonSuccessKind::Error, "less than 100 of cancel ended"),
    ] {
        let TestCaseStatus::NonSuccess { kind, message, .. } = &of(name).status else {
            panic!("{name} is no failure: {xml}")
        };
        assert_eq!(*kind, expected, "{xml}");
        assert!(message.as_ref().unwrap().contains(words), "{xml}");
    }
    // The books and the ledger were kept, however the run ended.
    assert!(
        matches!(
            of("every arrival is accounted for").status,
            TestCaseStatus::Success { .. }
        ),
        "{xml}"
    );
    let sold_once = cases().find(|case| case.name.starts_with("I1 ")).unwrap();
    assert!(matches!(sold_once.status, TestCaseStatus::Success { .. }), "{xml}");
}
