//! Where a panel turns bad.

use super::measure::Measure;
use super::pane::Named;
use crate::chart::{Key, Limit, MOST_SERIES, State};
use crate::format::quantity;
use crate::monitoring::panels::{COLOURS, Panel};

/// Where a panel's colours change, and which end of it is bad.
pub(super) struct Bounds {
    /// Each with the colour from there on, ascending.
    steps: Vec<(String, f64)>,
    /// The colour below all of them.
    base: String,
    pub(super) is_low_bad: bool,
}

fn is_worse(colour: &str, than: &str) -> bool {
    let badness = |colour: &str| COLOURS.iter().position(|known| *known == colour);
    badness(colour) > badness(than)
}

impl Bounds {
    pub(super) fn of(panel: &Panel) -> Self {
        let mut steps: Vec<(String, f64)> = panel
            .thresholds
            .iter()
            .map(|(colour, from)| (colour.clone(), *from))
            .collect();
        steps.sort_by(|a, b| a.1.total_cmp(&b.1));
        // What begins at 0 is what all begins with.
        let base = match steps.first() {
            Some((_, from)) if *from <= 0.0 => steps.remove(0).0,
            _ => "green".to_owned(),
        };
        let last = steps.last().map_or(&base, |(colour, _)| colour);
        let is_low_bad = is_worse(&base, last);
        Self {
            steps,
            base,
            is_low_bad,
        }
    }

    /// Each named by its bad side.
    pub(super) fn limits(&self, measure: &Measure<'_>) -> Vec<Limit> {
        let mut below = &self.base;
        let mut limits = Vec::with_capacity(self.steps.len());
        for (colour, from) in &self.steps {
            let value = from * measure.factor;
            let shown = quantity(measure.unit, Some(value));
            let label = if is_worse(below, colour) {
                format!("{below} below {shown}")
            } else {
                format!("{colour} from {shown}")
            };
            limits.push(Limit { value, label });
            below = colour;
        }
        limits
    }

    /// Each in the slot of the colour that stands at its value, in the order of their values.
    pub(super) fn states(&self, panel: &Panel, measure: &Measure<'_>) -> Vec<State> {
        let mut states: Vec<State> = panel
            .states
            .iter()
            .map(|(name, value)| {
                let reached = self.steps.iter().rev().find(|(_, from)| from <= value);
                let slot = match reached.map_or(self.base.as_str(), |(colour, _)| colour) {
                    "red" => 1,
                    "orange" => 4,
                    "yellow" => 7,
                    _ => 2,
                };
                State {
                    value: value * measure.factor,
                    key: Key::new(name, slot),
                }
            })
            .collect();
        states.sort_by(|a, b| a.value.total_cmp(&b.value));
        states
    }

    /// Leaves as many as can be told apart, in their order: those that come furthest to the bad end.
    pub(super) fn keep_most_telling(&self, named: &mut Vec<Named<'_>>) {
        let reach = |one: &Named<'_>| {
            let numbers = one.series.numbers();
            if self.is_low_bad {
                -numbers.fold(f64::INFINITY, f64::min)
            } else {
                numbers.fold(f64::NEG_INFINITY, f64::max)
            }
        };
        let mut reaches: Vec<(f64, usize)> = named.iter().enumerate().map(|(at, one)| (reach(one), at)).collect();
        reaches.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let kept: Vec<usize> = reaches.into_iter().take(MOST_SERIES).map(|(_, at)| at).collect();
        let mut at = 0;
        named.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
    }
}
