//! What is read from files of objectives, and what is refused.

use super::Objective;
use super::yaml::{parse, write};
use crate::config::{ConfigError, ScenarioConfig, shipped};
use crate::units::RatePerSec;

fn read(text: &str) -> Result<Vec<Objective>, ConfigError> {
    parse("o.yaml", text, &shipped::scenario("smoke").unwrap())
}

#[test]
fn what_is_read_can_be_written_and_read_again() {
    let text = "objectives:\n  \
        - {name: a, of: seats, p99: 250ms, over: 5s, abort-after: 20s}\n  \
        - {p50: 10ms}\n  - {p90: 10ms}\n  - {p95: 10ms}\n  - {p999: 1s, of: journey-book}\n  \
        - {failed: 1%, over: 10s}\n  - {offered: 99%}\n";
    let objectives = read(text).unwrap();
    let names: Vec<&str> = objectives.iter().map(|objective| objective.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "a",
            "journeys p50 ≤ 10ms",
            "journeys p90 ≤ 10ms",
            "journeys p95 ≤ 10ms",
            "journey-book p99.9 ≤ 1s",
            "journeys failed ≤ 1%",
            "journeys offered ≥ 99%"
        ]
    );
    assert_eq!(read(&write(&objectives).unwrap()).unwrap(), objectives);
}

#[test]
fn every_fault_is_named_at_once_with_what_is_near() {
    let text = "objectives:\n\
        - {name: a, of: seat, p99: 250ms}\n\
        - {name: b, stage: pek, p99: 250ms}\n\
        - {name: c}\n\
        - {name: d, p99: 1s, failed: 1%}\n\
        - {name: e, p99: 1s, over: 200ms}\n\
        - {name: f, p99: 1s, abort-after: 5s}\n\
        - {name: g, offered: 99%, over: 5s}\n\
        - {name: a, p99: 1s}\n\
        - {name: a, p99: 2s}\n";
    let error = read(text).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    let expected = [
        "o.yaml:2: `objectives[0].of`: unknown name `seat`; did you mean `seats`?",
        "o.yaml:3: `objectives[1].stage`: unknown name `pek`",
        "o.yaml:4: `objectives[2].name`: an objective needs a limit",
        "o.yaml:5: `objectives[3].name`: an objective has one limit",
        "o.yaml:6: `objectives[4].over`: what ended is counted by the second",
        "o.yaml:7: `objectives[5].abort-after`: a run is ended by what windows say",
        "o.yaml:8: `objectives[6].over`: what was offered is told by the books",
        "o.yaml:10: `objectives[8].name`: two objectives are called `a`",
    ];
    assert_eq!(lines.len(), expected.len(), "{error}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "`{expected}` is not in `{line}`");
    }
}

/// One error for each of these files, at this line.
#[track_caller]
fn refused(scenario: &ScenarioConfig, objective: &str, expected: &str) {
    let text = format!("objectives:\n  - {objective}\n");
    let error = parse("o.yaml", &text, scenario)
        .expect_err("should be refused")
        .to_string();
    assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
}

#[test]
fn a_window_that_no_stage_has_room_for_is_refused() {
    // 3 s of warm-up, then 12 s.
    let smoke = shipped::scenario("smoke").unwrap();
    let steady = &smoke.stages[1].name;
    for (length, is_read) in [("12s", true), ("13s", false)] {
        for stage in ["".to_owned(), format!(", stage: {steady}")] {
            let text = format!("objectives:\n  - {{p99: 1s, over: {length}{stage}}}\n");
            assert_eq!(read(&text).is_ok(), is_read, "{text}");
        }
    }
    refused(
        &smoke,
        "{p99: 1s, over: 13s}",
        "o.yaml:2: `objectives[0].over`: no window of 13s fits into the measured stages, which last 12s in a row, so \
         nothing would ever be judged; write `12s` or less",
    );
    refused(
        &smoke,
        "{p99: 1s, over: 4s, stage: warm-up}",
        "o.yaml:2: `objectives[0].over`: no window of 4s fits into the stage `warm-up`, which lasts 3s",
    );
    // A stage that is not measured parts its neighbours.
    let mut parted = smoke.clone();
    let (mut pause, mut again) = (smoke.stages[0].clone(), smoke.stages[1].clone());
    "pause".clone_into(&mut pause.name);
    "again".clone_into(&mut again.name);
    parted.stages.extend([pause, again.clone()]);
    refused(
        &parted,
        "{p99: 1s, over: 13s}",
        "o.yaml:2: `objectives[0].over`: no window of 13s",
    );
    let mut touching = smoke.clone();
    touching.stages.push(again);
    assert!(parse("o.yaml", "objectives: [{p99: 1s, over: 24s}]", &touching).is_ok());
    let mut unmeasured = smoke.clone();
    unmeasured.stages.truncate(1);
    refused(
        &unmeasured,
        "{p99: 1s}",
        "o.yaml:2: `objectives[0].stage`: every stage of the scenario is a warm-up or a cool-down",
    );
}

#[test]
fn limits_that_every_run_or_no_run_misses_are_refused() {
    let smoke = shipped::scenario("smoke").unwrap();
    refused(
        &smoke,
        "{p99: 0s}",
        "o.yaml:2: `objectives[0].p99`: nobody is answered in no time",
    );
    refused(
        &smoke,
        "{p99: 1h}",
        "o.yaml:2: `objectives[0].p99`: times are told apart up to an hour",
    );
    refused(
        &smoke,
        "{failed: 100%}",
        "o.yaml:2: `objectives[0].failed`: more than all cannot fail",
    );
    refused(
        &smoke,
        "{offered: 0%}",
        "o.yaml:2: `objectives[0].offered`: less than nothing",
    );
    // These are strict, and can be kept.
    assert!(read("objectives: [{failed: 0%}, {offered: 100%}, {p50: 1us}]").is_ok());
    let mut closed = smoke.clone();
    for stage in &mut closed.stages {
        (stage.from, stage.to, stage.virtual_users) = (RatePerSec(0.0), RatePerSec(0.0), (5, 5));
    }
    refused(
        &closed,
        "{offered: 99%}",
        "o.yaml:2: `objectives[0].offered`: virtual users alone come in this scenario",
    );
    assert!(parse("o.yaml", "objectives: [{p99: 1s}]", &closed).is_ok());
}

#[test]
fn a_file_without_an_objective_is_refused() {
    let error = read("# none yet\nobjectives: []\n").unwrap_err().to_string();
    assert!(
        error.starts_with("o.yaml:2: `objectives`: there must be one at least"),
        "{error}"
    );
}
