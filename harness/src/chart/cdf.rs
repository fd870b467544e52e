//! Which share of the requests was at most this slow, a curve per variant, on a logarithmic axis.

use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::plane::{self, Frame, Plane, Sample};
use super::scale::AxisScale;
use super::theme::{Ink, size};
use super::{Axis, Key};
use super::{Detail, Probe};
use crate::format::Unit;

/// A cumulative distribution per series.
#[derive(Clone, Debug)]
pub struct Cdf {
    /// What is measured, usually `response time` in seconds; always logarithmic.
    pub x: Axis,
    pub share: ShareAxis,
    pub curves: Vec<CdfCurve>,
}

/// How the share of requests is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShareAxis {
    /// 0 % to 100 % evenly: shows the body.
    Even,
    /// 0, 90, 99, 99.9 % at the same distance: shows the tail.
    Tail,
}

/// One curve.
#[derive(Clone, Debug)]
pub struct CdfCurve {
    pub key: Key,
    /// `(value, share)`: ascending, the share from 0 to 1.
    pub points: Vec<(f64, f64)>,
}

/// Where a reader looks first.
const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")];

impl Cdf {
    pub(super) fn check(&self, probe: &mut Probe) {
        probe.series(self.curves.iter().map(|curve| &curve.key));
        for curve in &self.curves {
            probe.values(
                &curve.key.name,
                curve.points.iter().flat_map(|(value, share)| [*value, *share]),
            );
        }
    }

    pub(super) fn height(&self, detail: Detail) -> f64 {
        match detail {
            Detail::Full => 350.0,
            Detail::Small => 220.0,
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect) {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        if points().next().is_none() {
            plane::no_data(canvas, area, "no request was measured");
            return;
        }
        let missing: Vec<Key> = self
            .curves
            .iter()
            .filter(|curve| curve.points.is_empty())
            .map(without_data)
            .collect();
        let measured = self.curves.iter().filter(|curve| !curve.points.is_empty());
        let entries: Vec<_> = measured
            .clone()
            .map(|curve| &curve.key)
            .chain(&missing)
            .map(|key| (key, Sample::MarkedLine))
            .collect();
        let legend = plane::legend(canvas, (area.x, area.y), area.w, &entries);
        let outer = Rect::new(area.x, area.y + legend, area.w, (area.h - legend).max(60.0));

        let x = AxisScale::log(&self.x, points().map(|(value, _)| *value));
        let frame = Frame::FULL;
        let plane = Plane::fit(outer, x, self.share_axis(), 40.0, frame);
        plane.draw(canvas, frame);
        plane.draw_titles(canvas, frame);
        self.quantile_lines(canvas, &plane);
        for curve in measured {
            let line = curve
                .points
                .iter()
                .map(|(value, share)| (*value, Some(self.share(*share))))
                .collect::<Vec<_>>();
            for stretch in plane::stretches(&line, |x, y| plane.at(x, y)) {
                canvas.path(stretch, Stroke::series(curve.key.slot));
            }
            for (quantile, _) in QUANTILES {
                if let Some(value) = curve.value_at(quantile) {
                    canvas.marker(plane.at(value, self.share(quantile)), curve.key.slot);
                }
            }
        }
    }

    fn share(&self, share: f64) -> f64 {
        match self.share {
            ShareAxis::Even => share * 100.0,
            ShareAxis::Tail => share,
        }
    }

    fn share_axis(&self) -> AxisScale {
        let title = "share of requests at most this slow";
        match self.share {
            ShareAxis::Even => AxisScale::linear(&Axis::new(title, Unit::Percent), 0.0, 100.0, true),
            ShareAxis::Tail => {
                let shares = self
                    .curves
                    .iter()
                    .flat_map(|curve| &curve.points)
                    .map(|(_, share)| *share);
                let deepest = shares.filter(|share| *share < 1.0).fold(0.99, f64::max);
                AxisScale::tail(title, -(1.0 - deepest).log10() - 1e-9)
            }
        }
    }

    fn quantile_lines(&self, canvas: &mut Canvas, plane: &Plane) {
        let heights = QUANTILES.map(|(quantile, _)| plane.y_at(self.share(quantile)));
        let labels = plane::spread(&heights, size::SMALL + 2.0, plane.area.y, plane.area.bottom());
        for ((y, label_y), (_, name)) in heights.into_iter().zip(labels).zip(QUANTILES) {
            canvas.line(
                (plane.area.x, y),
                (plane.area.right(), y),
                Stroke::dashed(Ink::Rule, 1.0, super::theme::MARK_DASH),
            );
            let at = (plane.area.right() + 6.0, label_y);
            canvas.label(Label::new(at, name, size::SMALL).align(Align::Start).ink(Ink::Muted));
        }
    }
}

impl CdfCurve {
    /// The value below which `share` of the requests lie; `None` when the curve does not reach it.
    fn value_at(&self, share: f64) -> Option<f64> {
        self.points
            .iter()
            .find(|(_, reached)| *reached >= share)
            .map(|(value, _)| *value)
    }
}

fn without_data(curve: &CdfCurve) -> Key {
    Key::new(format!("{} (no data)", curve.key.name), curve.key.slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_quantiles_and_says_when_there_is_none() {
        let curve = CdfCurve {
            key: Key::new("off", 0),
            points: vec![(1.0, 0.4), (2.0, 0.5), (9.0, 0.96)],
        };
        assert_eq!(curve.value_at(0.5), Some(2.0));
        assert_eq!(curve.value_at(0.95), Some(9.0));
        assert_eq!(curve.value_at(0.99), None);
    }
}
