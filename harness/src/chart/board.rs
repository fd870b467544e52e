//! The panels of a dashboard in a grid: small planes over one stretch of time, each with its names below it.

use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::plane::{self, Frame, Plane};
use super::scale::AxisScale;
use super::theme::{Ink, size};
use super::{Axis, Panel, Probe, State, measure, rows};

/// Panels over one stretch of time, two beside each other.
#[derive(Clone, Debug)]
pub struct Board {
    pub x: Axis,
    /// Where the time axes begin and end, in the unit of `x`.
    pub range: (f64, f64),
    pub panes: Vec<Pane>,
}

/// One panel with the words around it.
#[derive(Clone, Debug)]
pub struct Pane {
    /// A sentence under the title, which is the panel's.
    pub says: String,
    pub panel: Panel,
    /// What values stand for, where each curve is a row of its own and no line.
    pub states: Option<Vec<State>>,
    /// Why there is nothing, where no curve has a value.
    pub reason: String,
    /// What a reader must know of that is not drawn.
    pub notes: Vec<String>,
    /// Takes a row of its own.
    pub is_wide: bool,
}

const COLUMNS: usize = 2;
const GAP: f64 = 28.0;
const TITLE: f64 = 18.0;
/// The plane itself, and a box in its place.
const PLANE: f64 = 104.0;
const NOTHING: f64 = 48.0;
/// From the words above to the plane, where half of the uppermost tick's label stands.
const ABOVE: f64 = 10.0;
/// The labels of the time axis.
const TICKS: f64 = 22.0;
const RIGHT: f64 = 14.0;
const ROW: f64 = 15.0;
/// The piece of a line before a name.
const SAMPLE: f64 = 22.0;

/// Panes beside each other, with what they share.
#[derive(Debug)]
struct Row<'a> {
    panes: Vec<&'a Pane>,
    height: f64,
    /// The words above the planes, so that these begin at one height.
    head: f64,
    /// Below its planes stands what the time axes of all are.
    is_last: bool,
}

impl<'a> Row<'a> {
    fn new(panes: Vec<&'a Pane>, width: f64, is_last: bool) -> Self {
        let tallest = |of: fn(&Pane, f64) -> f64| {
            let heights = panes.iter().map(|pane| of(pane, pane.width(width)));
            heights.fold(0.0, f64::max)
        };
        let head = tallest(Pane::head);
        let title = if is_last { size::LINE } else { 0.0 };
        let height = head + tallest(Pane::below_head) + title;
        Self {
            panes,
            height,
            head,
            is_last,
        }
    }
}

impl Board {
    pub(super) fn check(&self, probe: &mut Probe) {
        for pane in &self.panes {
            if let Some(states) = &pane.states {
                // Rows are told apart by where they stand, so that there may be any number.
                pane.panel.check_values(probe);
                probe.series(states.iter().map(|state| &state.key));
            } else {
                pane.panel.check(probe);
            }
        }
        probe.values("range", [self.range.0, self.range.1]);
    }

    pub(super) fn height(&self, width: f64) -> f64 {
        let rows = self.rows(width);
        if rows.is_empty() {
            return 120.0;
        }
        let n_gaps = rows.len() - 1;
        rows.iter().map(|row| row.height).sum::<f64>() + GAP * n_gaps as f64
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Rect) {
        let rows = self.rows(area.w);
        if rows.is_empty() {
            plane::no_data(canvas, area, "a dashboard without panels");
            return;
        }
        let x = AxisScale::linear(&self.x, self.range.0, self.range.1, true);
        let margins = self.margins(&rows);
        let mut y = area.y;
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                let line = y - GAP / 2.0;
                canvas.line((area.x, line), (area.right(), line), Stroke::solid(Ink::Grid, 1.0));
            }
            for (column, pane) in row.panes.iter().enumerate() {
                let width = pane.width(area.w);
                let left = area.x + (width + GAP) * column as f64;
                let cell = Rect::new(left, y, width, row.height);
                pane.draw(canvas, cell, row, &x, margins[column]);
            }
            y += row.height + GAP;
        }
    }

    fn rows(&self, width: f64) -> Vec<Row<'_>> {
        let mut rows: Vec<Vec<&Pane>> = Vec::new();
        for pane in &self.panes {
            match rows.last_mut() {
                Some(row) if !pane.is_wide && row.len() < COLUMNS && row.iter().all(|other| !other.is_wide) => {
                    row.push(pane);
                }
                _ => rows.push(vec![pane]),
            }
        }
        let n_rows = rows.len();
        let laid_out = (1..).zip(rows).map(|(n, panes)| Row::new(panes, width, n == n_rows));
        laid_out.collect()
    }

    /// What the labels of the vertical axes need in each column, so that the time axes stand under each other.
    fn margins(&self, rows: &[Row<'_>]) -> [f64; COLUMNS] {
        let mut margins = [0.0_f64; COLUMNS];
        for row in rows {
            for (pane, margin) in row.panes.iter().zip(&mut margins) {
                if pane.states.is_some() {
                    continue;
                }
                *margin = margin.max(Plane::label_room(&pane.panel.scale(), PLANE));
            }
        }
        margins
    }
}

impl Pane {
    fn width(&self, whole: f64) -> f64 {
        if self.is_wide {
            whole
        } else {
            (whole - GAP * (COLUMNS - 1) as f64) / COLUMNS as f64
        }
    }

    fn says(&self, width: f64) -> Vec<String> {
        measure::wrap(&self.says, size::SMALL, width)
    }

    fn notes(&self, width: f64) -> Vec<String> {
        let wrapped = self.notes.iter().map(|note| measure::wrap(note, size::SMALL, width));
        wrapped.flatten().collect()
    }

    fn head(&self, width: f64) -> f64 {
        TITLE + size::LINE * self.says(width).len() as f64 + ABOVE
    }

    fn below_head(&self, width: f64) -> f64 {
        let notes = ROW * self.notes(width).len() as f64;
        if self.panel.is_empty() {
            return NOTHING + 6.0 + notes;
        }
        let names = self.names(width).last().map_or(0.0, |name| name.y + ROW);
        self.plane() + TICKS + names + notes
    }

    /// How high the plane is.
    fn plane(&self) -> f64 {
        match self.states {
            Some(_) => rows::PITCH * self.panel.curves.len() as f64,
            None => PLANE,
        }
    }

    fn draw(&self, canvas: &mut Canvas, cell: Rect, row: &Row<'_>, x: &AxisScale, left: f64) {
        let scale = self.panel.scale();
        let title = if self.panel.is_empty() || self.states.is_some() {
            self.panel.title.clone()
        } else {
            scale.title()
        };
        let title = measure::fit(&title, size::LABEL + 1.0, cell.w * 0.94);
        canvas.label(Label::new((cell.x, cell.y + TITLE / 2.0), title, size::LABEL + 1.0).bold());
        let mut y = cell.y + TITLE;
        for line in self.says(cell.w) {
            canvas.label(Label::new((cell.x, y + size::LINE / 2.0), line, size::SMALL).ink(Ink::Muted));
            y += size::LINE;
        }
        y = cell.y + row.head;
        if self.panel.is_empty() {
            plane::no_data(canvas, Rect::new(cell.x, y, cell.w, NOTHING), &self.reason);
            self.draw_notes(canvas, (cell.x, y + NOTHING + 6.0), cell.w);
            return;
        }
        let left = match self.states {
            Some(_) => rows::name_room(&self.panel, cell.w),
            None => left,
        };
        // The plane asks for room above and below that is not needed here: its title stands in the head.
        let height = plane::ABOVE + self.plane() + plane::BELOW;
        let outer = Rect::new(cell.x, y - plane::ABOVE, cell.w, height);
        let plane = Plane::with_margins(outer, x.clone(), scale, left, RIGHT, Frame::FULL);
        if let Some(states) = &self.states {
            plane.draw_time(canvas, Frame::FULL);
            rows::draw(canvas, &self.panel, states, &plane, left);
        } else {
            plane.draw(canvas, Frame::FULL);
            self.panel.draw_curves(canvas, &plane);
        }
        y += self.plane() + TICKS;
        if row.is_last {
            let title = measure::fit(&x.title(), size::SMALL, plane.area.w);
            let at = (plane.area.x + plane.area.w / 2.0, y + size::LINE / 2.0 - 2.0);
            canvas.label(Label::new(at, title, size::SMALL).align(Align::Middle).ink(Ink::Muted));
            y += size::LINE;
        }
        let names = self.names(cell.w);
        let behind_names = names.last().map_or(0.0, |name| name.y + ROW);
        for name in names {
            let (x, y) = (cell.x + name.x, y + name.y + ROW / 2.0);
            match name.sample {
                Sample::Line(stroke) => canvas.line((x, y), (x + SAMPLE, y), stroke),
                Sample::Patch(slot) => canvas.rect(Rect::new(x, y - 5.0, SAMPLE, 10.0), Ink::Series(slot), 1.0),
            }
            canvas.label(Label::new((x + SAMPLE + 5.0, y), name.text, size::SMALL));
        }
        y += behind_names;
        self.draw_notes(canvas, (cell.x, y), cell.w);
    }

    fn names(&self, width: f64) -> Vec<Name> {
        let named: Vec<(String, Sample)> = match &self.states {
            Some(states) => states
                .iter()
                .map(|state| (state.key.name.clone(), Sample::Patch(state.key.slot)))
                .collect(),
            None => self
                .panel
                .curves
                .iter()
                .map(|curve| (curve.label(), Sample::Line(self.panel.stroke(curve))))
                .collect(),
        };
        let (mut x, mut y) = (0.0, 0.0);
        let mut names = Vec::with_capacity(named.len());
        for (text, sample) in named {
            let text = measure::fit(&text, size::SMALL, (width - SAMPLE - 8.0).max(20.0));
            let wide = SAMPLE + 5.0 + measure::width(&text, size::SMALL);
            if x > 0.0 && x + wide > width {
                (x, y) = (0.0, y + ROW);
            }
            names.push(Name { x, y, sample, text });
            x += wide + 14.0;
        }
        names
    }

    fn draw_notes(&self, canvas: &mut Canvas, (x, mut y): (f64, f64), width: f64) {
        for line in self.notes(width) {
            canvas.label(Label::new((x, y + ROW / 2.0), line, size::SMALL).ink(Ink::Muted));
            y += ROW;
        }
    }
}

/// A name of a curve or of a state, and where it stands under the plane.
#[derive(Debug)]
struct Name {
    x: f64,
    y: f64,
    sample: Sample,
    text: String,
}

/// What stands before a name.
#[derive(Clone, Copy, Debug)]
enum Sample {
    Line(Stroke),
    /// In the colour of this slot.
    Patch(usize),
}
