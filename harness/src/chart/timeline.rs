//! Panels above each other that share one time axis, with faults and phases as bands, and marked moments.

use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::lanes::{self, Flag};
use super::plane::{self, Frame, Plane};
use super::scale::{AxisScale, bounds};
use super::theme::{Ink, MARK_DASH, size};
use super::{Axis, Detail, Key, Probe, measure};
use crate::format::Unit;

/// Series over time.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// `time since the start`, in seconds.
    pub x_title: String,
    /// Seconds; `None`: from the first point to the last.
    pub range: Option<(f64, f64)>,
    pub panels: Vec<Panel>,
    pub bands: Vec<Band>,
    pub marks: Vec<Mark>,
}

/// One strip of a timeline with a value axis of its own.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: String,
    pub unit: Unit,
    /// Logarithmic; zeros are then drawn on the floor.
    pub log: bool,
    /// The top of the axis where it is known, such as 100 %.
    pub top: Option<f64>,
    pub curves: Vec<Curve>,
    pub limits: Vec<Limit>,
}

/// One series.
#[derive(Clone, Debug)]
pub struct Curve {
    pub key: Key,
    pub style: CurveStyle,
    /// `(seconds, value)`, ascending; `None` is a gap, and is drawn as one.
    pub points: Vec<(f64, Option<f64>)>,
}

/// How a series is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CurveStyle {
    Line,
    /// Each value holds until the next one.
    Step,
    /// Filled down to the axis.
    Area,
}

/// A horizontal line, such as a capacity or an objective.
#[derive(Clone, Debug)]
pub struct Limit {
    pub value: f64,
    pub label: String,
}

/// A stretch of time.
#[derive(Clone, Debug)]
pub struct Band {
    pub from: f64,
    pub to: f64,
    pub label: String,
    pub kind: BandKind,
}

/// What a band stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BandKind {
    Fault,
    Phase,
    /// Not counted: warm-up, cool-down.
    Excluded,
}

/// A moment.
#[derive(Clone, Debug)]
pub struct Mark {
    pub at: f64,
    pub label: String,
}

const LANE: f64 = 15.0;
const BETWEEN: f64 = 10.0;
/// Where everything goes; the height depends on it, so it is found before drawing.
#[derive(Debug, Default)]
struct Layout {
    planes: Vec<Plane>,
    bands: Vec<Flag>,
    marks: Vec<Flag>,
    n_mark_lanes: usize,
}

impl Timeline {
    pub(super) fn check(&self, probe: &mut Probe) {
        for panel in &self.panels {
            probe.series(panel.curves.iter().map(|curve| &curve.key));
            for curve in &panel.curves {
                let values = curve.points.iter().filter_map(|(_, value)| *value);
                probe.values(&curve.key.name, curve.points.iter().map(|(at, _)| *at).chain(values));
            }
            probe.values(
                &panel.title,
                panel.limits.iter().map(|limit| limit.value).chain(panel.top),
            );
        }
        probe.values("bands", self.bands.iter().flat_map(|band| [band.from, band.to]));
        probe.values("marks", self.marks.iter().map(|mark| mark.at));
        probe.values("range", self.range.into_iter().flat_map(|(from, to)| [from, to]));
    }

    pub(super) fn height(&self, width: f64, detail: Detail) -> f64 {
        let layout = self.lay_out(Rect::new(0.0, 0.0, width, 0.0), detail);
        layout
            .planes
            .last()
            .map_or(120.0, |plane| plane.area.bottom() + plane::BELOW)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect, detail: Detail) {
        if self.panels.is_empty() {
            plane::no_data(canvas, area, "nothing was sampled");
            return;
        }
        let layout = self.lay_out(area, detail);
        for (index, plane) in layout.planes.iter().enumerate() {
            self.draw_bands(canvas, plane);
            plane.draw(
                canvas,
                Frame {
                    x_axis: index + 1 == layout.planes.len(),
                },
            );
        }
        self.draw_flags(canvas, area, &layout);
        for (panel, plane) in self.panels.iter().zip(&layout.planes) {
            panel.draw(canvas, plane, area.right());
        }
    }

    fn lay_out(&self, area: Rect, detail: Detail) -> Layout {
        let height = if detail == Detail::Full { 104.0 } else { 80.0 };
        let scales: Vec<AxisScale> = self.panels.iter().map(Panel::scale).collect();
        let left = scales
            .iter()
            .map(|scale| Plane::label_room(scale, height))
            .fold(0.0, f64::max);
        let right = self
            .panels
            .iter()
            .map(|panel| panel.name_room(area.w))
            .fold(14.0, f64::max);
        let x = self.x_scale();
        let fit = |y: &AxisScale, top: f64, index: usize| {
            let is_last = index + 1 == scales.len();
            let outer = Rect::new(
                area.x,
                top,
                area.w,
                plane::ABOVE + height + if is_last { plane::BELOW } else { plane::BELOW_INNER },
            );
            Plane::with_margins(outer, x.clone(), y.clone(), left, right, Frame { x_axis: is_last })
        };
        // The flags need only the horizontal places, which do not depend on the heights.
        let Some(first) = scales.first().map(|scale| fit(scale, area.y, 0)) else {
            return Layout::default();
        };
        let shown = |label: &str| {
            if detail == Detail::Small {
                String::new()
            } else {
                label.to_owned()
            }
        };
        let bands = self
            .bands
            .iter()
            .map(|band| (first.x_at(band.from), shown(&band.label)));
        let (bands, n_band_lanes) = lanes::place(bands, area.x, area.right());
        let marks = self.marks.iter().map(|mark| (first.x_at(mark.at), shown(&mark.label)));
        let (marks, n_mark_lanes) = lanes::place(marks, area.x, area.right());
        let n_lanes = n_band_lanes + n_mark_lanes;
        let mut top = area.y + LANE * n_lanes as f64 + if n_lanes > 0 { 6.0 } else { 0.0 };
        let mut planes = Vec::with_capacity(scales.len());
        for (index, scale) in scales.iter().enumerate() {
            let plane = fit(scale, top, index);
            top = plane.area.bottom() + BETWEEN;
            planes.push(plane);
        }
        Layout {
            planes,
            bands,
            marks,
            n_mark_lanes,
        }
    }

    fn x_scale(&self) -> AxisScale {
        let points = self
            .panels
            .iter()
            .flat_map(|panel| &panel.curves)
            .flat_map(|curve| &curve.points);
        let bands = self.bands.iter().flat_map(|band| [band.from, band.to]);
        let marks = self.marks.iter().map(|mark| mark.at);
        let all = points.map(|(at, _)| *at).chain(bands).chain(marks);
        let (from, to) = self.range.unwrap_or_else(|| bounds(all));
        let (from, to) = if from.is_finite() && to.is_finite() {
            (from, to)
        } else {
            (0.0, 1.0)
        };
        AxisScale::linear(&Axis::new(self.x_title.clone(), Unit::Seconds), from, to, true)
    }

    fn draw_bands(&self, canvas: &mut Canvas, plane: &Plane) {
        for band in &self.bands {
            let (from, to) = (plane.x_at(band.from), plane.x_at(band.to));
            // A band of no width is still seen.
            let area = Rect::new(from, plane.area.y, (to - from).max(1.0), plane.area.h);
            let opacity = if band.kind == BandKind::Excluded { 0.25 } else { 0.13 };
            canvas.rect(area, band.kind.ink(), opacity);
        }
    }

    /// Names of bands and marks above the panels, each in a lane where it does not touch another.
    fn draw_flags(&self, canvas: &mut Canvas, area: Rect, layout: &Layout) {
        let (Some(first), Some(last)) = (layout.planes.first(), layout.planes.last()) else {
            return;
        };
        let lane_y = |lane: usize| area.y + LANE * (lane as f64 + 0.5);
        for (mark, flag) in self.marks.iter().zip(&layout.marks) {
            let x = first.x_at(mark.at);
            let top = if flag.text.is_empty() {
                first.area.y
            } else {
                lane_y(flag.lane) - 6.0
            };
            canvas.line(
                (x, top),
                (x, last.area.bottom()),
                Stroke::dashed(Ink::Text, 1.0, MARK_DASH),
            );
        }
        for (band, flag) in self.bands.iter().zip(&layout.bands) {
            let (from, to) = (first.x_at(band.from), first.x_at(band.to));
            canvas.rect(
                Rect::new(from, first.area.y - 3.0, (to - from).max(2.0), 3.0),
                band.kind.ink(),
                1.0,
            );
            let y = lane_y(layout.n_mark_lanes + flag.lane);
            canvas.label(flag.label(y).ink(band.kind.text_ink()).halo());
        }
        for flag in &layout.marks {
            canvas.label(flag.label(lane_y(flag.lane)).halo());
        }
    }
}

impl BandKind {
    const fn ink(self) -> Ink {
        match self {
            Self::Fault => Ink::Fault,
            Self::Phase => Ink::Phase,
            Self::Excluded => Ink::Excluded,
        }
    }

    const fn text_ink(self) -> Ink {
        match self {
            Self::Fault => Ink::Fault,
            Self::Phase | Self::Excluded => Ink::Muted,
        }
    }
}

impl Panel {
    fn values(&self) -> impl Iterator<Item = f64> {
        let values = self
            .curves
            .iter()
            .flat_map(|curve| &curve.points)
            .filter_map(|(_, value)| *value);
        values.chain(self.limits.iter().map(|limit| limit.value))
    }

    fn scale(&self) -> AxisScale {
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

    fn name_room(&self, width: f64) -> f64 {
        if !self.is_named() {
            return 14.0;
        }
        let names = self
            .curves
            .iter()
            .map(|curve| measure::width(&curve.label(), size::SMALL));
        names.fold(0.0, f64::max).min(width.min(560.0) * 0.32) + 26.0
    }

    fn draw(&self, canvas: &mut Canvas, plane: &Plane, edge: f64) {
        let area = plane.area;
        if self
            .curves
            .iter()
            .all(|curve| curve.points.iter().all(|(_, value)| value.is_none()))
        {
            plane::no_data(canvas, area, "nothing was sampled");
            return;
        }
        for curve in &self.curves {
            curve.draw(canvas, plane, self.is_named());
        }
        for limit in &self.limits {
            let y = plane.y_at(limit.value);
            canvas.line(
                (area.x, y),
                (area.right(), y),
                Stroke::dashed(Ink::Worse, 1.25, MARK_DASH),
            );
        }
        let wanted: Vec<f64> = self.limits.iter().map(|limit| plane.y_at(limit.value) - 8.0).collect();
        let heights = plane::spread(&wanted, size::SMALL + 2.0, area.y + 6.0, area.bottom() - 6.0);
        for (limit, y) in self.limits.iter().zip(heights) {
            let text = measure::fit(&limit.label, size::SMALL, area.w * 0.6);
            let label = Label::new((area.right() - 4.0, y), text, size::SMALL).align(Align::End);
            canvas.label(label.ink(Ink::Worse).halo());
        }
        if self.is_named() {
            self.draw_names(canvas, plane, edge);
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
    fn label(&self) -> String {
        let is_empty = self.points.iter().all(|(_, value)| value.is_none());
        if is_empty {
            format!("{} (no data)", self.key.name)
        } else {
            self.key.name.clone()
        }
    }

    fn draw(&self, canvas: &mut Canvas, plane: &Plane, is_dashed: bool) {
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
            // A dash tells curves apart; one alone is easier to read without.
            let dash = if is_dashed { slot % 8 } else { 0 };
            canvas.path(stretch, Stroke::dashed(Ink::Series(slot), 1.75, dash));
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
