//! An index report: growth with the number of rows, and a plan before and after.

use soundcheck::chart::{Axis, Figure, Key, Scaling, ScalingCurve, ScalingPoint};
use soundcheck::format::Unit;
use soundcheck::report::{
    Badge, Badges, Block, Column, Decision, Document, EffectLine, Estimate, GotWorse, PlanDiff, PlanLine, Section,
    Table, Text, Verdict,
};

use super::{chart, raw};

pub(crate) fn scaling() -> Figure {
    let curve = |name: &str, slot: usize, at_10k: f64, power: f64| ScalingCurve {
        key: Key::new(name, slot),
        points: [1e4, 1e5, 1e6]
            .map(|rows: f64| {
                let y = at_10k * (rows / 1e4).powf(power);
                ScalingPoint {
                    x: rows,
                    y,
                    interval: Some((y * 0.9, y * 1.12)),
                }
            })
            .to_vec(),
    };
    Figure::Scaling(Scaling {
        x: Axis::new("seats in the table", Unit::Count),
        y: Axis::new("seat map p95", Unit::Seconds),
        curves: vec![
            curve("none", 0, 0.0041, 0.92),
            curve("(status, schedule_id)", 1, 0.0012, 0.06),
            curve("(schedule_id, status)", 2, 0.0011, 0.05),
            curve("covering", 3, 0.0007, 0.03),
        ],
    })
}

pub(crate) fn index() -> Document {
    let before = "-> Sort: seats.number  (cost=10204 rows=100000) (actual time=61.2..61.3 rows=42 loops=1)\n    \
                  -> Filter: ((seats.schedule_id = 77) and (seats.`status` = 'available'))  (cost=10204 rows=100000) (actual time=2.1..61.0 rows=42 loops=1)\n        \
                  -> Table scan on seats  (cost=10204 rows=100000) (actual time=0.05..48.7 rows=100000 loops=1)\n";
    let after = "-> Sort: seats.number  (cost=15.2 rows=42) (actual time=0.21..0.22 rows=42 loops=1)\n    \
                 -> Index lookup on seats using schedule_status (schedule_id=77, status='available')  (cost=15.2 rows=42) (actual time=0.04..0.12 rows=42 loops=1)\n";
    let mut rows = Table::new(
        "Rows examined for each row returned, 100,000 seats",
        [
            Column::text("index"),
            Column::number("examined ÷ returned", Unit::Count),
            Column::number("insert p99", Unit::Seconds),
            Column::number("index size", Unit::Bytes),
        ],
    );
    rows.row(["none".into(), 2_381.0.into(), 0.0018.into(), 0.0.into()])
        .row([
            "(status, schedule_id)".into(),
            1.0.into(),
            0.0021.into(),
            4_718_592.0.into(),
        ])
        .row(["covering".into(), 1.0.into(), 0.0026.into(), None.into()]);
    Document {
        title: "Index: finding the free seats of a date".to_owned(),
        kind: "index".to_owned(),
        verdict: Verdict::Unknown,
        sentence: Text::marked("An index on `(schedule_id, status)` makes the seat map **42 times faster** at 100,000 seats, but one comparison had too few blocks."),
        mark: Some("SQLite numbers: they say little about MySQL".to_owned()),
        badges: Badges {
            invariants: Badge::pass("9 invariants hold over 61,004 operations"),
            generator: Badge::unknown("lag p99 was not recorded for 2 of 36 blocks"),
        },
        effects: vec![EffectLine {
            claim: "seat map p95 at 100,000 seats, (schedule_id, status) ÷ none".to_owned(),
            estimate: Some(Estimate::ratio(0.0238, 0.0221, 0.0260)),
            rounds: Some(12),
            launches: Some(3),
            decision: Decision::Better,
            withheld: None,
        }],
        environment: Some("2 cores, 23 GiB, Linux 6.1 · SQLite 3.50 · soundcheck 0.1.0".to_owned()),
        recorded: None,
        command: "soundcheck report index --seed 7".to_owned(),
        sections: vec![
            Section::new("How it grows").with(chart(
                "scaling",
                "Seat map against the number of seats",
                "12 blocks a size; whiskers: 95 % intervals",
                scaling(),
                "Without an index the time grows with the table; with one it does not.",
                "Log-log lines: without an index nearly proportional, flat with one.",
            )),
            Section::new("The plan")
                .with(PlanDiff {
                    statement: "SELECT id, number, price FROM seats WHERE schedule_id = ? AND status = 'available' ORDER BY number".to_owned(),
                    digest: Some("8f14e45fceea167a5a36dedd4bea2543".to_owned()),
                    before_name: "none".to_owned(),
                    after_name: "(schedule_id, status)".to_owned(),
                    before: PlanLine::parse_tree(before),
                    after: PlanLine::parse_tree(after),
                })
                .with(rows)
                .with(Block::Code { language: "sql".to_owned(), text: "CREATE INDEX schedule_status ON seats (schedule_id, status);".to_owned() }),
        ],
        got_worse: GotWorse::unknown("inserts were measured on one launch only"),
        raw: raw(),
        notes: vec![],
    }
}
