//! Two axes, the grid between them, and what every figure on a plane needs: clipping by gaps, labels that keep apart.

use super::canvas::{Align, Canvas, Label, Point, Rect, Stroke};
use super::measure;
use super::scale::{AxisScale, Tick, thin_out};
use super::theme::{Ink, size};

/// The plotting area with its two scales.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub(super) area: Rect,
    pub(super) x: AxisScale,
    pub(super) y: AxisScale,
    y_ticks: Vec<Tick>,
}

/// What a plane keeps above and below its plotting area for titles and labels; the last for one without an axis.
pub(super) const ABOVE: f64 = size::LINE + 6.0;
pub(super) const BELOW: f64 = 2.0 * size::LINE + 8.0;
pub(super) const BELOW_INNER: f64 = 4.0;

/// What is written around a plane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// Labels and title of the horizontal axis; off where a panel below has them.
    pub(super) x_axis: bool,
}

impl Frame {
    pub(super) const FULL: Self = Self { x_axis: true };

    /// What is left of the height for the plane itself.
    fn height(self, outer: Rect) -> f64 {
        let below = if self.x_axis { BELOW } else { BELOW_INNER };
        (outer.h - ABOVE - below).max(20.0)
    }
}

impl Plane {
    /// Lays out a plane within `outer`: room for the labels on the left, `right` pixels on the right, titles above and below.
    pub(super) fn fit(outer: Rect, x: AxisScale, y: AxisScale, right: f64, frame: Frame) -> Self {
        // By the ticks that will be drawn: fewer or more of them may have other labels.
        let left = Self::label_room(&y, frame.height(outer));
        Self::with_margins(outer, x, y, left, right, frame)
    }

    /// As [`Plane::fit`], with a left margin that several panels share.
    pub(super) fn with_margins(outer: Rect, x: AxisScale, y: AxisScale, left: f64, right: f64, frame: Frame) -> Self {
        let width = |right: f64| (outer.w - left - right).max(40.0);
        let right = right.max(14.0);
        // The last tick may be at the very end, and half of its label beside the plane: as far as there is padding. Measured
        // before there is less room for it, which hardly changes the labels.
        let ticks = x.ticks_across(width(right));
        let widths = ticks.iter().map(|tick| measure::width(&tick.label, size::LABEL));
        let right = right.max(widths.fold(0.0, f64::max) / 2.0 - size::PAD);
        let area = Rect::new(outer.x + left, outer.y + ABOVE, width(right), frame.height(outer));
        let y_ticks = thin_out(y.ticks((area.h / 26.0) as usize), area.h, |_, _| size::LABEL + 2.0);
        Self { area, x, y, y_ticks }
    }

    /// How wide the labels of the vertical axis will be.
    pub(super) fn label_room(y: &AxisScale, height: f64) -> f64 {
        let ticks = y.ticks((height / 26.0) as usize);
        ticks
            .iter()
            .map(|tick| measure::width(&tick.label, size::LABEL))
            .fold(24.0, f64::max)
            + 8.0
    }

    pub(super) fn x_at(&self, value: f64) -> f64 {
        self.area.x + self.x.position(value) * self.area.w
    }

    pub(super) fn y_at(&self, value: f64) -> f64 {
        self.area.bottom() - self.y.position(value) * self.area.h
    }

    pub(super) fn at(&self, x: f64, y: f64) -> Point {
        (self.x_at(x), self.y_at(y))
    }

    /// Grid, axis and tick labels.
    pub(super) fn draw(&self, canvas: &mut Canvas, frame: Frame) {
        let area = self.area;
        for tick in &self.y_ticks {
            let y = area.bottom() - tick.position * area.h;
            canvas.line((area.x, y), (area.right(), y), Stroke::solid(Ink::Grid, 1.0));
            canvas.label(
                Label::new((area.x - 7.0, y), &tick.label, size::LABEL)
                    .align(Align::End)
                    .ink(Ink::Muted),
            );
        }
        self.draw_time(canvas, frame);
    }

    /// The same without the vertical axis, where height stands for no number.
    pub(super) fn draw_time(&self, canvas: &mut Canvas, frame: Frame) {
        let area = self.area;
        for tick in self.x.ticks_across(area.w) {
            let x = area.x + tick.position * area.w;
            canvas.line((x, area.y), (x, area.bottom()), Stroke::solid(Ink::Grid, 1.0));
            if frame.x_axis {
                canvas.line(
                    (x, area.bottom()),
                    (x, area.bottom() + 4.0),
                    Stroke::solid(Ink::Rule, 1.0),
                );
                let at = (x, area.bottom() + 13.0);
                canvas.label(
                    Label::new(at, tick.label, size::LABEL)
                        .align(Align::Middle)
                        .ink(Ink::Muted),
                );
            }
        }
        canvas.line(
            (area.x, area.bottom()),
            (area.right(), area.bottom()),
            Stroke::solid(Ink::Rule, 1.0),
        );
    }

    /// The words of both axes.
    pub(super) fn draw_titles(&self, canvas: &mut Canvas, frame: Frame) {
        let area = self.area;
        let above = (area.x - 7.0, area.y - 14.0);
        let title = measure::fit(&self.y.title(), size::LABEL, area.w);
        canvas.label(Label::new(above, title, size::LABEL).ink(Ink::Muted).halo());
        if frame.x_axis {
            let below = (area.x + area.w / 2.0, area.bottom() + 13.0 + size::LINE);
            let title = measure::fit(&self.x.title(), size::LABEL, area.w);
            canvas.label(
                Label::new(below, title, size::LABEL)
                    .align(Align::Middle)
                    .ink(Ink::Muted),
            );
        }
    }
}

/// Splits a series at its gaps; in a stretch of more points than pixels, each pixel keeps its lowest and highest.
pub(super) fn stretches(points: &[(f64, Option<f64>)], place: impl Fn(f64, f64) -> Point) -> Vec<Vec<Point>> {
    let mut stretches = Vec::new();
    let mut current: Vec<Point> = Vec::new();
    for (x, y) in points {
        match y {
            Some(y) => current.push(place(*x, *y)),
            None if current.is_empty() => {}
            None => stretches.push(thin(std::mem::take(&mut current))),
        }
    }
    if !current.is_empty() {
        stretches.push(thin(current));
    }
    stretches
}

fn thin(points: Vec<Point>) -> Vec<Point> {
    let mut thinned: Vec<Point> = Vec::with_capacity(points.len());
    for column in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        let [first, .., last] = column else {
            thinned.extend_from_slice(column);
            continue;
        };
        if column.len() <= 4 {
            thinned.extend_from_slice(column);
            continue;
        }
        let low = column
            .iter()
            .fold(*first, |low, point| if point.1 > low.1 { *point } else { low });
        let high = column
            .iter()
            .fold(*first, |high, point| if point.1 < high.1 { *point } else { high });
        thinned.extend([*first, low, high, *last]);
    }
    thinned
}

/// Moves wanted heights apart so that labels of `line` pixels do not overlap, within `top` and `bottom`, in order.
pub(super) fn spread(wanted: &[f64], line: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut placed = vec![0.0; wanted.len()];
    let mut floor = top;
    for index in &order {
        placed[*index] = wanted[*index].max(floor);
        floor = placed[*index] + line;
    }
    let mut ceiling = bottom;
    for index in order.iter().rev() {
        placed[*index] = placed[*index].min(ceiling);
        ceiling = placed[*index] - line;
    }
    placed
}

/// Names with their line, marker or patch, in rows; returns the height that they take.
pub(super) fn legend(canvas: &mut Canvas, origin: Point, width: f64, entries: &[(&super::Key, Sample)]) -> f64 {
    const ROW: f64 = size::LINE + 2.0;
    let (mut x, mut y) = (0.0, 0.0);
    for (key, sample) in entries {
        let swatch = if *sample == Sample::Patch { 14.0 } else { 30.0 };
        let name = measure::fit(&key.name, size::LABEL, (width - swatch - 8.0).max(20.0));
        let wide = swatch + 6.0 + measure::width(&name, size::LABEL);
        if x > 0.0 && x + wide > width {
            x = 0.0;
            y += ROW;
        }
        let at = (origin.0 + x, origin.1 + y + ROW / 2.0);
        match sample {
            Sample::Patch => canvas.rect(Rect::new(at.0, at.1 - 6.0, 12.0, 12.0), Ink::Series(key.slot), 1.0),
            Sample::MarkedLine => {
                canvas.line((at.0, at.1), (at.0 + 26.0, at.1), Stroke::series(key.slot));
                canvas.marker((at.0 + 13.0, at.1), key.slot);
            }
        }
        canvas.label(Label::new((at.0 + swatch + 2.0, at.1), name, size::LABEL));
        x += wide + 18.0;
    }
    if entries.is_empty() { 0.0 } else { y + ROW + 4.0 }
}

/// What stands before a name in a legend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sample {
    MarkedLine,
    Patch,
}

/// A box that says why there is nothing.
pub(super) fn no_data(canvas: &mut Canvas, area: Rect, reason: &str) {
    canvas.rect(area, Ink::Grid, 0.35);
    let limit = (area.w - 24.0).max(40.0);
    let text = if reason.is_empty() {
        "no data".to_owned()
    } else {
        format!("no data: {reason}")
    };
    let fitting = ((area.h - 8.0) / size::LINE).max(1.0) as usize;
    let lines = measure::wrap(&text, size::LABEL, limit);
    let lines = &lines[..lines.len().min(fitting)];
    let first = area.y + area.h / 2.0 - size::LINE * (lines.len() as f64 - 1.0) / 2.0;
    for (index, line) in lines.iter().enumerate() {
        let at = (area.x + area.w / 2.0, first + size::LINE * index as f64);
        canvas.label(Label::new(at, line, size::LABEL).align(Align::Middle).ink(Ink::Muted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_stays_a_gap() {
        let points = [(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, None), (3.0, Some(3.0))];
        let stretches = stretches(&points, |x, y| (x, y));
        assert_eq!(stretches, [vec![(0.0, 1.0), (1.0, 2.0)], vec![(3.0, 3.0)]]);
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let points: Vec<_> = (0..10_000)
            .map(|i| (f64::from(i) / 1_000.0, Some(if i == 5_003 { 99.0 } else { 1.0 })))
            .collect();
        let thinned = stretches(&points, |x, y| (x, y)).concat();
        assert!(thinned.len() <= 40);
        assert!(thinned.iter().any(|point| point.1 == 99.0));
    }

    #[test]
    fn labels_keep_apart_in_order() {
        let placed = spread(&[50.0, 51.0, 10.0, 52.0], 10.0, 0.0, 60.0);
        assert_eq!(placed, [40.0, 50.0, 10.0, 60.0]);
    }
}
