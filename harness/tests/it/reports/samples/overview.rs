//! An overview: small figures side by side.

use soundcheck::chart::{Figure, Multiple, Multiples, ShareAxis};
use soundcheck::report::{Badge, Badges, Column, Document, GotWorse, RawLink, Section, Table, Text, Verdict};

use super::cache::{cache_effects, reads_per_request, response_cdf};
use super::incident::incident_timeline;
use super::index::scaling;

use super::chart;

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
