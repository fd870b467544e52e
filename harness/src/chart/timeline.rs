//! Panels above each other that share one time axis, with faults and phases as bands, and marked moments.

use super::canvas::{Canvas, Rect, Stroke};
use super::lanes::{self, Flag};
use super::plane::{self, Frame, Plane};
use super::scale::{AxisScale, bounds};
use super::theme::{Ink, MARK_DASH};
use super::{Axis, Detail, Key, Probe};
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
    n_band_lanes: usize,
}

impl Timeline {
    pub(super) fn check(&self, probe: &mut Probe) {
        for panel in &self.panels {
            panel.check(probe);
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
        // After the marks' lines, which run through the titles' height.
        for (index, plane) in layout.planes.iter().enumerate() {
            let x_axis = index + 1 == layout.planes.len();
            plane.draw_titles(canvas, Frame { x_axis });
        }
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
            n_band_lanes,
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

    /// Names of bands and marks above the panels, each in a lane where it does not touch another. Those of bands stand above:
    /// the line of a mark begins at its name, and so crosses none of them.
    fn draw_flags(&self, canvas: &mut Canvas, area: Rect, layout: &Layout) {
        let (Some(first), Some(last)) = (layout.planes.first(), layout.planes.last()) else {
            return;
        };
        let lane_y = |lane: usize| area.y + LANE * (lane as f64 + 0.5);
        let mark_y = |flag: &Flag| lane_y(layout.n_band_lanes + flag.lane);
        for (mark, flag) in self.marks.iter().zip(&layout.marks) {
            let x = first.x_at(mark.at);
            let top = if flag.text.is_empty() {
                first.area.y
            } else {
                mark_y(flag) - 6.0
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
            canvas.label(flag.label(lane_y(flag.lane)).ink(band.kind.text_ink()).halo());
        }
        for flag in &layout.marks {
            canvas.label(flag.label(mark_y(flag)).halo());
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
