//! Parts of a whole, such as outcomes, one bar a variant.

use super::bars::axis_below;
use super::canvas::{Align, Canvas, Label, Rect};
use super::plane::{self, Sample};
use super::scale::AxisScale;
use super::theme::{Ink, size};
use super::{Axis, Key};
use super::{Detail, Probe, measure};
use crate::format::{MISSING, Scale, Unit};

/// Stacked bars.
#[derive(Clone, Debug)]
pub struct Stacked {
    pub value: Axis,
    /// Each bar is stretched to 100 %; the total then stands beside it.
    pub as_shares: bool,
    pub parts: Vec<Key>,
    pub rows: Vec<StackedRow>,
}

/// One bar.
#[derive(Clone, Debug)]
pub struct StackedRow {
    pub name: String,
    /// As many as there are parts; `None`: not measured.
    pub values: Vec<Option<f64>>,
}

const ROW: f64 = 30.0;
const AXIS: f64 = 40.0;
const MOST_SMALL_ROWS: usize = 4;

impl Stacked {
    pub(super) fn check(&self, probe: &mut Probe) {
        probe.series(self.parts.iter());
        for row in &self.rows {
            probe.values(&row.name, row.values.iter().flatten().copied());
        }
    }

    pub(super) fn height(&self, width: f64, detail: Detail) -> f64 {
        let legend = plane::legend(&mut Canvas::default(), (0.0, 0.0), width, &self.entries());
        legend + ROW * self.shown(detail).len().max(2) as f64 + AXIS
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect, detail: Detail) {
        if self.rows.iter().all(|row| row.total().is_none()) {
            plane::no_data(canvas, area, "nothing was counted");
            return;
        }
        let rows = self.shown(detail);
        let legend = plane::legend(canvas, (area.x, area.y), area.w, &self.entries());
        let scale = self.axis(rows);
        let texts: Vec<String> = rows.iter().map(|row| self.total_text(row)).collect();
        let widest = |names: &mut dyn Iterator<Item = &str>, limit: f64| {
            names
                .map(|name| measure::width(name, size::LABEL))
                .fold(20.0, f64::max)
                .min(limit)
        };
        let left = widest(&mut rows.iter().map(|row| row.name.as_str()), area.w * 0.3) + 10.0;
        let right = widest(&mut texts.iter().map(String::as_str), area.w * 0.25) + 12.0;
        let plot = Rect::new(
            area.x + left,
            area.y + legend,
            (area.w - left - right).max(40.0),
            area.h - legend - AXIS,
        );
        axis_below(canvas, area, plot, &scale, scale.ticks_across(plot.w));
        for (index, (row, text)) in rows.iter().zip(&texts).enumerate() {
            let middle = plot.y + ROW * (index as f64 + 0.5);
            let name = measure::fit(&row.name, size::LABEL, left - 10.0);
            canvas.label(Label::new((plot.x - 8.0, middle), name, size::LABEL).align(Align::End));
            self.bar(canvas, row, plot, middle, &scale);
            let text = measure::fit(text, size::LABEL, right - 8.0);
            canvas.label(Label::new((plot.right() + 7.0, middle), text, size::LABEL).ink(Ink::Muted));
        }
    }

    fn bar(&self, canvas: &mut Canvas, row: &StackedRow, plot: Rect, middle: f64, scale: &AxisScale) {
        let total = row.total().unwrap_or_default();
        if total <= 0.0 {
            return;
        }
        let mut reached = 0.0;
        for (part, value) in self.parts.iter().zip(&row.values) {
            // A part below zero makes no sense in a whole, and must not push the others out of place.
            let value = value.unwrap_or_default().max(0.0);
            let place = |value: f64| {
                let shown = if self.as_shares { value / total * 100.0 } else { value };
                plot.x + scale.position(shown) * plot.w
            };
            let (from, to) = (place(reached), place(reached + value));
            reached += value;
            // A hair of background parts neighbours even where their colours look alike.
            canvas.rect(
                Rect::new(from, middle - 10.0, (to - from - 1.0).max(0.0), 20.0),
                Ink::Series(part.slot),
                1.0,
            );
            let text = Scale::of(Unit::Percent, []).text(value / total * 100.0);
            if measure::width(&text, size::SMALL) + 8.0 < to - from {
                let at = ((from + to) / 2.0, middle);
                let ink = Ink::on_series(part.slot);
                canvas.label(Label::new(at, text, size::SMALL).align(Align::Middle).ink(ink));
            }
        }
    }

    fn axis(&self, rows: &[StackedRow]) -> AxisScale {
        if self.as_shares {
            return AxisScale::linear(&Axis::new(self.value.title.clone(), Unit::Percent), 0.0, 100.0, true);
        }
        AxisScale::from_zero(&self.value, rows.iter().filter_map(StackedRow::total), None)
    }

    fn shown(&self, detail: Detail) -> &[StackedRow] {
        let most = if detail == Detail::Small {
            MOST_SMALL_ROWS
        } else {
            usize::MAX
        };
        &self.rows[..self.rows.len().min(most)]
    }

    fn entries(&self) -> Vec<(&Key, Sample)> {
        self.parts.iter().map(|key| (key, Sample::Patch)).collect()
    }

    fn total_text(&self, row: &StackedRow) -> String {
        let unit = self.value.unit;
        let total = row
            .total()
            .map_or_else(|| MISSING.to_owned(), |total| Scale::of(unit, [total]).text(total));
        let n_missing = self.parts.len() - row.values.iter().take(self.parts.len()).flatten().count();
        if n_missing == 0 || row.total().is_none() {
            total
        } else {
            format!("{total} ({n_missing} n/a)")
        }
    }
}

impl StackedRow {
    /// The sum of what was measured; `None` when nothing was.
    fn total(&self) -> Option<f64> {
        let mut measured = self.values.iter().flatten().peekable();
        measured.peek()?;
        Some(measured.map(|value| value.max(0.0)).sum())
    }
}
