//! What the documentation shows can be used as it stands there.

use std::path::Path;

use soundcheck::config::{ScenarioConfig, shipped};
use soundcheck::objectives;

use crate::{files, root};

/// The YAML that a Markdown text shows, block by block.
fn yaml_in(text: &str) -> Vec<&str> {
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .map(|rest| rest.split_once("```").expect("a block ends").0)
        .collect()
}

#[test]
fn the_scenario_and_the_objectives_in_the_readme_are_read_as_they_stand() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = yaml_in(&readme);
    let (limits, scenarios): (Vec<&str>, Vec<&str>) = blocks.iter().partition(|text| text.starts_with("objectives:"));
    let ([scenario], [limits]) = (&scenarios[..], &limits[..]) else {
        panic!("one scenario and one file of objectives: {blocks:#?}")
    };

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.yaml");
    std::fs::write(
        folder.path().join("guest-list.csv"),
        "user,concert,schedule,seat\n1,1,1,1\n2,1,1,2\n",
    )
    .unwrap();
    let read = |path: &Path| std::fs::read(path);
    let scenario = ScenarioConfig::parse_with(file.to_str().unwrap(), scenario, &read).unwrap();
    // What its comments promise.
    assert_eq!(scenario.name, "guest-list");
    assert_eq!(scenario.users, 20_000);
    assert_eq!(scenario.most_connections(), 500);
    assert_eq!(scenario.max_late, Some(std::time::Duration::from_secs(1)));
    assert_eq!(scenario.stages.len(), 2, "stages are replaced whole");
    assert_eq!(scenario.feeders.len(), 2);
    let base = shipped::scenario("smoke").unwrap();
    assert_eq!((&scenario.journeys, scenario.poll), (&base.journeys, base.poll));

    // They name a stage of `smoke`, with which the command below them uses them.
    let limits = objectives::parse("limits.yaml", limits, &base).unwrap();
    assert_eq!(limits.len(), 3);
    assert!(limits.iter().any(|objective| objective.abort_after.is_some()));
}

#[test]
fn every_example_of_a_scenario_is_sound() {
    let examples = files(&root().join("harness/scenarios/examples"), ".yaml");
    assert!(examples.len() >= 2, "{examples:?}");
    for path in examples {
        let text = std::fs::read_to_string(&path).unwrap();
        let scenario = ScenarioConfig::parse_with(path.to_str().unwrap(), &text, &|path| std::fs::read(path)).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(scenario.name, name);
        assert!(!scenario.about.is_empty(), "{name}");
        // As it is recorded, without the files beside it.
        let written = scenario.to_yaml().unwrap();
        assert_eq!(ScenarioConfig::parse(name, &written).unwrap(), scenario, "{written}");
    }
}

#[test]
fn blocks_of_yaml_are_found_and_no_others() {
    let text = "a\n```yaml\nx: 1\n```\n```console\n$ y\n```\n```yaml\nz: 2\n```\n";
    assert_eq!(yaml_in(text), ["x: 1\n", "z: 2\n"]);
}
