//! An incident report: a timeline with a fault, saturation, and a broken invariant.

use soundcheck::chart::{
    Axis, Band, BandKind, Curve, CurveStyle, Figure, HeatMap, HeatRow, Key, Limit, Mark, Panel, Timeline,
};
use soundcheck::format::Unit;
use soundcheck::report::{
    Badge, BadgeState, Badges, Block, Callout, Cell, Column, Document, GotWorse, Section, Table, Text, Tone, Verdict,
};

use super::{chart, raw, wave};

pub(crate) fn incident_timeline() -> Figure {
    let series = |points: Vec<(f64, Option<f64>)>, name: &str, slot, style| Curve {
        key: Key::new(name, slot),
        style,
        points,
    };
    let second = |i: u32| f64::from(i);
    let paused = |i: u32| (40..50).contains(&i);
    Figure::Timeline(Timeline {
        x_title: "time since the start".to_owned(),
        range: Some((0.0, 120.0)),
        panels: vec![
            Panel {
                title: "requests".to_owned(),
                unit: Unit::PerSecond,
                log: false,
                top: None,
                curves: vec![
                    series(
                        (0..120).map(|i| (second(i), Some(120.0))).collect(),
                        "offered",
                        6,
                        CurveStyle::Step,
                    ),
                    series(
                        (0..120)
                            .map(|i| {
                                (
                                    second(i),
                                    Some(if paused(i) {
                                        wave(i, 9.0, 4.0)
                                    } else {
                                        wave(i, 119.0, 2.0)
                                    }),
                                )
                            })
                            .collect(),
                        "answered in time",
                        0,
                        CurveStyle::Area,
                    ),
                ],
                limits: vec![],
            },
            Panel {
                title: "p95 response time".to_owned(),
                unit: Unit::Seconds,
                log: true,
                top: None,
                curves: vec![series(
                    (0..120)
                        .map(|i| {
                            let value = if (40..56).contains(&i) {
                                5.0 - f64::from(i % 5) * 0.2
                            } else {
                                wave(i, 0.019, 0.006)
                            };
                            (second(i), (i != 47 && i != 48).then_some(value))
                        })
                        .collect(),
                    "p95",
                    0,
                    CurveStyle::Line,
                )],
                limits: vec![Limit {
                    value: 0.25,
                    label: "objective 250 ms".to_owned(),
                }],
            },
            Panel {
                title: "error ratio".to_owned(),
                unit: Unit::Percent,
                log: false,
                top: None,
                curves: vec![series(
                    (0..120)
                        .map(|i| {
                            (
                                second(i),
                                Some(if (41..52).contains(&i) { wave(i, 71.0, 9.0) } else { 0.0 }),
                            )
                        })
                        .collect(),
                    "errors",
                    1,
                    CurveStyle::Area,
                )],
                limits: vec![Limit {
                    value: 0.1,
                    label: "budget 0.1 %".to_owned(),
                }],
            },
            Panel {
                title: "database connections in use".to_owned(),
                unit: Unit::Count,
                log: false,
                top: None,
                curves: vec![series(
                    (0..120)
                        .map(|i| {
                            (
                                second(i),
                                Some(if (40..53).contains(&i) {
                                    16.0
                                } else {
                                    wave(i, 5.0, 2.0).round()
                                }),
                            )
                        })
                        .collect(),
                    "in use",
                    2,
                    CurveStyle::Step,
                )],
                limits: vec![Limit {
                    value: 16.0,
                    label: "pool size".to_owned(),
                }],
            },
        ],
        bands: vec![
            Band {
                from: 0.0,
                to: 20.0,
                label: "warm-up".to_owned(),
                kind: BandKind::Excluded,
            },
            Band {
                from: 40.0,
                to: 50.0,
                label: "MySQL paused".to_owned(),
                kind: BandKind::Fault,
            },
        ],
        marks: vec![
            Mark {
                at: 40.4,
                label: "first bad sample".to_owned(),
            },
            Mark {
                at: 41.2,
                label: "first client error".to_owned(),
            },
            Mark {
                at: 45.0,
                label: "alert firing".to_owned(),
            },
            Mark {
                at: 50.0,
                label: "heal".to_owned(),
            },
            Mark {
                at: 56.0,
                label: "objective good".to_owned(),
            },
            Mark {
                at: 71.0,
                label: "backlog drained".to_owned(),
            },
        ],
    })
}

pub(crate) fn saturation() -> Figure {
    let strip = |name: &str, base: f64, during: f64, gap: bool| HeatRow {
        name: name.to_owned(),
        cells: (0..120)
            .map(|i| {
                let value = if (40..52).contains(&i) {
                    during
                } else {
                    wave(i, base, base * 0.25)
                };
                (!(gap && (40..50).contains(&i))).then_some(value.clamp(0.0, 100.0))
            })
            .collect(),
    };
    Figure::HeatMap(HeatMap {
        x: Axis::new("time since the start", Unit::Seconds),
        x_start: 0.0,
        x_step: 1.0,
        value: Axis::new("in use", Unit::Percent),
        top: Some(100.0),
        rows: vec![
            strip("service CPU", 38.0, 6.0, false),
            strip("connection pool", 30.0, 100.0, false),
            strip("MySQL threads", 22.0, 0.0, true),
            strip("Redis CPU", 8.0, 2.0, false),
            strip("generator CPU", 17.0, 15.0, false),
        ],
    })
}

pub(crate) fn incident() -> Document {
    let mut times = Table::new(
        "How long it took",
        [
            Column::text("to"),
            Column::number("time", Unit::Seconds),
            Column::text("from"),
            Column::text("until"),
        ],
    );
    times
        .row(["detect".into(), 4.6.into(), "injection".into(), "alert firing".into()])
        .row([
            "recover".into(),
            6.0.into(),
            "heal".into(),
            "objective good for 15 s".into(),
        ])
        .row([
            "consistency".into(),
            21.0.into(),
            "heal".into(),
            "every event applied".into(),
        ])
        .row([
            "mitigate".into(),
            None.into(),
            "alert firing".into(),
            "nobody acted in this drill".into(),
        ]);
    let mut blast = Table::new(
        "Share of requests served, by endpoint",
        [
            Column::text("endpoint"),
            Column::number("before", Unit::Percent),
            Column::number("during", Unit::Percent),
            Column::number("after", Unit::Percent),
        ],
    );
    blast
        .row([
            Text::code("POST /v1/reservations").into(),
            100.0.into(),
            3.1.into(),
            99.98.into(),
        ])
        .row([
            Text::code("POST /v1/payments").into(),
            100.0.into(),
            0.0.into(),
            100.0.into(),
        ])
        .row([
            Text::code("GET /v1/queue/token").into(),
            100.0.into(),
            100.0.into(),
            100.0.into(),
        ]);
    let mut invariants = Table::new(
        "What must hold, whatever fails",
        [
            Column::text("invariant"),
            Column::text("verdict"),
            Column::text("witness"),
        ],
    );
    invariants
        .row([
            "I1 a seat is sold once".into(),
            Cell::Badge(BadgeState::Broken),
            "seat 4711: holds 8812 and 8817 overlap by 1.3 s".into(),
        ])
        .row(["I2 the money adds up".into(), Cell::Badge(BadgeState::Pass), "—".into()])
        .row([
            "I5 first come, first served".into(),
            Cell::Badge(BadgeState::Unknown),
            "12 of 400 entries stayed unsettled".into(),
        ]);
    Document {
        title: "Incident: MySQL paused for ten seconds".to_owned(),
        kind: "incident".to_owned(),
        verdict: Verdict::Broken,
        sentence: Text::marked("**One seat was sold twice** while MySQL was paused; the alert fired after 4.6 s and service was back 6.0 s after the heal."),
        mark: None,
        badges: Badges {
            invariants: Badge::broken("I1: seat 4711 was held by two users at once; see the witness"),
            generator: Badge::pass("offered 120/s = achieved 120/s; lag p99 0.8 ms"),
        },
        effects: vec![],
        environment: Some("2 cores, 23 GiB, Linux 6.1 · MySQL 9.7.0, Redis 8.0.2, Kafka 4.1.0 in containers · soundcheck 0.1.0".to_owned()),
        recorded: Some("2026-11-23 10:02:55 UTC".to_owned()),
        command: "soundcheck drill mysql-pause --seed 42".to_owned(),
        sections: vec![
            Section::new("What happened")
                .with(chart(
                    "timeline",
                    "The incident, second by second",
                    "120 requests/s offered throughout",
                    incident_timeline(),
                    "The band is the fault; dashed lines are what was noticed and when.",
                    "Four panels over 120 seconds: requests answered fall to 9 per second from second 40 to 50 and recover by 56.",
                ))
                .with(times),
            Section::new("Who was hit").with(blast).with(chart(
                "saturation",
                "How busy each resource was",
                "one cell a second",
                saturation(),
                "The pool is full while the database's own threads could not be read.",
                "Heat map of five resources; the connection pool is at 100 % during the fault.",
            )),
            Section::new("Invariants").with(invariants).with(Callout {
                tone: Tone::Broken,
                text: Text::marked("An invariant is broken: **no speed claim of this run counts**."),
            }),
            Section::new("Actions").with(Block::List {
                ordered: true,
                items: vec![
                    Text::marked("**Prevent**: re-check the hold's expiry inside the transaction."),
                    Text::marked("**Detect**: page on `oversold > 0` at once."),
                    Text::marked("**Mitigate**: shed holds while the pool is full."),
                ],
            }),
        ],
        got_worse: GotWorse::of("Requests took up to 5 s for 16 s, and 847 of 14,400 were not served.", []),
        raw: raw(),
        notes: vec![Text::plain("Alert windows were scaled by 60; the factor is stated in plan.yaml.")],
    }
}
