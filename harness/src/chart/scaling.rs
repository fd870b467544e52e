//! How a value grows with a size, both axes logarithmic, with intervals.

use super::canvas::{Canvas, Label, Rect, Stroke};
use super::plane::{self, Frame, Plane};
use super::scale::AxisScale;
use super::theme::{Ink, size};
use super::{Axis, Key};
use super::{Probe, measure};

/// A curve per variant.
#[derive(Clone, Debug)]
pub struct Scaling {
    pub x: Axis,
    pub y: Axis,
    pub curves: Vec<ScalingCurve>,
}

/// One curve.
#[derive(Clone, Debug)]
pub struct ScalingCurve {
    pub key: Key,
    pub points: Vec<ScalingPoint>,
}

/// One measured size.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScalingPoint {
    pub x: f64,
    pub y: f64,
    pub interval: Option<(f64, f64)>,
}

impl Scaling {
    pub(super) fn check(&self, probe: &mut Probe) {
        probe.series(self.curves.iter().map(|curve| &curve.key));
        for curve in &self.curves {
            let bounds = curve
                .points
                .iter()
                .filter_map(|point| point.interval)
                .flat_map(|(low, high)| [low, high]);
            let values = curve.points.iter().flat_map(|point| [point.x, point.y]);
            probe.values(&curve.key.name, values.chain(bounds));
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect) {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        if points().next().is_none() {
            plane::no_data(canvas, area, "no size was measured");
            return;
        }
        // A little room on both sides keeps the markers off the edges.
        let x = AxisScale::log(&self.x, points().flat_map(|point| [point.x * 0.8, point.x * 1.25]));
        let bounds = points()
            .filter_map(|point| point.interval)
            .flat_map(|(low, high)| [low, high]);
        let y = AxisScale::log(&self.y, points().map(|point| point.y).chain(bounds));
        let labels: Vec<String> = self.curves.iter().map(|curve| label(curve, area.w * 0.4)).collect();
        let room = labels
            .iter()
            .map(|label| measure::width(label, size::LABEL))
            .fold(0.0, f64::max)
            + 26.0;
        let frame = Frame::FULL;
        let plane = Plane::fit(area, x, y, room, frame);
        plane.draw(canvas, frame);
        plane.draw_titles(canvas, frame);

        let last = |curve: &ScalingCurve| {
            curve
                .points
                .last()
                .map_or(plane.area.bottom(), |point| plane.y_at(point.y))
        };
        let wanted: Vec<f64> = self.curves.iter().map(last).collect();
        let heights = plane::spread(&wanted, size::LINE, plane.area.y, plane.area.bottom());
        for curve in &self.curves {
            let stroke = Stroke::series(curve.key.slot);
            for point in &curve.points {
                if let Some((low, high)) = point.interval {
                    let (x, low, high) = (plane.x_at(point.x), plane.y_at(low), plane.y_at(high));
                    let whisker = Stroke::solid(stroke.ink, 1.25);
                    canvas.line((x, low), (x, high), whisker);
                    for end in [low, high] {
                        canvas.line((x - 4.0, end), (x + 4.0, end), whisker);
                    }
                }
            }
            canvas.path(
                curve.points.iter().map(|point| plane.at(point.x, point.y)).collect(),
                stroke,
            );
            for point in &curve.points {
                canvas.marker(plane.at(point.x, point.y), curve.key.slot);
            }
        }
        for ((curve, text), height) in self.curves.iter().zip(labels).zip(heights) {
            let edge = plane.area.right();
            if let Some(point) = curve.points.last() {
                let (x, y) = plane.at(point.x, point.y);
                canvas.line((x + 7.0, y), (edge + 6.0, height), Stroke::solid(Ink::Rule, 0.75));
            }
            canvas.line(
                (edge + 8.0, height),
                (edge + 18.0, height),
                Stroke::solid(Ink::Series(curve.key.slot), 3.0),
            );
            canvas.label(Label::new((edge + 22.0, height), text, size::LABEL));
        }
    }
}

fn label(curve: &ScalingCurve, limit: f64) -> String {
    let note = if curve.points.is_empty() { " (no data)" } else { "" };
    measure::fit(&format!("{}{note}", curve.key.name), size::LABEL, limit)
}
