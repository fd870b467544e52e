//! The examples beside the scenarios that ship, as the documentation tells people to run them.

use std::collections::BTreeSet;

use soundcheck::config::ScenarioConfig;
use soundcheck::recording::history::{Code, OpKind};

use crate::ran::run;

/// Rows reach the service: every guest gets the seat that the list promises, and what is recorded needs no list.
#[test]
fn guests_from_a_file_get_the_seats_that_their_rows_name() {
    let ran = run(&[concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/examples/guest-list.yaml"
    )]);
    ran.check_books_and_ledger();
    ran.check_pass_or_out_of_pace();
    let (mut holds, mut guests) = (Vec::new(), BTreeSet::new());
    for op in ran.operations().iter().filter(|op| op.kind == OpKind::Hold) {
        holds.push(op.code);
        guests.insert(op.user);
    }
    // 60 % of 130 even arrivals; the seed decides which.
    assert!((60..=100).contains(&holds.len()), "{}", holds.len());
    assert!(
        holds.iter().all(|code| *code == Code::None),
        "no two want one seat: {holds:?}"
    );
    assert_eq!(guests.len(), holds.len(), "no guest comes twice");
    ran.check_report(&["Run: guest-list"]);
    assert!(!ran.report().contains("ran dry"), "{}", ran.report());
    let chart = std::fs::read_to_string(ran.recording.dir().join("charts/timeline.svg")).unwrap();
    assert!(chart.contains("cool-down"), "the chart marks what figures leave out");
}

/// Arrivals by the clock and virtual users side by side, late arrivals dropped, on fewer connections than users.
#[test]
fn arrivals_and_virtual_users_share_a_run() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/examples/both-models.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let scenario = ScenarioConfig::parse(file, &text).unwrap();
    let ran = run(&[file]);
    ran.check_books_and_ledger();
    ran.check_pass_or_out_of_pace();
    let books = ran.books();
    // Even arrivals, of which the schedule alone decides how many there are.
    let planned: f64 = scenario
        .stages
        .iter()
        .map(|stage| (stage.from.0 + stage.to.0) / 2.0 * stage.length.as_secs_f64())
        .sum();
    assert!(
        (books.arrivals() as f64 - planned).abs() <= 1.0,
        "{books:?} of {planned}"
    );
    // Each of them comes back again and again.
    let users = scenario.stages.iter().map(|stage| stage.virtual_users.0).max().unwrap();
    assert!(
        books.visits > 2 * u64::from(users),
        "{books:?} of {users} virtual users"
    );
    let (from, until) = ran.stage("virtual-users");
    let operations = ran.operations();
    let by_users_alone = operations.iter().filter(|op| op.invoked > from && op.invoked < until);
    assert!(by_users_alone.count() > 10, "they go on when no arrivals come any more");
    let plan = ran.recording.plan().unwrap().unwrap();
    assert!(
        plan.contains("connections: 20") && plan.contains("max-late: 1s"),
        "{plan}"
    );
    ran.check_report(&["Run: both-models", &format!("{} = ", books.scheduled)]);
}
