//! More come than there are users to serve them: what is dropped is counted, and figures hold it.

use std::collections::BTreeMap;

use soundcheck::analysis::quantile::Value;
use soundcheck::recording::{Clock, Endpoint};
use soundcheck::units::Ratio;

use crate::ran::run;
use crate::soundcheck;

/// Two users who take more than a second each, and ten arrivals a second, which wait a fifth of a second at most.
const TOO_FEW_USERS: &str = "name: too-few\narrivals: even\nusers: 2\nmax-late: 200ms\nthink: {from: 400ms, to: 400ms}\n\
                             stages: [{name: only, for: 3s, rate: 10/s}]\njourneys: {book: 100%}\ntops-up: true\n\
                             data: {users: 500, concerts: 2, schedules-per-concert: 2, seats-per-schedule: 50}\n";

#[test]
fn arrivals_that_find_every_user_busy_are_dropped_and_leave_no_claim() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("too-few.yaml");
    std::fs::write(&file, TOO_FEW_USERS).unwrap();
    let ran = run(&[file.to_str().unwrap()]);
    assert_eq!(ran.ended.code, Some(4), "{:#?}", ran.ended);
    ran.check_books_and_ledger();
    let books = ran.books();
    assert_eq!(books.scheduled, 30);
    // Each of the two serves one at once and then, since journeys take longer than that, two more at the most.
    assert!((2..=8).contains(&books.started) && books.dropped >= 22, "{books:?}");
    let busy = books.dropped - books.dropped_by_generator;
    ran.check_report(&[
        &format!("{busy} of 30 arrivals were dropped, since every user was busy"),
        &format!("30 = {} + {}", books.started, books.dropped),
    ]);

    // Most of those who came never got an answer: half of them and more waited for ever.
    let journeys = &ran.rows()[&Endpoint::JourneyBook];
    assert_eq!(journeys.dropped(), books.dropped);
    for q in [0.5, 0.99] {
        assert_eq!(
            journeys.quantile(Clock::Response, Ratio(q)),
            Some(Value::Infinite),
            "{q}"
        );
    }
    let report = ran.report();
    let row = report.lines().find(|line| line.starts_with("| journey: book | 30 |"));
    let row = row.unwrap_or_else(|| panic!("no row of the journeys in {report}"));
    assert!(row.ends_with("| no answer |"), "{row}");
    let exported = soundcheck(&["export", ran.recording.dir().to_str().unwrap(), "--as", "csv"]);
    let mut reader = csv::Reader::from_reader(exported.stdout.as_slice());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let p99: Vec<&str> = rows
        .iter()
        .filter(|row| row["endpoint"] == "journey-book" && row["series"] == "response_p99")
        .map(|row| row["value"].as_str())
        .collect();
    assert!(p99.contains(&"inf"), "{p99:?}");
}
