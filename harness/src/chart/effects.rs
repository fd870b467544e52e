//! A forest plot: one row a comparison, its ratio with the interval, the line of no effect, the margins that decide.

use super::canvas::{Align, Canvas, Label, Rect, Shape, Stroke};
use super::plane;
use super::scale::AxisScale;
use super::theme::{Ink, MARK_DASH, size};
use super::{Axis, Detail, Probe, measure};
use crate::format::{self, MISSING, Unit};
use serde::Serialize;

/// Ratios on a logarithmic axis.
#[derive(Clone, Debug)]
pub struct Effects {
    /// `p95, candidate ÷ baseline`.
    pub axis: String,
    /// `lower is better` and the like, at the two ends of the axis.
    pub ends: Option<(String, String)>,
    /// The decision margins around 1.
    pub margins: Option<(f64, f64)>,
    pub rows: Vec<EffectRow>,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct EffectRow {
    pub name: String,
    /// Point, low, high; `None` when the claim may not be made.
    pub ratio: Option<(f64, f64, f64)>,
    pub decision: Decision,
}

/// What the exact test says about an effect. The interval is for the eye; it never decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    Better,
    Worse,
    /// Shown to be smaller than the margin that matters.
    Same,
    Unknown,
}

impl Decision {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "no difference that matters",
            Self::Unknown => "unknown",
        }
    }

    /// The word where there is little room.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Same => "same",
            other => other.word(),
        }
    }

    /// A sign that does not depend on colour.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Better => "▲",
            Self::Worse => "▼",
            Self::Same => "=",
            Self::Unknown => "?",
        }
    }
}

const ROW: f64 = 26.0;
const WORDS: f64 = 15.0;
const AXIS: f64 = 54.0;
const MOST_SMALL_ROWS: usize = 4;
/// Round ratios; as many are labelled as fit.
const TICKS: [f64; 27] = [
    0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0,
    3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0,
];
/// The order in which ticks are given room: one first, then the coarse ones.
const RANK: [f64; 11] = [1.0, 0.5, 2.0, 0.1, 10.0, 0.01, 100.0, 0.2, 5.0, 0.001, 1000.0];

impl Effects {
    pub(super) fn check(&self, probe: &mut Probe) {
        for row in &self.rows {
            probe.values(
                &row.name,
                row.ratio.into_iter().flat_map(|(point, low, high)| [point, low, high]),
            );
        }
        probe.values("margins", self.margins.into_iter().flat_map(|(low, high)| [low, high]));
    }

    pub(super) fn height(&self, width: f64, detail: Detail) -> f64 {
        let rows = self.shown(detail);
        if rows.is_empty() {
            return 120.0;
        }
        rows.iter().map(|row| row_height(row, name_room(width))).sum::<f64>() + AXIS + 8.0
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect, detail: Detail) {
        let rows = self.shown(detail);
        if rows.is_empty() {
            plane::no_data(canvas, area, "nothing was compared");
            return;
        }
        let texts: Vec<(String, &str)> = rows.iter().map(result).collect();
        let left = name_room(area.w) + 14.0;
        let widest = |text: &(String, &str)| {
            measure::width(&text.0, size::LABEL).max(measure::width(text.1, size::SMALL) + 16.0)
        };
        let right = texts.iter().map(widest).fold(40.0, f64::max).min(area.w * 0.44) + 16.0;
        let plot = Rect::new(
            area.x + left,
            area.y + 4.0,
            (area.w - left - right).max(40.0),
            area.h - AXIS - 4.0,
        );
        let scale = self.axis();
        let place = |ratio: f64| plot.x + scale.position(ratio) * plot.w;

        if let Some((low, high)) = self.margins {
            canvas.rect(
                Rect::new(place(low), plot.y, place(high) - place(low), plot.h),
                Ink::Excluded,
                0.3,
            );
        }
        self.draw_axis(canvas, area, plot, &scale);
        let mut y = plot.y;
        for (row, (value, word)) in rows.iter().zip(&texts) {
            let height = row_height(row, name_room(area.w));
            let middle = y + height / 2.0;
            y += height;
            let lines = measure::wrap(&row.name, size::LABEL, name_room(area.w));
            let first = middle - WORDS * (lines.len() as f64 - 1.0) / 2.0;
            for (index, line) in lines.into_iter().enumerate() {
                let at = (plot.x - 12.0, first + WORDS * index as f64);
                canvas.label(Label::new(at, line, size::LABEL).align(Align::End));
            }
            let ink = row.decision.ink();
            if let Some((point, low, high)) = row.ratio {
                canvas.whisker((place(low), place(high)), middle, Stroke::solid(ink, 2.0));
                let centre = (place(point), middle);
                canvas.shapes.push(Shape::Circle {
                    centre,
                    radius: 4.5,
                    ink: Ink::Background,
                    filled: true,
                });
                let filled = matches!(row.decision, Decision::Better | Decision::Worse);
                canvas.shapes.push(Shape::Circle {
                    centre,
                    radius: 4.5,
                    ink,
                    filled,
                });
            }
            let at = plot.right() + 12.0;
            let value = measure::fit(value, size::LABEL, right - 14.0);
            let word = measure::fit(word, size::SMALL, right - 30.0);
            canvas.label(Label::new((at, middle - 7.0), value, size::LABEL));
            let word = format!("{} {word}", row.decision.sign());
            canvas.label(Label::new((at, middle + 7.0), word, size::SMALL).ink(ink));
        }
    }

    fn draw_axis(&self, canvas: &mut Canvas, area: Rect, plot: Rect, scale: &AxisScale) {
        for tick in ticks(scale, plot.w) {
            let x = plot.x + scale.position(tick) * plot.w;
            canvas.line((x, plot.y), (x, plot.bottom()), Stroke::solid(Ink::Grid, 1.0));
            let label = format!("{}×", format::tick(tick));
            canvas.label(
                Label::new((x, plot.bottom() + 11.0), label, size::LABEL)
                    .align(Align::Middle)
                    .ink(Ink::Muted),
            );
        }
        let one = plot.x + scale.position(1.0) * plot.w;
        canvas.line(
            (one, plot.y),
            (one, plot.bottom()),
            Stroke::dashed(Ink::Text, 1.25, MARK_DASH),
        );
        let ends = self
            .ends
            .as_ref()
            .map_or_else(String::new, |(left, right)| format!("← {left} · {right} →"));
        for (index, text) in [self.axis.as_str(), ends.as_str()].into_iter().enumerate() {
            let middle = plot.x + plot.w / 2.0;
            let limit = 2.0 * (middle - area.x).min(area.right() - middle);
            let at = (middle, plot.bottom() + 11.0 + size::LINE * (index as f64 + 1.0));
            let text = measure::fit(text, size::LABEL, limit);
            canvas.label(Label::new(at, text, size::LABEL).align(Align::Middle).ink(Ink::Muted));
        }
    }

    /// Wide enough for every interval, the margins and one; what lies beyond a thousand is put on the edge.
    fn axis(&self) -> AxisScale {
        let intervals = self
            .rows
            .iter()
            .filter_map(|row| row.ratio)
            .flat_map(|(point, low, high)| [point, low, high]);
        let margins = self.margins.into_iter().flat_map(|(low, high)| [low, high]);
        let shown = intervals
            .chain(margins)
            .filter(|ratio| *ratio > 0.0)
            .map(|ratio| ratio.clamp(0.001, 1_000.0));
        let (low, high) = super::scale::bounds(shown.chain([0.9, 1.1]));
        AxisScale::log_exact(&Axis::new(self.axis.clone(), Unit::Ratio), low / 1.04, high * 1.04)
    }

    fn shown(&self, detail: Detail) -> &[EffectRow] {
        let most = if detail == Detail::Small {
            MOST_SMALL_ROWS
        } else {
            usize::MAX
        };
        &self.rows[..self.rows.len().min(most)]
    }
}

impl Decision {
    const fn ink(self) -> Ink {
        match self {
            Self::Better => Ink::Better,
            Self::Worse => Ink::Worse,
            Self::Same | Self::Unknown => Ink::Muted,
        }
    }
}

fn name_room(width: f64) -> f64 {
    width * 0.3
}

fn row_height(row: &EffectRow, room: f64) -> f64 {
    let n_lines = measure::wrap(&row.name, size::LABEL, room).len();
    (WORDS * n_lines as f64 + 10.0).max(ROW + 8.0)
}

fn result(row: &EffectRow) -> (String, &'static str) {
    let text = row.ratio.map_or_else(
        || MISSING.to_owned(),
        |(point, low, high)| format::interval(Unit::Ratio, point, low, high),
    );
    (text, row.decision.short())
}

/// Ticks that keep a distance, the important ones first.
fn ticks(scale: &AxisScale, length: f64) -> Vec<f64> {
    let room = 44.0 / length.max(1.0);
    let inside = |ratio: f64| {
        let position = scale.position(ratio);
        position > 0.0 && position < 1.0
    };
    let mut kept: Vec<f64> = Vec::new();
    for ratio in RANK.into_iter().chain(TICKS).filter(|ratio| inside(*ratio)) {
        let position = scale.position(ratio);
        if kept
            .iter()
            .all(|other| (scale.position(*other) - position).abs() >= room)
        {
            kept.push(ratio);
        }
    }
    kept
}
