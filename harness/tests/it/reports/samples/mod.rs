//! One realistic document of each kind, with every block and figure, for the renderers and for looking at.
//!
//! The numbers are made up by formulas with fixed constants; nothing here is a measurement.

pub(crate) mod cache;
pub(crate) mod incident;
pub(crate) mod index;
pub(crate) mod overview;

use std::f64::consts::PI;

use soundcheck::chart::{Chart, Figure};
use soundcheck::report::{ChartBlock, Document, RawLink, Text};

/// Every sample with the name of its folder.
pub(crate) fn all() -> Vec<(&'static str, Document)> {
    vec![
        ("cache", cache::cache()),
        ("index", index::index()),
        ("incident", incident::incident()),
        ("overview", overview::overview()),
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

/// A wave with a ripple; the same on every machine and at every call.
fn wave(i: u32, base: f64, swing: f64) -> f64 {
    let at = f64::from(i);
    base + swing * ((at / 7.0 * PI).sin() * 0.6 + (at / 2.3).sin() * 0.4)
}
