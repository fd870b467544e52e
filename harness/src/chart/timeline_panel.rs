//! One strip of a timeline: its curves, limits, and the names at the curves' ends.

use super::canvas::{Align, Canvas, Label, Stroke};
use super::plane::{self, Plane};
use super::scale::AxisScale;
use super::theme::{Ink, MARK_DASH, size};
use super::timeline::{Curve, CurveStyle, Limit, Panel};
use super::{Axis, Probe, measure};

impl Panel {
    pub(super) fn check(&self, probe: &mut Probe) {
        probe.series(self.curves.iter().map(|curve| &curve.key));
        self.check_values(probe);
    }

    pub(super) fn check_values(&self, probe: &mut Probe) {
        for curve in &self.curves {
            let values = curve.points.iter().filter_map(|(_, value)| *value);
            probe.values(&curve.key.name, curve.points.iter().map(|(at, _)| *at).chain(values));
        }
        probe.values(&self.title, self.limits.iter().map(|limit| limit.value).chain(self.top));
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let values = self
            .curves
            .iter()
            .flat_map(|curve| &curve.points)
            .filter_map(|(_, value)| *value);
        values.chain(self.limits.iter().map(|limit| limit.value))
    }

    pub(super) fn scale(&self) -> AxisScale {
        let axis = Axis::new(self.title.clone(), self.unit);
        if self.log {
            AxisScale::log(&axis, self.values().flat_map(|value| [value, value * 1.3]))
        } else {
            AxisScale::from_zero(&axis, self.values(), self.top)
        }
    }

    /// One curve is named by the panel; several stand at their ends.
    fn is_named(&self) -> bool {
        self.curves.len() > 1
    }

    pub(super) fn name_room(&self, width: f64) -> f64 {
        if !self.is_named() {
            return 14.0;
        }
        let names = self
            .curves
            .iter()
            .map(|curve| measure::width(&curve.label(), size::SMALL));
        names.fold(0.0, f64::max).min(width.min(560.0) * 0.32) + 26.0
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, plane: &Plane, edge: f64) {
        if self.is_empty() {
            plane::no_data(canvas, plane.area, "nothing was sampled");
            return;
        }
        self.draw_curves(canvas, plane);
        if self.is_named() {
            self.draw_names(canvas, plane, edge);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.curves.iter().all(Curve::is_empty)
    }

    /// The line of one of its curves.
    pub(super) fn stroke(&self, curve: &Curve) -> Stroke {
        // A dash tells curves apart; one alone is easier to read without.
        let slot = curve.key.slot;
        let dash = if self.is_named() { slot % 8 } else { 0 };
        Stroke::dashed(Ink::Series(slot), 1.75, dash)
    }

    /// Curves and limits, without the curves' names.
    pub(super) fn draw_curves(&self, canvas: &mut Canvas, plane: &Plane) {
        let area = plane.area;
        for curve in &self.curves {
            curve.draw(canvas, plane, self.stroke(curve));
        }
        for limit in &self.limits {
            let y = plane.y_at(limit.value);
            canvas.line(
                (area.x, y),
                (area.right(), y),
                Stroke::dashed(Ink::Worse, 1.25, MARK_DASH),
            );
        }
        let beside = |limit: &Limit| {
            let y = plane.y_at(limit.value);
            // Above its line, unless that is the top of the plane.
            if y - 8.0 < area.y + 6.0 { y + 8.0 } else { y - 8.0 }
        };
        let wanted: Vec<f64> = self.limits.iter().map(beside).collect();
        let heights = plane::spread(&wanted, size::SMALL + 2.0, area.y + 6.0, area.bottom() - 6.0);
        for (limit, y) in self.limits.iter().zip(heights) {
            let text = measure::fit(&limit.label, size::SMALL, area.w * 0.6);
            let label = Label::new((area.right() - 4.0, y), text, size::SMALL).align(Align::End);
            canvas.label(label.ink(Ink::Worse).halo());
        }
    }

    fn draw_names(&self, canvas: &mut Canvas, plane: &Plane, edge: f64) {
        let area = plane.area;
        let last = |curve: &Curve| curve.points.iter().rev().find_map(|(_, value)| *value);
        let wanted: Vec<f64> = self
            .curves
            .iter()
            .map(|curve| last(curve).map_or(area.bottom(), |value| plane.y_at(value)))
            .collect();
        let heights = plane::spread(&wanted, size::SMALL + 2.0, area.y + 4.0, area.bottom() - 2.0);
        for (curve, y) in self.curves.iter().zip(heights) {
            let x = area.right() + 5.0;
            canvas.line(
                (x, y),
                (x + 12.0, y),
                Stroke {
                    width: 3.0,
                    ..Stroke::solid(Ink::Series(curve.key.slot), 3.0)
                },
            );
            let text = measure::fit(&curve.label(), size::SMALL, edge - x - 16.0);
            canvas.label(Label::new((x + 16.0, y), text, size::SMALL));
        }
    }
}

impl Curve {
    fn is_empty(&self) -> bool {
        self.points.iter().all(|(_, value)| value.is_none())
    }

    pub(super) fn label(&self) -> String {
        if self.is_empty() {
            format!("{} (no data)", self.key.name)
        } else {
            self.key.name.clone()
        }
    }

    fn draw(&self, canvas: &mut Canvas, plane: &Plane, stroke: Stroke) {
        let slot = self.key.slot;
        let points = if self.style == CurveStyle::Step {
            steps(&self.points)
        } else {
            self.points.clone()
        };
        for stretch in plane::stretches(&points, |x, y| plane.at(x, y)) {
            if let [only] = stretch.as_slice() {
                canvas.marker(*only, slot);
                continue;
            }
            if self.style == CurveStyle::Area
                && let (Some(first), Some(last)) = (stretch.first(), stretch.last())
            {
                let mut outline = stretch.clone();
                outline.extend([(last.0, plane.area.bottom()), (first.0, plane.area.bottom())]);
                canvas.polygon(outline, Ink::Series(slot), 0.18);
            }
            canvas.path(stretch, stroke);
        }
    }
}

/// Adds the corners of a series whose values hold until the next one.
fn steps(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    let mut steps = Vec::with_capacity(points.len() * 2);
    for (index, (at, value)) in points.iter().enumerate() {
        steps.push((*at, *value));
        if let (Some(value), Some((next, _))) = (value, points.get(index + 1)) {
            steps.push((*next, Some(*value)));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_until_the_next_value_and_ends_at_a_gap() {
        let points = [(0.0, Some(1.0)), (1.0, Some(3.0)), (2.0, None), (3.0, Some(2.0))];
        let expected = [
            (0.0, Some(1.0)),
            (1.0, Some(1.0)),
            (1.0, Some(3.0)),
            (2.0, Some(3.0)),
            (2.0, None),
            (3.0, Some(2.0)),
        ];
        assert_eq!(steps(&points), expected);
    }
}
