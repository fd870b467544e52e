//! Scenarios that cannot be run: refused before anything is started, with the file and the line.

use soundcheck::recording::{Recording, What};

use crate::tool::Site;

#[test]
fn every_error_of_a_scenario_is_told_with_its_line() {
    let site = Site::new();
    let file = site.write(
        "monday.yaml",
        "name: monday\n\
         stages:\n\
         \x20 - {name: ramp, for: 0s, from: 1/s, to: 300/s}\n\
         \x20 - {name: still, for: 5s, rate: 0/s}\n\
         \x20 - {name: open, for: 5s, from: 10/s}\n\
         journeys: {bok: 60%, browse: 40%}\n\
         feeders:\n\
         \x20 - {name: fans, csv: fans.csv, journeys: [browse]}\n\
         \x20 - {name: gone, csv: gone.csv, jurneys: [browse]}\n",
    );
    let rows = site.write("fans.csv", "user,seat\n1,1\n5001,x\n");
    let gone = site.path("gone.csv").display().to_string();
    let expected = [
        format!("{file}:3: `stages[0].for`: a stage of no length offers nothing"),
        format!("{file}:4: `stages[1].rate`: a rate of nothing offers nothing"),
        format!("{file}:5: `stages[2].to`: a ramp needs both"),
        format!("{file}:6: `journeys.bok`: unknown name `bok`; did you mean `book`?"),
        format!("{file}:9: `feeders[1].csv`: cannot read {gone}: No such file or directory"),
        format!("{file}:9: `feeders[1].jurneys`: unknown name `jurneys`; did you mean `journeys`?"),
        format!("{rows}:3: there is no user 5001: the 5000 users that a run can use count from 1"),
        format!("{rows}:3: `seat`: `x` is no whole number"),
    ];
    let words: Vec<&str> = expected.iter().map(String::as_str).collect();
    site.run(&["run", &file]).fails(2, &words);
    assert_eq!(site.names(), ["fans.csv", "monday.yaml"], "nothing is begun");
}

#[test]
fn scenarios_that_build_on_each_other_are_told_as_a_chain() {
    let site = Site::new();
    let one = site.write("one.yaml", "name: one\nextends: two.yaml\n");
    let two = site.write("two.yaml", "extends: one.yaml\n");
    let words = format!("{two}:1: `extends`: no scenario can build on itself: {one} → {two} → {one}");
    site.run(&["run", &one]).fails(2, &[&words]);
    let lost = site.write("lost.yaml", "name: lost\n\nextends: smok\n");
    let words = [
        &format!("{lost}:3: `extends`: cannot read ")[..],
        "did you mean `smoke`?",
    ];
    site.run(&["run", &lost]).fails(2, &words);
    let base = site.write("base.yaml", "extends: smoke\nusers: none\n");
    let top = site.write("top.yaml", "extends: base.yaml\n");
    let words = format!("{base}:2: `users`: invalid type");
    site.run(&["run", &top]).fails(2, &[&words]);
}

#[test]
fn more_users_than_descriptors_name_the_limit_and_how_to_raise_it() {
    let site = Site::new();
    let file = site.write(
        "many.yaml",
        "extends: smoke\nusers: 300\nstages: [{for: 1s, rate: 1/s, virtual-users: 200}]\n",
    );
    let mut command = site.command("sh");
    let tool = env!("CARGO_BIN_EXE_soundcheck");
    command.args([
        "-c",
        "ulimit -n 64; exec \"$0\" run \"$1\" --stack embedded",
        tool,
        &file,
    ]);
    site.run_command(command).fails(
        2,
        &[
            "need up to 756 open files",
            "may have 64 (the hard limit of RLIMIT_NOFILE)",
            "`connections:` in the scenario, or raise the limit with `ulimit -Hn 756`",
        ],
    );
    assert_eq!(site.names(), ["many.yaml"], "nothing is begun");
}

/// A soft limit that is too low is raised as far as is needed; and a feeder whose rows do not suffice ends the load, of
/// which what was measured is kept.
#[test]
fn a_feeder_that_runs_dry_is_warned_of_and_leaves_a_run_that_carries_no_claim() {
    let site = Site::new();
    site.write("fans.csv", "user\n1\n2\n3\n4\n5\n6\n7\n8\n");
    let file = site.write(
        "few.yaml",
        "extends: smoke\nname: few\nusers: 50\nstages: [{name: only, for: 3s, rate: 20/s}]\njourneys: {browse: 50%, book: 50%}\n\
         feeders: [{name: fans, csv: fans.csv, order: shuffled, journeys: [book]}]\n",
    );
    let mut command = site.command("sh");
    let tool = env!("CARGO_BIN_EXE_soundcheck");
    command.args([
        "-c",
        "ulimit -Sn 64; exec \"$0\" run \"$1\" --stack embedded --out out",
        tool,
        &file,
    ]);
    let said = site.run_command(command);
    assert_eq!(said.code, Some(4), "{said:?}");
    said.tells(&[
        "warning: the feeder `fans` has 8 rows, and about 30 arrivals need one each: the load will end early",
    ]);
    let why = "the feeder `fans` ran dry after 8 rows ";
    assert!(said.stdout.contains(why), "{said:?}");

    let runs: Vec<_> = std::fs::read_dir(site.path("out"))
        .unwrap()
        .map(|run| run.unwrap().path())
        .collect();
    let [run] = &runs[..] else { panic!("{runs:?}") };
    let recording = Recording::open(run).unwrap();
    assert!(recording.is_complete(), "{:?}", recording.notes());
    let events = recording.events().unwrap();
    let dry = events.iter().find_map(|event| match &event.what {
        What::RanDry { feeder, rows } => Some((feeder.as_str(), *rows)),
        _ => None,
    });
    assert_eq!(dry, Some(("fans", 8)));
    let books = events.iter().find_map(|event| match &event.what {
        What::Accounting { counts, .. } => Some(*counts),
        _ => None,
    });
    let books = books.unwrap();
    assert!(books.scheduled > 8 && books.scheduled < 60, "{books:?}");
    assert_eq!(books.imbalances(), [] as [String; 0]);
    let report = std::fs::read_to_string(run.join("report.md")).unwrap();
    for part in [
        "ran dry after 8 rows",
        "s after the load began",
        "has 8 rows, and about 30 arrivals",
    ] {
        assert!(report.contains(part), "no `{part}` in {report}");
    }
    // The rows stand in the plan, which needs no file beside it.
    let plan = recording.plan().unwrap().unwrap();
    assert!(plan.contains("rows: |") && !plan.contains("fans.csv"), "{plan}");
}
