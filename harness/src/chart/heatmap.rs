//! How busy each resource was over time: a strip a row.

use super::Axis;
use super::bars::axis_below;
use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::plane;
use super::scale::{AxisScale, bounds};
use super::theme::{HEAT_STEPS, Ink, size};
use super::{Probe, measure};
use crate::format::{MISSING, Scale};

/// Cells of equal width on a time axis.
#[derive(Clone, Debug)]
pub struct HeatMap {
    pub x: Axis,
    /// Where the first cell starts.
    pub x_start: f64,
    /// How wide a cell is.
    pub x_step: f64,
    pub value: Axis,
    /// The value of the darkest colour; `None`: the largest one.
    pub top: Option<f64>,
    pub rows: Vec<HeatRow>,
}

/// One strip.
#[derive(Clone, Debug)]
pub struct HeatRow {
    pub name: String,
    /// `None` is a gap, hatched.
    pub cells: Vec<Option<f64>>,
}

const ROW: f64 = 26.0;
const AXIS: f64 = 40.0;
const KEY: f64 = 30.0;

impl HeatMap {
    pub(super) fn check(&self, probe: &mut Probe) {
        probe.values(&self.x.title, [self.x_start, self.x_step]);
        probe.values(&self.value.title, self.top);
        for row in &self.rows {
            probe.values(&row.name, row.cells.iter().flatten().copied());
        }
    }

    pub(super) fn height(&self) -> f64 {
        if self.n_columns() == 0 {
            120.0
        } else {
            ROW * self.rows.len() as f64 + AXIS + KEY
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect) {
        if self.rows.iter().all(|row| row.cells.iter().all(Option::is_none)) {
            plane::no_data(canvas, area, "nothing was sampled");
            return;
        }
        let step = Scale::of(self.value.unit, [self.top()]);
        let peaks: Vec<String> = self.rows.iter().map(|row| row.peak(&step)).collect();
        let widest = |names: &mut dyn Iterator<Item = &str>, limit: f64| {
            names
                .map(|name| measure::width(name, size::LABEL))
                .fold(20.0, f64::max)
                .min(limit)
        };
        let left = widest(&mut self.rows.iter().map(|row| row.name.as_str()), area.w * 0.3) + 10.0;
        let right = widest(&mut peaks.iter().map(String::as_str), area.w * 0.25) + 12.0;
        let plot = Rect::new(
            area.x + left,
            area.y,
            (area.w - left - right).max(40.0),
            ROW * self.rows.len() as f64,
        );
        let end = self.x_start + self.x_step * self.n_columns() as f64;
        let scale = AxisScale::linear(&self.x, self.x_start, end, true);
        axis_below(canvas, area, plot, &scale, scale.ticks_across(plot.w));
        for (index, (row, peak)) in self.rows.iter().zip(peaks).enumerate() {
            let y = plot.y + ROW * index as f64;
            let middle = y + ROW / 2.0;
            let name = measure::fit(&row.name, size::LABEL, left - 10.0);
            canvas.label(Label::new((plot.x - 8.0, middle), name, size::LABEL).align(Align::End));
            self.strip(canvas, row, Rect::new(plot.x, y + 2.0, plot.w, ROW - 4.0));
            let peak = measure::fit(&peak, size::LABEL, right - 8.0);
            canvas.label(Label::new((plot.right() + 7.0, middle), peak, size::LABEL).ink(Ink::Muted));
        }
        // Under the strips where there is room, else over the whole width.
        let key_x = if area.w < 500.0 { area.x } else { plot.x };
        let key = Rect::new(key_x, plot.bottom() + AXIS, area.right() - key_x, KEY);
        self.draw_key(canvas, key, &step);
    }

    /// Neighbours of one step become one shape.
    fn strip(&self, canvas: &mut Canvas, row: &HeatRow, area: Rect) {
        let width = area.w / self.n_columns().max(1) as f64;
        let steps: Vec<Option<usize>> = row
            .cells
            .iter()
            .map(|cell| cell.map(|value| self.step_of(value)))
            .collect();
        let mut start = 0;
        for run in steps.chunk_by(|a, b| a == b) {
            let piece = Rect::new(area.x + width * start as f64, area.y, width * run.len() as f64, area.h);
            start += run.len();
            match run.first() {
                Some(Some(step)) => canvas.rect(piece, Ink::Heat(*step), 1.0),
                _ => hatch(canvas, piece),
            }
        }
    }

    fn step_of(&self, value: f64) -> usize {
        let share = value / self.top();
        ((share * HEAT_STEPS as f64).floor().clamp(0.0, HEAT_STEPS as f64 - 1.0)) as usize
    }

    /// The gap first, since it is as long as its word; the name of the value last, cut where it has no room.
    fn draw_key(&self, canvas: &mut Canvas, area: Rect, step: &Scale) {
        let patch = if area.w < 500.0 { 14.0 } else { 22.0 };
        let middle = area.y + area.h / 2.0;
        let mut x = area.x;
        if self.rows.iter().any(|row| row.cells.contains(&None)) {
            let name = "no data";
            hatch(canvas, Rect::new(x, middle - 6.0, patch, 12.0));
            canvas.label(Label::new((x + patch + 6.0, middle), name, size::SMALL).ink(Ink::Muted));
            x += patch + 6.0 + measure::width(name, size::SMALL) + 18.0;
        }
        let low = step.text(0.0);
        canvas.label(Label::new((x, middle), &low, size::SMALL).ink(Ink::Muted));
        x += measure::width(&low, size::SMALL) + 6.0;
        for index in 0..HEAT_STEPS {
            canvas.rect(Rect::new(x, middle - 6.0, patch, 12.0), Ink::Heat(index), 1.0);
            x += patch;
        }
        let high = format!("{} {}", step.text(self.top()), self.value.title);
        let high = measure::fit(&high, size::SMALL, area.right() - x - 8.0);
        canvas.label(Label::new((x + 6.0, middle), &high, size::SMALL).ink(Ink::Muted));
    }

    fn n_columns(&self) -> usize {
        self.rows.iter().map(|row| row.cells.len()).max().unwrap_or_default()
    }

    fn top(&self) -> f64 {
        let (_, largest) = bounds(self.rows.iter().flat_map(|row| row.cells.iter().flatten().copied()));
        let top = self.top.unwrap_or(largest);
        if top > 0.0 && top.is_finite() { top } else { 1.0 }
    }
}

impl HeatRow {
    fn peak(&self, step: &Scale) -> String {
        let (_, largest) = bounds(self.cells.iter().flatten().copied());
        if largest.is_finite() {
            format!("peak {}", step.text(largest))
        } else {
            MISSING.to_owned()
        }
    }
}

fn hatch(canvas: &mut Canvas, area: Rect) {
    canvas.rect(area, Ink::Grid, 0.4);
    let mut x = area.x;
    while x < area.right() {
        let run = area.h.min(area.right() - x);
        canvas.line(
            (x, area.bottom()),
            (x + run, area.bottom() - run),
            Stroke::solid(Ink::Excluded, 1.0),
        );
        x += 7.0;
    }
}
