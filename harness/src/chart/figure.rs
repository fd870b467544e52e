//! A figure with its head: checked, laid out and drawn, whatever its kind.

use std::collections::BTreeSet;

use super::bars::Bars;
use super::board::Board;
use super::canvas::{Canvas, Label, Rect};
use super::cdf::Cdf;
use super::effects::Effects;
use super::heatmap::HeatMap;
use super::multiples::Multiples;
use super::scaling::Scaling;
use super::stacked::Stacked;
use super::svg::{self, Place};
use super::theme::{Ink, size};
use super::timeline::Timeline;
use super::{measure, plane};
use crate::format::Unit;

/// A figure with its head.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What is shown; a noun phrase.
    pub title: String,
    /// Under the title, such as load and number of blocks; the document's mark is added when it is rendered.
    pub subtitle: Option<String>,
    pub figure: Figure,
}

/// Every kind of figure.
#[derive(Clone, Debug)]
pub enum Figure {
    Cdf(Cdf),
    Timeline(Timeline),
    Bars(Bars),
    Stacked(Stacked),
    Scaling(Scaling),
    Effects(Effects),
    HeatMap(HeatMap),
    Multiples(Multiples),
    Board(Board),
    /// Nothing to draw, and why.
    NoData(String),
}

/// The name of a series, and the slot that gives it the same colour, dash and marker in every chart of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub name: String,
    /// 0 to 7; larger ones start again.
    pub slot: usize,
}

impl Key {
    /// A series in its slot.
    pub fn new(name: impl Into<String>, slot: usize) -> Self {
        Self {
            name: name.into(),
            slot,
        }
    }
}

/// The words and the unit of an axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axis {
    /// Without the unit, which is added when the step is known.
    pub title: String,
    pub unit: Unit,
}

impl Axis {
    /// An axis named `title`.
    pub fn new(title: impl Into<String>, unit: Unit) -> Self {
        Self {
            title: title.into(),
            unit,
        }
    }
}

/// More series than this cannot be told apart.
pub const MOST_SERIES: usize = 8;

/// Why a chart was not drawn.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A measured value is not a finite number: a bug where it was computed.
    #[error("chart `{chart}` holds a value that is not a finite number in `{series}`; leave a missing value out")]
    NotFinite { chart: String, series: String },
    /// More series than colours and markers.
    #[error("chart `{chart}` has {n_series} series, of which at most {MOST_SERIES} can be told apart; split it")]
    TooManySeries { chart: String, n_series: usize },
    /// The backend gave up.
    #[error("cannot draw chart `{chart}`: {reason}")]
    Backend { chart: String, reason: String },
}

/// The words around a drawing that come from the report.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// What somebody who cannot see it needs to know.
    pub alt: &'a str,
    /// What limits the numbers, such as `SQLite numbers`.
    pub mark: Option<&'a str>,
}

impl Chart {
    /// A file of its own, with a background and both colour schemes.
    ///
    /// # Errors
    /// When a value is not finite or there are too many series.
    pub fn svg(&self, labels: Labels<'_>) -> Result<String, ChartError> {
        self.write(labels, Place::File)
    }

    /// For a page that has the theme's style sheet.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn inline_svg(&self, labels: Labels<'_>) -> Result<String, ChartError> {
        self.write(labels, Place::Inline)
    }

    fn write(&self, labels: Labels<'_>, place: Place) -> Result<String, ChartError> {
        let mut probe = Probe::new(&self.title);
        self.figure.check(&mut probe);
        probe.result?;
        let (mut shapes, height) = self.lay_out(labels.mark);
        if place == Place::File {
            let mut page = Canvas::default();
            page.rect(Rect::new(0.0, 0.0, size::WIDTH, height), Ink::Background, 1.0);
            page.shapes.append(&mut shapes.shapes);
            shapes = page;
        }
        let raw = shapes
            .write(size::WIDTH, height)
            .map_err(|reason| ChartError::Backend {
                chart: self.title.clone(),
                reason,
            })?;
        Ok(svg::finish(&raw, size::WIDTH, height, labels.alt, place))
    }

    /// The shapes, and the height that they need.
    pub(super) fn lay_out(&self, mark: Option<&str>) -> (Canvas, f64) {
        let mut canvas = Canvas::default();
        let inner = size::WIDTH - 2.0 * size::PAD;
        let mut y = size::PAD + 8.0;
        for line in measure::wrap(&self.title, size::TITLE, inner) {
            canvas.label(Label::new((size::PAD, y), line, size::TITLE).bold());
            y += 20.0;
        }
        for line in measure::wrap(self.subtitle.as_deref().unwrap_or_default(), size::LABEL, inner) {
            canvas.label(Label::new((size::PAD, y), line, size::LABEL).ink(Ink::Muted));
            y += size::LINE;
        }
        for line in measure::wrap(mark.unwrap_or_default(), size::LABEL, inner) {
            canvas.label(Label::new((size::PAD, y), line, size::LABEL).ink(Ink::Worse).bold());
            y += size::LINE;
        }
        let height = self.figure.height(inner, Detail::Full);
        self.figure
            .draw(&mut canvas, Rect::new(size::PAD, y, inner, height), Detail::Full);
        (canvas, (y + height + size::PAD).ceil())
    }
}

/// How much of a figure is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Detail {
    Full,
    /// In a grid of small figures.
    Small,
}

impl Figure {
    pub(super) fn check(&self, probe: &mut Probe) {
        match self {
            Self::Cdf(figure) => figure.check(probe),
            Self::Timeline(figure) => figure.check(probe),
            Self::Bars(figure) => figure.check(probe),
            Self::Stacked(figure) => figure.check(probe),
            Self::Scaling(figure) => figure.check(probe),
            Self::Effects(figure) => figure.check(probe),
            Self::HeatMap(figure) => figure.check(probe),
            Self::Multiples(figure) => figure.check(probe),
            Self::Board(figure) => figure.check(probe),
            Self::NoData(_) => {}
        }
    }

    pub(super) fn height(&self, width: f64, detail: Detail) -> f64 {
        match self {
            Self::Cdf(figure) => figure.height(detail),
            Self::Timeline(figure) => figure.height(width, detail),
            Self::Bars(figure) => figure.height(detail),
            Self::Stacked(figure) => figure.height(width, detail),
            Self::Scaling(_) if detail == Detail::Small => 210.0,
            Self::Scaling(_) => 340.0,
            Self::Effects(figure) => figure.height(width, detail),
            Self::HeatMap(figure) => figure.height(),
            Self::Multiples(figure) => figure.height(width),
            Self::Board(figure) => figure.height(width),
            Self::NoData(_) => 120.0,
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect, detail: Detail) {
        match self {
            Self::Cdf(figure) => figure.draw(canvas, area),
            Self::Timeline(figure) => figure.draw(canvas, area, detail),
            Self::Bars(figure) => figure.draw(canvas, area, detail),
            Self::Stacked(figure) => figure.draw(canvas, area, detail),
            Self::Scaling(figure) => figure.draw(canvas, area),
            Self::Effects(figure) => figure.draw(canvas, area, detail),
            Self::HeatMap(figure) => figure.draw(canvas, area),
            Self::Multiples(figure) => figure.draw(canvas, area),
            Self::Board(figure) => figure.draw(canvas, area),
            Self::NoData(reason) => plane::no_data(canvas, area, reason),
        }
    }
}

/// Looks at every value before anything is drawn.
#[derive(Debug)]
pub(super) struct Probe {
    chart: String,
    pub(super) result: Result<(), ChartError>,
}

impl Probe {
    pub(super) fn new(chart: &str) -> Self {
        Self {
            chart: chart.to_owned(),
            result: Ok(()),
        }
    }

    /// Refuses more series than can be told apart.
    pub(super) fn series<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) {
        let names: BTreeSet<&str> = keys.map(|key| key.name.as_str()).collect();
        if self.result.is_ok() && names.len() > MOST_SERIES {
            self.result = Err(ChartError::TooManySeries {
                chart: self.chart.clone(),
                n_series: names.len(),
            });
        }
    }

    /// Refuses what is not a finite number.
    pub(super) fn values(&mut self, series: &str, values: impl IntoIterator<Item = f64>) {
        if self.result.is_ok() && values.into_iter().any(|value| !value.is_finite()) {
            self.result = Err(ChartError::NotFinite {
                chart: self.chart.clone(),
                series: series.to_owned(),
            });
        }
    }
}
