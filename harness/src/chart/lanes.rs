//! Names of moments above a time axis, in lanes where none touches another or hides behind another's line.

use super::canvas::{Align, Label};
use super::measure;
use super::theme::size;

const GAP: f64 = 8.0;

/// A placed name.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Flag {
    pub(super) text: String,
    /// 0 is the uppermost.
    pub(super) lane: usize,
    x: f64,
    align: Align,
}

impl Flag {
    /// The name at height `y`.
    pub(super) fn label(&self, y: f64) -> Label {
        Label::new((self.x, y), self.text.clone(), size::SMALL).align(self.align)
    }

    fn reach(&self) -> (f64, f64) {
        let width = measure::width(&self.text, size::SMALL);
        if self.align == Align::End {
            (self.x - width, self.x)
        } else {
            (self.x, self.x + width)
        }
    }
}

/// Places names to the right of their moments, or to the left where the edge is near. Returns them in the order given,
/// and the number of lanes.
///
/// From the right to the left, each goes to the lowest lane that is free over its whole reach; so the line of a moment,
/// which runs down from its lane, crosses no name to its right.
pub(super) fn place(moments: impl Iterator<Item = (f64, String)>, left: f64, right: f64) -> (Vec<Flag>, usize) {
    let mut flags: Vec<Flag> = moments.map(|(x, text)| flag(x, &text, left, right)).collect();
    let mut order: Vec<usize> = (0..flags.len()).collect();
    order.sort_by(|a, b| flags[*b].x.total_cmp(&flags[*a].x));
    let mut placed: Vec<(usize, f64, f64)> = Vec::new();
    for index in order {
        let (from, to) = flags[index].reach();
        if flags[index].text.is_empty() {
            continue;
        }
        let lane = placed
            .iter()
            .filter(|(_, start, end)| *start < to + GAP && from < *end + GAP)
            .map(|(lane, ..)| lane + 1)
            .max()
            .unwrap_or_default();
        flags[index].lane = lane;
        placed.push((lane, from, to));
    }
    let n_lanes = placed.iter().map(|(lane, ..)| lane + 1).max().unwrap_or_default();
    for flag in flags.iter_mut().filter(|flag| !flag.text.is_empty()) {
        flag.lane = n_lanes - 1 - flag.lane;
    }
    (flags, n_lanes)
}

fn flag(x: f64, text: &str, left: f64, right: f64) -> Flag {
    const OFFSET: f64 = 4.0;
    let text = measure::fit(text, size::SMALL, (right - left).max(20.0));
    let width = measure::width(&text, size::SMALL);
    let (x, align) = if x + OFFSET + width <= right {
        (x + OFFSET, Align::Start)
    } else if x - OFFSET - width >= left {
        (x - OFFSET, Align::End)
    } else {
        (left, Align::Start)
    };
    Flag {
        text,
        lane: 0,
        x,
        align,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_close_to_each_other_go_to_lanes_of_their_own() {
        let moments = [
            (10.0, "fault"),
            (14.0, "first bad sample"),
            (300.0, "healed"),
            (598.0, "end of the run"),
        ];
        let (flags, n_lanes) = place(moments.into_iter().map(|(x, text)| (x, text.to_owned())), 0.0, 600.0);
        assert_eq!(n_lanes, 2);
        assert_eq!(flags.iter().map(|flag| flag.lane).collect::<Vec<_>>(), [0, 1, 1, 1]);
        assert_eq!(flags[3].align, Align::End);
    }
}
