//! What a run is held to decides how it ends.

use quick_junit::{NonSuccessKind, TestCaseStatus};
use soundcheck::recording::What;

use crate::ran::run;
use crate::soundcheck;

#[test]
fn a_run_that_is_hopeless_is_ended_and_a_missed_objective_has_its_own_exit_code() {
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
    let ran = run(&[scenario, "--objectives", objectives, "--junit", junit]);
    assert_eq!(ran.ended.code, Some(3), "{:#?}", ran.ended);
    ran.check_books_and_ledger();
    let events = ran.recording.events().unwrap();
    let reason = events.iter().find_map(|event| match &event.what {
        What::EndedEarly { reason } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(
        reason.unwrap(),
        "the objective `impossible` (journeys p50 ≤ 1us) was missed for 3s without a break"
    );
    ran.check_report(&[
        "The objective “impossible” was missed: journeys p50 ≤ 1us",
        "ended early",
        "| easy | journeys | p50 ≤ 1m | 2s |",
        "| met |",
        "| missed |",
        "unknown: less than 100 of cancel ended",
    ]);
    let written = std::fs::read_to_string(junit).unwrap();
    let exported = soundcheck(&["export", ran.recording.dir().to_str().unwrap(), "--as", "junit"]);
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
