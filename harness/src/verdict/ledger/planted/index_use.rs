//! I12, planted: statements that no index leads to their rows.

use super::case::*;
use super::pages::Pages;
const WHICH: Invariant = Invariant::Index;

const SEAT_MAP: &str =
    "SELECT `id` , NUMBER , `price` FROM `seats` WHERE `schedule_id` = ? AND STATUS = ? ORDER BY NUMBER";

/// A hundred executions of a statement that read and returned so many rows each.
fn executed(text: &str, read: f64, returned: f64) -> Case {
    let pages = Pages::new();
    for (second, times) in [(0, 0.0), (1, 40.0), (2, 100.0)] {
        let labels: &[(&str, &str)] = &[("digest", "d1"), ("digest_text", text), ("schema", "s")];
        let name =
            |what: &str| format!("mysql_perf_schema_events_statements_{what}_total").replace("_total_total", "_total");
        let names = [name("total"), name("rows_examined"), name("rows_sent")];
        pages.scrape(
            second,
            "mysql",
            &[
                (names[0].as_str(), labels, times),
                (names[1].as_str(), labels, times * read),
                (names[2].as_str(), labels, times * returned),
            ],
        );
    }
    let mut case = Case::new();
    case.series = pages.read();
    case
}

#[test]
fn a_scan_for_a_few_rows_is_found() {
    executed(SEAT_MAP, 2_000.0, 50.0).convicts(WHICH, "read 200000 rows and returned 5000", &[]);
    executed(SEAT_MAP, 50.0, 50.0).acquits(WHICH);
    // Sorting may count each row a second time; nothing at all may be left to return.
    executed(SEAT_MAP, 100.0, 50.0).acquits(WHICH);
    executed(SEAT_MAP, 0.0, 0.0).acquits(WHICH);
    executed(SEAT_MAP, 2_000.0, 0.0).convicts(WHICH, "returned 0", &[]);
    executed("SELECT COUNT ( * ) FROM `seats`", 2_000.0, 1.0).is_idle(WHICH, "nobody saw");
}

#[test]
fn without_an_index_a_scan_is_what_was_wanted() {
    let mut case = executed(SEAT_MAP, 2_000.0, 50.0);
    case.variant.settings.insert("index".to_owned(), "none".to_owned());
    case.is_idle(WHICH, "no index was wanted");
    case.variant.settings.insert("index".to_owned(), "covering".to_owned());
    case.convicts(WHICH, "no index leads to them", &[]);
}

fn planned(digest: Option<&str>, text: &str) -> Case {
    let mut case = Case::new();
    case.events.push(Event {
        t: ms(1),
        what: What::Plan {
            variant: 0,
            statement: "SELECT id, number, price FROM seats WHERE schedule_id = 7 AND status = 0 ORDER BY number"
                .to_owned(),
            digest: digest.map(str::to_owned),
            text: text.to_owned(),
        },
    });
    case
}

#[test]
fn the_plan_of_the_executed_statement_convicts_and_that_of_another_does_not() {
    const SCAN: &str = "\
-> Sort: seats.`number`  (cost=203 rows=2000) (actual time=1.2..1.3 rows=50 loops=1)
    -> Filter: (cast(seats.schedule_id as char) = '7')  (cost=203 rows=2000) (actual time=0.1..1.1 rows=50 loops=1)
        -> Table scan on seats  (cost=203 rows=2000) (actual time=0.1..0.9 rows=2000 loops=1)
";
    const LOOKUP: &str = "\
-> Sort: seats.`number`  (cost=17.5 rows=50) (actual time=0.2..0.2 rows=50 loops=1)
    -> Index lookup on seats using by_schedule (schedule_id=7, status=0)  (cost=17.5 rows=50) (actual time=0.1..0.2 rows=50 loops=1)
";
    planned(Some("d1"), SCAN).convicts(WHICH, "reads 2000 rows to return 50, with no index", &[]);
    planned(Some("d1"), LOOKUP).acquits(WHICH);
    planned(None, SCAN).is_idle(WHICH, "nobody saw");
}

#[test]
fn the_steps_of_sqlite_are_understood() {
    let steps = |access: &str| {
        planned(
            Some("d1"),
            &format!("-> QUERY PLAN\n    -> {access}\n    -> USE TEMP B-TREE FOR ORDER BY\n"),
        )
    };
    steps("SEARCH seats USING INDEX seats_by_schedule_status (schedule_id=? AND status=?)").acquits(WHICH);
    steps("SEARCH seats USING INDEX seats_by_status_schedule (status=? AND schedule_id=?)").acquits(WHICH);
    steps("SCAN seats").convicts(WHICH, "no index leads the executed seat map", &[]);
    steps("SCAN seats USING COVERING INDEX seats_covering").convicts(WHICH, "SCAN seats", &[]);
    steps("SEARCH seats USING INDEX seats_by_status_schedule (status=?)").convicts(WHICH, "(status=?)", &[]);
    steps("SCAN schedules").is_idle(WHICH, "nobody saw");
}
