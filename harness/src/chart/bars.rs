//! Grouped bars with their intervals and their values.

use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::plane;
use super::scale::{AxisScale, Tick};
use super::theme::{Ink, size};
use super::{Axis, Key};
use super::{Detail, Probe, measure};
use crate::format::{MISSING, Scale};

/// One bar a series in each group.
#[derive(Clone, Debug)]
pub struct Bars {
    pub value: Axis,
    /// For values that differ by orders of magnitude; bars then start at the lowest decade.
    pub log: bool,
    pub series: Vec<Key>,
    pub groups: Vec<BarGroup>,
}

/// Bars that belong together.
#[derive(Clone, Debug)]
pub struct BarGroup {
    pub name: String,
    /// As many as there are series; `None` is shown as `n/a`.
    pub bars: Vec<Option<Bar>>,
}

/// A value and, where there is one, its interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bar {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
}

const ROW: f64 = 21.0;
const HEAD: f64 = 20.0;
const BELOW_GROUP: f64 = 8.0;
const AXIS: f64 = 40.0;
/// A small figure shows no more rows than this, and says so.
const MOST_SMALL_ROWS: usize = 7;

/// One line of the figure.
#[derive(Clone, PartialEq, Debug)]
enum Line<'a> {
    Head(&'a str),
    Bar {
        name: &'a str,
        slot: usize,
        bar: Option<Bar>,
    },
    More(usize),
}

impl Bars {
    pub(super) fn check(&self, probe: &mut Probe) {
        probe.series(self.series.iter());
        for group in &self.groups {
            let bars = group.bars.iter().flatten();
            let bounds = bars
                .clone()
                .filter_map(|bar| bar.interval)
                .flat_map(|(low, high)| [low, high]);
            probe.values(&group.name, bars.map(|bar| bar.value).chain(bounds));
        }
    }

    pub(super) fn height(&self, detail: Detail) -> f64 {
        let lines = self.lines(detail);
        if lines.is_empty() {
            return 120.0;
        }
        lines.iter().map(Line::height).sum::<f64>() + AXIS
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect, detail: Detail) {
        let bars = || self.groups.iter().flat_map(|group| group.bars.iter().flatten());
        if bars().next().is_none() {
            plane::no_data(canvas, area, "nothing was measured");
            return;
        }
        let values = bars().flat_map(|bar| {
            let (low, high) = bar.interval.unwrap_or((bar.value, bar.value));
            [bar.value, low, high]
        });
        let scale = if self.log {
            AxisScale::log(&self.value, values)
        } else {
            AxisScale::from_zero(&self.value, values, None)
        };
        let lines = self.lines(detail);
        let texts: Vec<String> = lines.iter().map(|line| line.value_text(scale.step(), detail)).collect();
        let widest = |texts: &mut dyn Iterator<Item = &str>, limit: f64| {
            texts
                .map(|text| measure::width(text, size::LABEL))
                .fold(0.0, f64::max)
                .min(limit)
        };
        let left = widest(&mut lines.iter().map(Line::name), area.w * 0.34).max(20.0) + 10.0;
        let right = widest(&mut texts.iter().map(String::as_str), area.w * 0.36).max(20.0) + 12.0;
        let plot = Rect::new(area.x + left, area.y, (area.w - left - right).max(40.0), area.h - AXIS);
        axis_below(canvas, area, plot, &scale, scale.ticks_across(plot.w));

        let place = |value: f64| plot.x + scale.position(value) * plot.w;
        // Bars start at zero; on a logarithmic axis, at its edge.
        let start = if self.log { plot.x } else { place(0.0) };
        canvas.line((start, plot.y), (start, plot.bottom()), Stroke::solid(Ink::Rule, 1.0));
        let mut y = plot.y;
        for (line, text) in lines.iter().zip(&texts) {
            let middle = y + line.height() / 2.0;
            match line {
                Line::Head(name) => {
                    let name = measure::fit(name, size::LABEL, area.w);
                    canvas.label(
                        Label::new((area.x, y + BELOW_GROUP + 4.0), name, size::LABEL)
                            .bold()
                            .halo(),
                    );
                }
                Line::More(n_hidden) => {
                    let text = format!("and {n_hidden} more in the report");
                    canvas.label(Label::new((area.x, middle), text, size::SMALL).ink(Ink::Muted).halo());
                }
                Line::Bar { name, slot, bar } => {
                    let name = measure::fit(name, size::LABEL, left - 10.0);
                    canvas.label(Label::new((plot.x - 8.0, middle), name, size::LABEL).align(Align::End));
                    let mut end = plot.x;
                    if let Some(bar) = bar {
                        end = place(bar.value);
                        let (from, to) = if end < start { (end, start) } else { (start, end) };
                        // A sliver shows that there is a bar.
                        let body = Rect::new(from, middle - 7.0, (to - from).max(1.0), 14.0);
                        canvas.rect(body, Ink::Series(*slot), 1.0);
                        if let Some((low, high)) = bar.interval {
                            canvas.whisker((place(low), place(high)), middle, Stroke::solid(Ink::Text, 1.25));
                            end = end.max(place(high));
                        }
                        end = end.max(start);
                    }
                    let text = measure::fit(text, size::LABEL, right - 8.0);
                    canvas.label(
                        Label::new((end + 7.0, middle), text, size::LABEL)
                            .ink(Ink::Muted)
                            .halo(),
                    );
                }
            }
            y += line.height();
        }
    }

    /// Groups with one series need no heading.
    fn lines(&self, detail: Detail) -> Vec<Line<'_>> {
        let single = self.series.len() == 1;
        let mut lines = Vec::new();
        for group in &self.groups {
            if !single {
                lines.push(Line::Head(&group.name));
            }
            for (position, key) in self.series.iter().enumerate() {
                let bar = group.bars.get(position).copied().flatten();
                let name = if single { &group.name } else { &key.name };
                lines.push(Line::Bar {
                    name,
                    slot: key.slot,
                    bar,
                });
            }
        }
        if detail == Detail::Small && lines.len() > MOST_SMALL_ROWS {
            let is_bar = |line: &Line<'_>| matches!(line, Line::Bar { .. });
            let n_hidden = lines[MOST_SMALL_ROWS - 1..].iter().filter(|line| is_bar(line)).count();
            lines.truncate(MOST_SMALL_ROWS - 1);
            lines.push(Line::More(n_hidden));
        }
        lines
    }
}

impl Line<'_> {
    const fn height(&self) -> f64 {
        match self {
            Self::Head(_) => HEAD + BELOW_GROUP,
            Self::Bar { .. } | Self::More(_) => ROW,
        }
    }

    fn name(&self) -> &str {
        if let Self::Bar { name, .. } = self { name } else { "" }
    }

    fn value_text(&self, step: &Scale, detail: Detail) -> String {
        match self {
            Self::Bar {
                bar:
                    Some(Bar {
                        value,
                        interval: Some((low, high)),
                    }),
                ..
            } if detail == Detail::Full => step.interval(*value, *low, *high),
            Self::Bar {
                bar: Some(Bar { value, .. }),
                ..
            } => step.text(*value),
            Self::Bar { bar: None, .. } => MISSING.to_owned(),
            Self::Head(_) | Self::More(_) => String::new(),
        }
    }
}

/// Grid, labels and title of a horizontal axis under `plot`, within `area`.
pub(super) fn axis_below(canvas: &mut Canvas, area: Rect, plot: Rect, scale: &AxisScale, ticks: Vec<Tick>) {
    for tick in ticks {
        let x = plot.x + tick.position * plot.w;
        canvas.line((x, plot.y), (x, plot.bottom()), Stroke::solid(Ink::Grid, 1.0));
        canvas.label(
            Label::new((x, plot.bottom() + 11.0), tick.label, size::LABEL)
                .align(Align::Middle)
                .ink(Ink::Muted),
        );
    }
    let middle = plot.x + plot.w / 2.0;
    let limit = 2.0 * (middle - area.x).min(area.right() - middle);
    let title = measure::fit(&scale.title(), size::LABEL, limit);
    let at = (middle, plot.bottom() + 11.0 + size::LINE);
    canvas.label(Label::new(at, title, size::LABEL).align(Align::Middle).ink(Ink::Muted));
}
