//! One panel: which series are drawn, under which names, and what is said of the others.

use std::collections::BTreeMap;

use super::bounds::Bounds;
use super::measure::Measure;
use super::slots::Slots;
use crate::chart::{Curve, CurveStyle, Key, MOST_SERIES, Pane, Panel as Strip};
use crate::format::quantity;
use crate::monitoring::answers::Series;
use crate::monitoring::panels::{COLUMNS, Kind, Panel, Query};

pub(super) const SECONDS_A_MINUTE: f64 = 60.0;

/// A series under the name that its query gives it.
pub(super) struct Named<'a> {
    name: String,
    pub(super) series: &'a Series,
}

pub(super) fn pane(panel: &Panel, answers: &[Vec<Series>], slots: &mut Slots) -> Pane {
    let measure = Measure::of(&panel.unit);
    let bounds = Bounds::of(panel);
    let mut notes = Vec::new();
    let mut reasons = Vec::new();
    let mut named = Vec::new();
    let mut n_blank = 0;
    for (query, answer) in panel.queries.iter().zip(answers) {
        if answer.is_empty() {
            let reason = query.empty.as_deref().unwrap_or("Prometheus returned nothing");
            notes.push(without_data(query, reason));
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        for series in answer {
            if series.numbers().next().is_some() {
                let name = name(&query.legend, &series.labels);
                named.push(Named { name, series });
            } else {
                n_blank += 1;
            }
        }
    }
    if named.is_empty() {
        // The box in the place of the plane says it all.
        notes.clear();
    }
    if n_blank > 0 && named.is_empty() {
        reasons.push("no series had a number, as when none of what is measured happened");
    } else if n_blank > 0 {
        notes.push(format!("not shown: {n_blank} series without a number in this time"));
    }
    let is_of_states = panel.kind == Kind::StateTimeline;
    let n_series = named.len();
    // Rows are told apart by where they stand.
    if n_series > MOST_SERIES && !is_of_states {
        bounds.keep_most_telling(&mut named);
        let end = if bounds.is_low_bad { "lowest" } else { "highest" };
        notes.push(format!("the {MOST_SERIES} {end} of {n_series} series are shown"));
    }
    let slots = if is_of_states {
        vec![0; n_series]
    } else {
        let names: Vec<&str> = named.iter().map(|one| one.name.as_str()).collect();
        slots.of(&names)
    };
    Pane {
        says: panel.says.clone(),
        reason: reasons.join("; "),
        notes,
        is_wide: panel.width == COLUMNS,
        states: is_of_states.then(|| bounds.states(panel, &measure)),
        panel: Strip {
            title: measure.title(&panel.title),
            unit: measure.unit,
            log: false,
            top: None,
            limits: if is_of_states {
                Vec::new()
            } else {
                bounds.limits(&measure)
            },
            curves: named
                .iter()
                .zip(slots)
                .map(|(one, slot)| one.curve(slot, panel.kind, &measure))
                .collect(),
        },
    }
}

/// What a query's curves are called, as far as it is known without any, and why there are none.
fn without_data(query: &Query, reason: &str) -> String {
    let name = legend(&query.legend, &BTreeMap::new());
    let name = name.trim_matches(|c: char| !c.is_alphanumeric());
    if name.is_empty() {
        format!("no data: {reason}")
    } else {
        format!("{name}: no data: {reason}")
    }
}

/// What a series is called: by its labels where the template has nothing to say of it.
fn name(template: &str, labels: &BTreeMap<String, String>) -> String {
    let name = legend(template, labels);
    if name.contains(char::is_alphanumeric) {
        return name;
    }
    let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
    if labels.is_empty() {
        "without labels".to_owned()
    } else {
        labels.join(", ")
    }
}

/// `template` with each `{{label}}` replaced by the label's value, and by nothing where the series has none.
pub(super) fn legend(template: &str, labels: &BTreeMap<String, String>) -> String {
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((label, behind)) = after.split_once("}}") else {
            break;
        };
        name.push_str(before);
        name.push_str(labels.get(label.trim()).map_or("", String::as_str));
        rest = behind;
    }
    name.push_str(rest);
    name
}

impl Named<'_> {
    fn curve(&self, slot: usize, kind: Kind, measure: &Measure<'_>) -> Curve {
        let last = self.series.numbers().next_back().map(|value| value * measure.factor);
        let name = match kind {
            Kind::Timeseries | Kind::StateTimeline => self.name.clone(),
            // Grafana shows the last value in large figures.
            Kind::Stat => format!("{}: {}", self.name, quantity(measure.unit, last)),
        };
        let point = |(at, value): &(f64, Option<f64>)| {
            let value = value.map(|value| value * measure.factor);
            // A product may be beyond what a number can hold.
            (at / SECONDS_A_MINUTE, value.filter(|value| value.is_finite()))
        };
        Curve {
            key: Key::new(name, slot),
            style: CurveStyle::Line,
            points: self.series.points.iter().map(point).collect(),
        }
    }
}
