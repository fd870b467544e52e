//! `--json`: one object and nothing else, for programs.

use serde_json::Value;

use crate::ran::run;

const SCENARIO: &str = "extends: smoke\nname: for-programs\nstages: [{name: only, for: 3s, rate: 20/s}]\n\
                        data: {users: 500, concerts: 2, schedules-per-concert: 2, seats-per-schedule: 50}\n";
const OBJECTIVES: &str =
    "objectives:\n  - {name: answers come, p50: 1m, over: 2s}\n  - {name: nothing fails, failed: 50%}\n";

#[test]
fn a_program_reads_the_verdict_the_books_and_the_objectives() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (scenario, objectives) = (path("scenario.yaml"), path("objectives.yaml"));
    std::fs::write(&scenario, SCENARIO).unwrap();
    std::fs::write(&objectives, OBJECTIVES).unwrap();
    let ran = run(&[&scenario, "--objectives", &objectives, "--json"]);
    ran.check_books_and_ledger();
    ran.check_pass_or_out_of_pace();

    let printed = &ran.ended.printed;
    assert_eq!(printed.lines().count(), 1, "{printed}");
    let report: Value = serde_json::from_str(printed).unwrap();
    assert_eq!(report["schema"], "soundcheck.report/1");
    assert_eq!(
        (&report["kind"], &report["title"]),
        (&"run".into(), &"Run: for-programs".into())
    );
    let verdict = if ran.ended.code == Some(0) { "pass" } else { "unknown" };
    assert_eq!(report["verdict"], verdict);
    assert_eq!(report["badges"]["invariants"]["state"], "pass");

    let books = ran.books();
    assert_eq!(books.scheduled, 60);
    let identities = rows(&report, "What became of every arrival");
    let expected = [
        format!("{} = {} + {}", books.scheduled, books.started, books.dropped),
        format!(
            "{} = {} + {} + {}",
            books.started, books.ok, books.failed, books.unfinished
        ),
    ];
    let numbers: Vec<String> = identities.iter().map(|row| text(&row[1])).collect();
    assert_eq!(numbers[..2], expected, "{identities:?}");
    let judged: Vec<[String; 2]> = rows(&report, "Objectives: ")
        .iter()
        .map(|row| [text(&row[0]), text(row.last().unwrap())])
        .collect();
    assert_eq!(judged, [["answers come", "met"], ["nothing fails", "met"]]);
}

/// The rows of the table whose caption begins so.
fn rows(report: &Value, caption: &str) -> Vec<Vec<Value>> {
    let sections = report["sections"].as_array().unwrap().iter();
    let blocks = sections.flat_map(|section| section["blocks"].as_array().unwrap());
    let mut tables = blocks.map(|block| &block["table"]);
    let table = tables.find(|table| table["caption"].as_str().is_some_and(|text| text.starts_with(caption)));
    let table = table.unwrap_or_else(|| panic!("no table `{caption}` in {report:#}"));
    serde_json::from_value(table["rows"].clone()).unwrap()
}

/// What a cell of plain text says.
fn text(cell: &Value) -> String {
    let pieces = cell["text"].as_array().unwrap_or_else(|| panic!("no text: {cell}"));
    pieces.iter().map(|piece| piece["plain"].as_str().unwrap()).collect()
}
