//! A list of shapes, which plotters then writes as SVG.
//!
//! Drawing collects shapes and cannot fail; only writing can. So layout is tested on the shapes themselves, for instance
//! that no two labels overlap.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

#[cfg(test)]
use super::measure;
use super::theme::{FONT_STACK, Ink, Marker, marker};

/// A point in pixels, from the upper left.
pub(super) type Point = (f64, f64);

/// A rectangle in pixels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

impl Rect {
    pub(super) const fn new(x: f64, y: f64, w: f64, h: f64) -> Self {
        Self { x, y, w, h }
    }

    pub(super) fn right(&self) -> f64 {
        self.x + self.w
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.h
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Stroke {
    pub(super) ink: Ink,
    pub(super) width: f64,
    /// Index into the theme's dashes; 0 is solid.
    pub(super) dash: usize,
}

impl Stroke {
    pub(super) const fn solid(ink: Ink, width: f64) -> Self {
        Self { ink, width, dash: 0 }
    }

    pub(super) const fn dashed(ink: Ink, width: f64, dash: usize) -> Self {
        Self { ink, width, dash }
    }

    /// The line of the series in `slot`.
    pub(super) const fn series(slot: usize) -> Self {
        Self {
            ink: Ink::Series(slot),
            width: 2.0,
            dash: slot % 8,
        }
    }
}

/// Which end of a text is at its point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

/// One label; its point is at half its height.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Label {
    pub(super) at: Point,
    pub(super) text: String,
    pub(super) ink: Ink,
    pub(super) size: f64,
    pub(super) align: Align,
    pub(super) bold: bool,
    /// Carries the background around it, since it stands over lines.
    pub(super) halo: bool,
}

impl Label {
    pub(super) fn new(at: Point, text: impl Into<String>, size: f64) -> Self {
        Self {
            at,
            text: text.into(),
            ink: Ink::Text,
            size,
            align: Align::Start,
            bold: false,
            halo: false,
        }
    }

    pub(super) fn ink(mut self, ink: Ink) -> Self {
        self.ink = ink;
        self
    }

    pub(super) fn align(mut self, align: Align) -> Self {
        self.align = align;
        self
    }

    pub(super) fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    pub(super) fn halo(mut self) -> Self {
        self.halo = true;
        self
    }

    /// The space that it takes.
    #[cfg(test)]
    pub(super) fn bounds(&self) -> Rect {
        let width = measure::width(&self.text, self.size);
        let left = match self.align {
            Align::Start => 0.0,
            Align::Middle => width / 2.0,
            Align::End => width,
        };
        Rect::new(self.at.0 - left, self.at.1 - self.size * 0.5, width, self.size)
    }
}

/// One thing on the canvas.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Shape {
    Path {
        points: Vec<Point>,
        stroke: Stroke,
    },
    Polygon {
        points: Vec<Point>,
        ink: Ink,
        opacity: f64,
    },
    Circle {
        centre: Point,
        radius: f64,
        ink: Ink,
        filled: bool,
    },
    Label(Label),
}

/// Shapes in the order in which they cover each other.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Canvas {
    pub(super) shapes: Vec<Shape>,
}

impl Canvas {
    pub(super) fn line(&mut self, from: Point, to: Point, stroke: Stroke) {
        self.path(vec![from, to], stroke);
    }

    pub(super) fn path(&mut self, points: Vec<Point>, stroke: Stroke) {
        if points.len() > 1 {
            self.shapes.push(Shape::Path { points, stroke });
        }
    }

    pub(super) fn rect(&mut self, area: Rect, ink: Ink, opacity: f64) {
        if area.w <= 0.0 || area.h <= 0.0 {
            return;
        }
        let (right, bottom) = (area.right(), area.bottom());
        let points = vec![(area.x, area.y), (right, area.y), (right, bottom), (area.x, bottom)];
        self.polygon(points, ink, opacity);
    }

    pub(super) fn polygon(&mut self, points: Vec<Point>, ink: Ink, opacity: f64) {
        self.shapes.push(Shape::Polygon { points, ink, opacity });
    }

    pub(super) fn label(&mut self, mut label: Label) {
        // A line break or a control sign has no place in a label, nor in XML.
        label.text = label.text.replace(char::is_control, " ");
        if !label.text.is_empty() {
            self.shapes.push(Shape::Label(label));
        }
    }

    /// The marker of the series in `slot`.
    pub(super) fn marker(&mut self, at: Point, slot: usize) {
        const R: f64 = 4.0;
        let ink = Ink::Series(slot);
        let (x, y) = at;
        let corners = |points: &[Point]| {
            points
                .iter()
                .map(|(dx, dy)| (x + dx * R, y + dy * R))
                .collect::<Vec<_>>()
        };
        match marker(slot) {
            Marker::Circle => self.shapes.push(Shape::Circle {
                centre: at,
                radius: R,
                ink,
                filled: true,
            }),
            Marker::Ring => {
                self.shapes.push(Shape::Circle {
                    centre: at,
                    radius: R,
                    ink: Ink::Background,
                    filled: true,
                });
                self.shapes.push(Shape::Circle {
                    centre: at,
                    radius: R,
                    ink,
                    filled: false,
                });
            }
            Marker::Square => {
                self.polygon(corners(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]), ink, 1.0);
            }
            Marker::OpenSquare => {
                let square = [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9), (-0.9, -0.9)];
                self.polygon(corners(&square), Ink::Background, 1.0);
                self.path(corners(&square), Stroke::solid(ink, 1.5));
            }
            Marker::TriangleUp => self.polygon(corners(&[(0.0, -1.2), (1.1, 0.9), (-1.1, 0.9)]), ink, 1.0),
            Marker::TriangleDown => self.polygon(corners(&[(0.0, 1.2), (1.1, -0.9), (-1.1, -0.9)]), ink, 1.0),
            Marker::Diamond => {
                self.polygon(corners(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]), ink, 1.0);
            }
            Marker::Cross => {
                self.path(corners(&[(-0.9, -0.9), (0.9, 0.9)]), Stroke::solid(ink, 2.0));
                self.path(corners(&[(-0.9, 0.9), (0.9, -0.9)]), Stroke::solid(ink, 2.0));
            }
        }
    }

    /// A horizontal value with its interval as a whisker.
    pub(super) fn whisker(&mut self, (low, high): (f64, f64), y: f64, stroke: Stroke) {
        self.line((low, y), (high, y), stroke);
        for end in [low, high] {
            self.line((end, y - 3.5), (end, y + 3.5), stroke);
        }
    }

    /// Writes the shapes as plotters does: whole numbers in a grid of [`GRAIN`] a pixel.
    pub(super) fn write(&self, width: f64, height: f64) -> Result<String, String> {
        let mut buffer = String::new();
        let side = |length: f64| (length * GRAIN).round().clamp(1.0, 1e6) as u32;
        let root = SVGBackend::with_string(&mut buffer, (side(width), side(height))).into_drawing_area();
        for shape in &self.shapes {
            draw(&root, shape).map_err(|error| error.to_string())?;
        }
        root.present().map_err(|error| error.to_string())?;
        drop(root);
        Ok(buffer)
    }
}

/// Plotters' coordinates are whole numbers; a finer grid keeps curves smooth.
pub(super) const GRAIN: f64 = 4.0;

/// Marks a width as dashed: plotters' SVG backend has no dashes, so the number of the dash rides on the stroke's width.
pub(super) const DASH_STEP: u32 = 1_000;

/// The family that stands for "with a halo", for the same reason.
pub(super) const HALO_FAMILY: &str = "halo";

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type AreaError = DrawingAreaErrorKind<std::io::Error>;

fn draw(root: &Area<'_>, shape: &Shape) -> Result<(), AreaError> {
    match shape {
        Shape::Path { points, stroke } => {
            let width = (stroke.width * GRAIN).round() as u32 + DASH_STEP * stroke.dash as u32;
            let style = colour(stroke.ink, 1.0).stroke_width(width);
            root.draw(&PathElement::new(points.iter().map(grid).collect::<Vec<_>>(), style))
        }
        Shape::Polygon { points, ink, opacity } => root.draw(&Polygon::new(
            points.iter().map(grid).collect::<Vec<_>>(),
            colour(*ink, *opacity).filled(),
        )),
        Shape::Circle {
            centre,
            radius,
            ink,
            filled,
        } => {
            let radius = (radius * GRAIN).round() as i32;
            let style = ShapeStyle {
                color: colour(*ink, 1.0),
                filled: *filled,
                stroke_width: 6,
            };
            root.draw(&Circle::new(grid(centre), radius, style))
        }
        Shape::Label(label) => {
            let anchor = match label.align {
                Align::Start => HPos::Left,
                Align::Middle => HPos::Center,
                Align::End => HPos::Right,
            };
            // The backend divides by 1.24, to turn a line's height into a font's size.
            let size = label.size * GRAIN * 1.24;
            let weight = if label.bold { FontStyle::Bold } else { FontStyle::Normal };
            let family = if label.halo { HALO_FAMILY } else { FONT_STACK };
            let ink = colour(label.ink, 1.0);
            let style = TextStyle::from((family, size, weight).into_font())
                .color(&ink)
                .pos(Pos::new(anchor, VPos::Center));
            root.draw(&Text::new(label.text.as_str(), grid(&label.at), style))
        }
    }
}

fn colour(ink: Ink, opacity: f64) -> RGBAColor {
    let (red, green, blue) = ink.rgb();
    RGBColor(red, green, blue).mix(opacity)
}

fn grid((x, y): &Point) -> (i32, i32) {
    // Far outside is as good as outside.
    let whole = |value: f64| (value * GRAIN).round().clamp(-1e6, 1e6) as i32;
    (whole(*x), whole(*y))
}
