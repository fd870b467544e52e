//! One realistic document of each kind, with every block and figure, for the renderers and for looking at.
//!
//! The numbers are made up by formulas with fixed constants; nothing here is a measurement.

use std::f64::consts::PI;

use soundcheck::chart::{
    Axis, Band, BandKind, Bar, BarGroup, Bars, Cdf, CdfCurve, Chart, Curve, CurveStyle, EffectRow, Effects, Figure,
    HeatMap, HeatRow, Key, Limit, Mark, Multiple, Multiples, Panel, Scaling, ScalingCurve, ScalingPoint, ShareAxis,
    Stacked, StackedRow, Timeline,
};
use soundcheck::format::Unit;
use soundcheck::report::{
    Badge, BadgeState, Badges, Block, Callout, Cell, ChartBlock, Column, Decision, Document, EffectLine, Estimate,
    GotWorse, PlanDiff, PlanLine, RawLink, Section, Table, Text, Tone, Verdict,
};

/// Every sample with the name of its folder.
pub(crate) fn all() -> Vec<(&'static str, Document)> {
    vec![
        ("cache", cache()),
        ("index", index()),
        ("incident", incident()),
        ("overview", overview()),
    ]
}

fn chart(id: &str, title: &str, subtitle: &str, figure: Figure, caption: &str, alt: &str) -> ChartBlock {
    ChartBlock {
        id: id.to_owned(),
        chart: Chart {
            title: title.to_owned(),
            subtitle: Some(subtitle.to_owned()),
            figure,
        },
        caption: Text::marked(caption),
        alt: alt.to_owned(),
    }
}

fn raw() -> Vec<RawLink> {
    vec![
        RawLink::new(
            "manifest.json",
            "command line, machine, engine versions, seed, clock offsets",
        ),
        RawLink::new("plan.yaml", "the plan as resolved"),
        RawLink::new("latency.hlog", "every histogram, one interval a slice"),
        RawLink::new("series.ndjson", "scraped samples"),
        RawLink::new("events.jsonl", "phases, faults, alerts, notes"),
        RawLink::new("verdict.json", "this verdict for machines"),
    ]
}

/// Quantiles of a log-normal with a heavy tail: `(value, share)`.
fn response_times(median: f64, sigma: f64, tail: f64) -> Vec<(f64, f64)> {
    let shares = (1..200)
        .map(|i| f64::from(i) / 200.0)
        .chain([0.996, 0.998, 0.999, 0.9995, 0.9999, 1.0]);
    let quantile = |share: f64| {
        let inside = share.min(0.99995);
        let body = median * (sigma * (inside / (1.0 - inside)).ln() / 1.702).exp();
        body + tail * (share - 0.97).max(0.0) / 0.03 * median
    };
    shares.map(|share| (quantile(share), share)).collect()
}

/// A wave with a ripple; the same on every machine and at every call.
fn wave(i: u32, base: f64, swing: f64) -> f64 {
    let at = f64::from(i);
    base + swing * ((at / 7.0 * PI).sin() * 0.6 + (at / 2.3).sin() * 0.4)
}

pub(crate) fn response_cdf(share: ShareAxis) -> Figure {
    let curve = |name: &str, slot, median, sigma, tail| CdfCurve {
        key: Key::new(name, slot),
        points: response_times(median, sigma, tail),
    };
    Figure::Cdf(Cdf {
        x: Axis::new("response time", Unit::Seconds),
        share,
        curves: vec![
            curve("off", 0, 0.0121, 0.55, 4.0),
            curve("redis", 1, 0.0026, 0.42, 9.0),
            curve("tiered", 2, 0.0009, 0.60, 30.0),
        ],
    })
}

pub(crate) fn hit_ratio() -> Figure {
    let curve = |name: &str, slot: usize, base: f64| Curve {
        key: Key::new(name, slot),
        style: CurveStyle::Line,
        points: (0..90)
            .map(|i| {
                let since_expiry = f64::from(i % 30);
                let value =
                    base - 55.0 * (-since_expiry / 2.0).exp() * if i < 30 { 1.6 } else { 1.0 } + wave(i, 0.0, 1.0);
                let scraped = !(62..=65).contains(&i) || slot != 1;
                (f64::from(i), scraped.then(|| value.clamp(0.0, 100.0)))
            })
            .collect(),
    };
    Figure::Timeline(Timeline {
        x_title: "time since the start".to_owned(),
        range: Some((0.0, 90.0)),
        panels: vec![
            Panel {
                title: "hit ratio".to_owned(),
                unit: Unit::Percent,
                log: false,
                top: Some(100.0),
                curves: vec![curve("redis", 1, 96.0), curve("tiered", 2, 98.5)],
                limits: vec![],
            },
            Panel {
                title: "loaders at once, per miss".to_owned(),
                unit: Unit::Count,
                log: false,
                top: None,
                curves: vec![Curve {
                    key: Key::new("redis", 1),
                    style: CurveStyle::Step,
                    points: (0..90)
                        .map(|i| (f64::from(i), Some(if i % 30 < 2 { 17.0 } else { 1.0 })))
                        .collect(),
                }],
                limits: vec![Limit {
                    value: 1.0,
                    label: "single-flight".to_owned(),
                }],
            },
        ],
        bands: vec![Band {
            from: 0.0,
            to: 8.0,
            label: "warm-up, not counted".to_owned(),
            kind: BandKind::Excluded,
        }],
        marks: vec![
            Mark {
                at: 30.0,
                label: "expiry".to_owned(),
            },
            Mark {
                at: 60.0,
                label: "expiry".to_owned(),
            },
        ],
    })
}

pub(crate) fn reads_per_request() -> Figure {
    let bar = |value: f64, low: f64, high: f64| {
        Some(Bar {
            value,
            interval: Some((low, high)),
        })
    };
    Figure::Bars(Bars {
        value: Axis::new("database reads per request", Unit::Count),
        log: false,
        series: vec![Key::new("off", 0), Key::new("redis", 1), Key::new("tiered", 2)],
        groups: vec![
            BarGroup {
                name: "seat map".to_owned(),
                bars: vec![bar(1.0, 1.0, 1.0), bar(0.041, 0.038, 0.045), bar(0.012, 0.010, 0.015)],
            },
            BarGroup {
                name: "schedules".to_owned(),
                bars: vec![bar(1.98, 1.95, 2.01), bar(0.30, 0.28, 0.33), None],
            },
        ],
    })
}

pub(crate) fn outcomes() -> Figure {
    let row = |name: &str, values: [Option<f64>; 5]| StackedRow {
        name: name.to_owned(),
        values: values.to_vec(),
    };
    Figure::Stacked(Stacked {
        value: Axis::new("holds by outcome", Unit::Count),
        as_shares: true,
        parts: ["won", "sold out", "conflict", "time-out", "error"]
            .iter()
            .enumerate()
            .map(|(slot, name)| Key::new(*name, slot))
            .collect(),
        rows: vec![
            row(
                "conditional-update",
                [Some(5_200.0), Some(3_100.0), Some(1_830.0), Some(4.0), Some(0.0)],
            ),
            row(
                "optimistic",
                [Some(5_190.0), Some(2_900.0), Some(2_410.0), Some(12.0), Some(0.0)],
            ),
            row(
                "pessimistic",
                [Some(5_203.0), Some(3_050.0), Some(990.0), Some(410.0), None],
            ),
            row("none (unsafe)", [None, None, None, None, None]),
        ],
    })
}

pub(crate) fn cache_effects() -> Figure {
    let row = |name: &str, ratio, decision| EffectRow {
        name: name.to_owned(),
        ratio,
        decision,
    };
    Figure::Effects(Effects {
        axis: "ratio to `off`, logarithmic".replace('`', ""),
        ends: Some(("lower than off".to_owned(), "higher than off".to_owned())),
        margins: Some((0.91, 1.1)),
        rows: vec![
            row("seat map p95, redis", Some((0.235, 0.221, 0.249)), Decision::Better),
            row("seat map p95, tiered", Some((0.088, 0.081, 0.097)), Decision::Better),
            row("hold p95, redis", Some((1.04, 0.99, 1.09)), Decision::Same),
            row(
                "hold p95, tiered: a longer name that needs a second line",
                Some((1.21, 1.14, 1.28)),
                Decision::Worse,
            ),
            row("pay p95, redis", Some((1.02, 0.84, 1.24)), Decision::Unknown),
            row("pay p95, tiered", None, Decision::Unknown),
        ],
    })
}

pub(crate) fn cache() -> Document {
    let effect = |claim: &str, estimate, decision| EffectLine {
        claim: claim.to_owned(),
        estimate: Some(estimate),
        rounds: Some(36),
        launches: Some(3),
        decision,
        withheld: None,
    };
    let mut latency = Table::new(
        "Response time from the intended start, by variant",
        [
            Column::text("variant"),
            Column::number("requests", Unit::Count),
            Column::number("p50", Unit::Seconds),
            Column::number("p95", Unit::Seconds),
            Column::number("p99", Unit::Seconds),
            Column::number("hits", Unit::Percent),
            Column::number("memory", Unit::Bytes),
            Column::text("decision"),
        ],
    );
    latency
        .row([
            "off".into(),
            Cell::count(Some(43_210)),
            0.0121.into(),
            0.0344.into(),
            0.0712.into(),
            None.into(),
            62_914_560.0.into(),
            "baseline".into(),
        ])
        .row([
            "redis".into(),
            Cell::count(Some(43_198)),
            0.0026.into(),
            0.0081.into(),
            0.0244.into(),
            95.98.into(),
            66_060_288.0.into(),
            Cell::Decision(Decision::Better),
        ])
        .row([
            "tiered".into(),
            Cell::count(Some(43_205)),
            0.0009.into(),
            0.0030.into(),
            0.0190.into(),
            98.81.into(),
            88_080_384.0.into(),
            Cell::Decision(Decision::Better),
        ]);
    let mut worse = Table::new(
        "Everything else that was compared, against off",
        [
            Column::text("what"),
            Column::number("redis", Unit::Ratio),
            Column::number("tiered", Unit::Ratio),
            Column::text("decision"),
        ],
    );
    worse
        .row([
            "hold p95".into(),
            Cell::Interval {
                point: 1.04,
                low: 0.99,
                high: 1.09,
            },
            Cell::Interval {
                point: 1.21,
                low: 1.14,
                high: 1.28,
            },
            Cell::Decision(Decision::Worse),
        ])
        .row([
            "resident memory".into(),
            Cell::Interval {
                point: 1.05,
                low: 1.04,
                high: 1.06,
            },
            Cell::Interval {
                point: 1.40,
                low: 1.38,
                high: 1.42,
            },
            Cell::Decision(Decision::Worse),
        ])
        .row([
            "pay p95".into(),
            Cell::Number(None),
            Cell::Number(None),
            Cell::Decision(Decision::Unknown),
        ]);
    Document {
        title: "Cache: the seat map with and without Redis".to_owned(),
        kind: "cache".to_owned(),
        verdict: Verdict::Pass,
        sentence: Text::marked(
            "A Redis cache makes the seat map's p95 **4.26 times faster** (8.1 ms instead of 34.4 ms) and takes 96 % of its reads off the database; \
             holds are unaffected.",
        ),
        mark: None,
        badges: Badges {
            invariants: Badge::pass("9 invariants hold over 129,613 operations"),
            generator: Badge::pass("offered 480/s = achieved 480/s; lag p99 1.2 ms"),
        },
        effects: vec![
            effect("seat map p95, redis ÷ off", Estimate::ratio(0.235, 0.221, 0.249), Decision::Better),
            effect("seat map p95, tiered ÷ off", Estimate::ratio(0.088, 0.081, 0.097), Decision::Better),
            effect("hit ratio, tiered − redis", Estimate::difference(Unit::Points, 2.83, 2.61, 3.05), Decision::Better),
            effect("hold p95, redis ÷ off", Estimate::ratio(1.04, 0.99, 1.09), Decision::Same),
            EffectLine {
                claim: "seat map p99, tiered ÷ redis".to_owned(),
                estimate: None,
                rounds: Some(8),
                launches: Some(2),
                decision: Decision::Unknown,
                withheld: Some("8 blocks over 2 launches were measured; 12 over 3 are needed".to_owned()),
            },
        ],
        environment: Some(
            "2 × AMD EPYC 7B13, 23 GiB, Linux 6.1 · MySQL 9.7.0, Redis 8.0.2, Kafka 4.1.0 in containers · soundcheck 0.1.0 (415a28e)"
                .to_owned(),
        ),
        recorded: Some("2026-11-23 09:41:07 UTC".to_owned()),
        command: "soundcheck report cache --stack containers --profile quick --seed 42".to_owned(),
        sections: vec![
            Section::new("Effect")
                .with(chart(
                    "effects",
                    "Seat map and holds, against no cache",
                    "95 % intervals over 36 blocks and 3 launches; grey: differences that do not matter",
                    cache_effects(),
                    "Left of the dashed line is faster. Only a **filled** mark is decided by the exact test.",
                    "Forest plot: the seat map is 4 to 11 times faster with a cache, holds are unchanged with redis and a fifth slower with tiered.",
                ))
                .with(latency),
            Section::new("Response time")
                .with(chart(
                    "response-time",
                    "Seat map: share of requests at most this slow",
                    "480 requests/s offered to every variant; from the intended start",
                    response_cdf(ShareAxis::Even),
                    "Further left is faster.",
                    "Three cumulative curves: tiered left of redis left of off.",
                ))
                .with(chart(
                    "response-time-tail",
                    "Seat map: the slowest requests",
                    "The same data; every step up the axis is ten times fewer requests",
                    response_cdf(ShareAxis::Tail),
                    "Above 99.9 % the tiered cache loses its lead: **misses** pay for both tiers.",
                    "The three curves again with the tail stretched.",
                )),
            Section::new("Hits, misses and expiry")
                .with("Hits and misses come from the service's own counters, never from latencies.")
                .with(chart(
                    "hit-ratio",
                    "Hit ratio over time",
                    "one launch; ttl 30 s; a gap is a failed scrape",
                    hit_ratio(),
                    "After each expiry the ratio falls for about two seconds.",
                    "Hit ratio of both caches near 97 % with dips at each expiry.",
                ))
                .with(chart(
                    "reads",
                    "Database reads per request",
                    "from statement digests; 95 % intervals",
                    reads_per_request(),
                    "",
                    "Bars: one read per request without a cache, 0.04 with redis, 0.01 with tiered.",
                ))
                .with(chart(
                    "outcomes",
                    "Holds by outcome",
                    "every arrival is counted",
                    outcomes(),
                    "",
                    "Stacked bars of outcomes per locking variant.",
                )),
            Section::new("When Redis is lost").with(Callout {
                tone: Tone::Caution,
                text: Text::marked("This profile does not stop Redis. `soundcheck report cache --profile full` does."),
            }),
        ],
        got_worse: GotWorse::of(worse, ["With `tiered` holds are slower, since each one must tell the other instances to forget the map.".replace('`', "").as_str().into()]),
        raw: raw(),
        notes: vec![
            Text::marked("Effects are decided by the exact one-sided signed-rank test at 1 % over all looks; intervals are bootstrap-t over blocks."),
            Text::marked("The order of the variants within a block is random, from seed `42`."),
        ],
    }
}

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

pub(crate) fn multiples() -> Figure {
    let item = |title: &str, subtitle: &str, figure| Multiple {
        title: title.to_owned(),
        subtitle: Some(subtitle.to_owned()),
        figure,
    };
    Figure::Multiples(Multiples {
        items: vec![
            item(
                "Cache: 4.3 times faster",
                "seat map, response time",
                response_cdf(ShareAxis::Even),
            ),
            item(
                "Index: flat in the number of seats",
                "seat map p95 against seats",
                scaling(),
            ),
            item(
                "Incident: detected after 4.6 s",
                "requests answered in time",
                single_panel(),
            ),
            item("Reads", "per request, by variant", reads_per_request()),
            item("Effects", "against no cache", cache_effects()),
            item("Messaging", "", Figure::NoData("not part of this profile".to_owned())),
        ],
    })
}

fn single_panel() -> Figure {
    let Figure::Timeline(mut timeline) = incident_timeline() else {
        unreachable!("the incident is a timeline")
    };
    timeline.panels.truncate(1);
    Figure::Timeline(timeline)
}

pub(crate) fn overview() -> Document {
    let mut reports = Table::new(
        "The reports of this run",
        [
            Column::text("report"),
            Column::text("verdict"),
            Column::text("in one sentence"),
        ],
    );
    reports
        .row([
            Text::link("Cache", "cache/report.html").into(),
            "pass".into(),
            "4.3 times faster, 96 % fewer reads".into(),
        ])
        .row([
            Text::link("Index", "index/report.html").into(),
            "unknown".into(),
            "42 times faster at 100,000 seats; inserts unknown".into(),
        ])
        .row([
            Text::link("Incident", "incident/report.html").into(),
            "broken".into(),
            "one seat was sold twice".into(),
        ]);
    Document {
        title: "Overview".to_owned(),
        kind: "overview".to_owned(),
        verdict: Verdict::Broken,
        sentence: Text::marked("Three reports: one passes, one is unknown, and **one invariant is broken**."),
        mark: None,
        badges: Badges {
            invariants: Badge::broken("1 of 3 recordings breaks an invariant"),
            generator: Badge::pass("offered = achieved in every recording"),
        },
        effects: vec![],
        environment: Some("2 cores, 23 GiB, Linux 6.1 · containers".to_owned()),
        recorded: Some("2026-11-23 10:05:00 UTC".to_owned()),
        command: "soundcheck report".to_owned(),
        sections: vec![Section::new("At a glance").with(reports).with(chart(
            "overview",
            "All reports at a glance",
            "each figure stands larger in its own report",
            multiples(),
            "",
            "Six small figures, one for each report.",
        ))],
        got_worse: GotWorse::of(
            "Holds are a fifth slower with the tiered cache; see the cache report.",
            [],
        ),
        raw: vec![
            RawLink::new("cache/", "the cache report"),
            RawLink::new("index/", "the index report"),
        ],
        notes: vec![],
    }
}
