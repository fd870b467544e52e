//! What is asked for on the command line, before anything is started.

use soundcheck::config::shipped;

use crate::soundcheck;

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
fn traces_go_to_an_address_or_the_run_is_not_begun() {
    for unsound in ["127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://127.0.0.1:4318?a=b"] {
        let run = soundcheck(&["run", "smoke", "--traces", unsound]);
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert!(
            said.contains("expected an address such as http://127.0.0.1:4318"),
            "{said}"
        );
    }
}
