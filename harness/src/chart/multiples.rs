//! Small figures side by side, for the overview.

use super::Figure;
use super::canvas::{Canvas, Label, Rect, Stroke};
use super::theme::{Ink, size};
use super::{Detail, Probe, measure, plane};

/// A grid of figures.
#[derive(Clone, Debug)]
pub struct Multiples {
    pub items: Vec<Multiple>,
}

/// One small figure with its head.
#[derive(Clone, Debug)]
pub struct Multiple {
    pub title: String,
    pub subtitle: Option<String>,
    /// Not itself a grid.
    pub figure: Figure,
}

const GAP: f64 = 28.0;
const COLUMNS: usize = 2;
const TITLE: f64 = 18.0;

impl Multiples {
    pub(super) fn check(&self, probe: &mut Probe) {
        for item in &self.items {
            item.figure.check(probe);
        }
    }

    pub(super) fn height(&self, width: f64) -> f64 {
        if self.items.is_empty() {
            return 120.0;
        }
        let rows = self.items.chunks(COLUMNS);
        let n_gaps = rows.len() - 1;
        rows.map(|row| row_height(row, width)).sum::<f64>() + GAP * n_gaps as f64
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect) {
        if self.items.is_empty() {
            plane::no_data(canvas, area, "no report was made");
            return;
        }
        let mut y = area.y;
        for (index, row) in self.items.chunks(COLUMNS).enumerate() {
            if index > 0 {
                let line = y - GAP / 2.0;
                canvas.line((area.x, line), (area.right(), line), Stroke::solid(Ink::Grid, 1.0));
            }
            let height = row_height(row, area.w);
            for (column, item) in row.iter().enumerate() {
                let width = cell_width(area.w);
                let x = area.x + (width + GAP) * column as f64;
                item.draw(canvas, Rect::new(x, y, width, height));
            }
            y += height + GAP;
        }
    }
}

impl Multiple {
    fn draw(&self, canvas: &mut Canvas, cell: Rect) {
        let title = measure::fit(&self.title, size::LABEL + 1.0, cell.w * 0.94);
        canvas.label(Label::new((cell.x, cell.y + TITLE / 2.0), title, size::LABEL + 1.0).bold());
        let mut y = cell.y + TITLE;
        for line in self.subtitle_lines(cell.w) {
            canvas.label(Label::new((cell.x, y + size::LINE / 2.0), line, size::SMALL).ink(Ink::Muted));
            y += size::LINE;
        }
        let area = Rect::new(cell.x, y + 6.0, cell.w, cell.bottom() - y - 6.0);
        match &self.figure {
            super::Figure::Multiples(_) | super::Figure::Board(_) => {
                plane::no_data(canvas, area, "a grid within a grid cannot be read")
            }
            figure => {
                let height = figure.height(area.w, Detail::Small).min(area.h);
                figure.draw(canvas, Rect { h: height, ..area }, Detail::Small);
            }
        }
    }

    fn height(&self, width: f64) -> f64 {
        let figure = match &self.figure {
            super::Figure::Multiples(_) | super::Figure::Board(_) => 120.0,
            figure => figure.height(width, Detail::Small),
        };
        TITLE + size::LINE * self.subtitle_lines(width).len() as f64 + 6.0 + figure
    }

    fn subtitle_lines(&self, width: f64) -> Vec<String> {
        measure::wrap(self.subtitle.as_deref().unwrap_or_default(), size::SMALL, width)
    }
}

fn cell_width(width: f64) -> f64 {
    (width - GAP * (COLUMNS - 1) as f64) / COLUMNS as f64
}

fn row_height(row: &[Multiple], width: f64) -> f64 {
    row.iter()
        .map(|item| item.height(cell_width(width)))
        .fold(0.0, f64::max)
}
