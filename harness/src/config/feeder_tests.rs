use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;

use super::feeder::{FeederSource, Order, Row};
use super::scenario::ScenarioConfig;
use super::{ConfigError, JourneyKind};

const SCENARIO: &str = "name: a\nstages: [{for: 10s, rate: 10/s}]\njourneys: {book: 50%, browse: 30%, seat-map: 20%}\n\
                        admitted: 10\ndata: {users: 100, concerts: 3, schedules-per-concert: 2, seats-per-schedule: 50}\n";

/// A scenario with these feeders, in a folder with these files.
fn parse(feeders: &str, files: &[(&str, &[u8])]) -> Result<ScenarioConfig, ConfigError> {
    let files: BTreeMap<&str, &[u8]> = files.iter().copied().collect();
    let read = |path: &Path| {
        let name = path.to_str().unwrap().strip_prefix("in/");
        let file = name.and_then(|name| files.get(name));
        file.map(|text| text.to_vec())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    ScenarioConfig::parse_with("in/s.yaml", &format!("{SCENARIO}feeders:\n{feeders}"), &read)
}

#[track_caller]
fn check(feeders: &str, files: &[(&str, &[u8])], expected: &[&str]) {
    let error = parse(feeders, files).expect_err("should be refused").to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{error}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "`{expected}` is not in `{line}`");
    }
}

/// The same for one file of rows.
#[track_caller]
fn check_rows(text: &[u8], expected: &[&str]) {
    check("  - {name: fans, csv: fans.csv}\n", &[("fans.csv", text)], expected);
}

fn rows(scenario: &ScenarioConfig, n: usize) -> &[Row] {
    match &scenario.feeders[n].source {
        FeederSource::Rows { rows, .. } => rows,
        FeederSource::Generated(_) => panic!("{scenario:?}"),
    }
}

#[test]
fn rows_are_read_by_their_header_and_can_be_written_down_whole() {
    let text = b"\xef\xbb\xbfseat, user\r\n7, 1\r\n\"50\",90\r\n";
    let feeders = "  - {name: fans, csv: fans.csv, order: shuffled, again: true, journeys: [book]}\n\
                   \x20 - name: far\n    rows: |\n      concert\n      3\n\
                   \x20 - {name: popular, generated: {seats: 2}}\n";
    let scenario = parse(feeders, &[("fans.csv", text)]).unwrap();
    let number = |n| NonZeroU32::new(n);
    let expected = [(1, 7), (90, 50)].map(|(user, seat)| Row {
        user: number(user),
        seat: number(seat),
        ..Row::default()
    });
    assert_eq!(rows(&scenario, 0), expected);
    assert_eq!(rows(&scenario, 1)[0].concert, number(3));
    assert_eq!(scenario.feeders[0].lasts(), None);
    assert_eq!(scenario.feeders[1].lasts(), Some(1));
    // Rows choose for everybody but those who are admitted beforehand; skews do for them as well.
    assert_eq!(scenario.feeders[1].journeys, [JourneyKind::Browse, JourneyKind::Book]);
    assert_eq!(scenario.skew_of(JourneyKind::SeatMap).seats, 2.0);
    assert_eq!(scenario.skew_of(JourneyKind::SeatMap).concerts, scenario.skew.concerts);

    let written = scenario.to_yaml().unwrap();
    assert!(
        written.contains("user,seat\n") && !written.contains("csv:"),
        "{written}"
    );
    assert_eq!(ScenarioConfig::parse("plan.yaml", &written).unwrap(), scenario);
}

#[test]
fn what_is_wrong_with_a_file_of_rows_is_told_by_its_lines() {
    check_rows(
        b"",
        &["in/fans.csv:1: the file is empty; it begins with a header of any of `user`"],
    );
    check_rows(b"user\n", &["in/fans.csv: there is no row below the header"]);
    check_rows(b"1,2\n3,4\n", &["in/fans.csv:1: this is a row and no header"]);
    check_rows(
        b"usr,seat\n1,2\n",
        &["in/fans.csv:1: unknown name `usr`; did you mean `user`?"],
    );
    check_rows(b"user,user\n1,2\n", &["in/fans.csv:1: two columns are called `user`"]);
    check_rows(
        b"user,seat\n1,2\n91,1\n0,51\nx,\n1\n-1,2.5\n\xff,1\n4,4\n",
        &[
            "in/fans.csv:3: there is no user 91: the 90 users that a run can use count from 1",
            "in/fans.csv:4: there is no user 0",
            "in/fans.csv:4: there is no seat 51: the 50 seats of a schedule",
            "in/fans.csv:5: `user`: `x` is no whole number",
            "in/fans.csv:5: `seat` is empty",
            "in/fans.csv:6: this line has 1 values, and the header names 2 columns",
            "in/fans.csv:7: `user`: `-1` is no whole number",
            "in/fans.csv:7: `seat`: `2.5` is no whole number",
            "in/fans.csv:8: this line is no UTF-8 text",
        ],
    );
    let many = format!("user\n{}", "y\n".repeat(500));
    let error = parse("  - {name: fans, csv: fans.csv}\n", &[("fans.csv", many.as_bytes())]).unwrap_err();
    assert_eq!(error.problems.len(), 11, "{error}");
    assert!(
        error
            .to_string()
            .ends_with("in/fans.csv: 490 more of its values are wrong"),
        "{error}"
    );
    let long = vec![b'1'; super::feeder::MAX_FILE_BYTES + 1];
    check_rows(
        &long,
        &["in/s.yaml:7: `feeders[0].csv`: cannot read in/fans.csv: it is longer than 8 MiB"],
    );
}

#[test]
fn what_is_wrong_with_feeders_is_told_all_at_once() {
    let fine: &[(&str, &[u8])] = &[("fans.csv", b"user\n1\n")];
    check(
        "  - {csv: gone.csv}\n\
         \x20 - {name: a, csv: fans.csv, generated: {}}\n\
         \x20 - {name: a}\n\
         \x20 - {name: b, generated: {seats: 9}, order: shuffled, again: true}\n\
         \x20 - {name: c, rows: \"user\\n100\\n\", order: random, again: false, journeys: [position, seat-map, book, book]}\n\
         \x20 - {name: d, csv: fans.csv, oder: random, journeys: []}\n",
        fine,
        &[
            "in/s.yaml:7: `feeders[0].csv`: cannot read in/gone.csv: entity not found",
            "in/s.yaml:7: `feeders[0].name`: a feeder needs a `name`",
            "in/s.yaml:8: `feeders[1]`: a feeder has one source",
            "in/s.yaml:9: `feeders[2]`: a feeder has one source",
            "in/s.yaml:10: `feeders[3].order`: what is generated has no rows",
            "in/s.yaml:10: `feeders[3].again`: what is generated has no rows",
            "in/s.yaml:10: `feeders[3].generated.seats`: 9 is no skew",
            "in/s.yaml:11: `feeders[4].journeys[0]`: `position` has no share of the arrivals",
            "in/s.yaml:11: `feeders[4].journeys[1]`: `seat-map` is of users who are admitted before the run",
            "in/s.yaml:11: `feeders[4].journeys[3]`: `book` is named twice",
            "in/s.yaml:11: `feeders[4].again`: rows at random never run dry",
            "in/s.yaml:11: `feeders[4].rows`: line 2 of it: there is no user 100: the 90 users",
            "in/s.yaml:12: `feeders[5].oder`: unknown name `oder`; did you mean `order`?",
            "in/s.yaml:12: `feeders[5].journeys`: a feeder that feeds no journey",
        ],
    );
    check(
        "  - {name: a, csv: fans.csv}\n\
         \x20 - {name: a, rows: \"user\\n1\\n\", journeys: [book]}\n\
         \x20 - {name: c, generated: {}}\n\
         \x20 - {name: d, generated: {}}\n\
         \x20 - {name: e, rows: \"seat\\n1\\n\"}\n\
         \x20 - {name: f, rows: \"user\\n1\\n\", order: backwards}\n",
        fine,
        &[
            "in/s.yaml:8: `feeders[1].name`: two feeders are called `a`",
            "in/s.yaml:8: `feeders[1].journeys`: `a` gives `book` its users already",
            "in/s.yaml:10: `feeders[3].journeys`: `c` gives `browse` its skews already",
            "in/s.yaml:12: `feeders[5].order`: unknown name `backwards`; known here: `in-turn`, `shuffled`, `random`",
            "in/s.yaml:12: `feeders[5].journeys`: `a` gives `browse` its users already",
        ],
    );
}

#[test]
fn a_scenario_that_lies_nowhere_names_no_file() {
    let text = format!("{SCENARIO}feeders: [{{name: fans, csv: fans.csv}}]\n");
    let error = ScenarioConfig::parse("plan.yaml", &text).unwrap_err().to_string();
    assert!(
        error.contains("`feeders[0].csv`: cannot read fans.csv: only a scenario that lies in a folder"),
        "{error}"
    );
}

/// The example that the documentation names, as it lies in its folder.
#[test]
fn the_example_is_sound() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/examples/guest-list.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let scenario = ScenarioConfig::parse_with(file, &text, &|path| std::fs::read(path)).unwrap();
    assert_eq!(scenario.feeders[0].lasts(), Some(120));
    let rows = rows(&scenario, 0);
    assert!(rows.iter().all(|row| row.user.is_some() && row.seat.is_some()));
    let places: std::collections::BTreeSet<_> = rows.iter().map(|row| (row.concert, row.schedule, row.seat)).collect();
    assert_eq!(places.len(), rows.len(), "a seat is promised twice");
    let measured: Vec<bool> = scenario.stages.iter().map(super::Stage::is_measured).collect();
    assert_eq!(measured, [false, true, false]);
}

#[test]
fn an_order_is_written_as_it_is_read() {
    let orders = [Order::InTurn, Order::Shuffled, Order::Random];
    let written: Vec<String> = orders
        .iter()
        .map(|order| serde_yaml::to_string(order).unwrap())
        .collect();
    assert_eq!(written, ["in-turn\n", "shuffled\n", "random\n"]);
}
