//! A cache report: figures of response times, hits, reads and outcomes.

use soundcheck::chart::{
    Axis, Band, BandKind, Bar, BarGroup, Bars, Cdf, CdfCurve, Curve, CurveStyle, EffectRow, Effects, Figure, Key,
    Limit, Mark, Panel, ShareAxis, Stacked, StackedRow, Timeline,
};
use soundcheck::format::Unit;
use soundcheck::report::{
    Badge, Badges, Callout, Cell, Column, Decision, Document, EffectLine, Estimate, GotWorse, Section, Table, Text,
    Tone, Verdict,
};

use super::{chart, raw, wave};

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
