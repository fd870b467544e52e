//! States over time: a row for each curve, in the colour of whatever its value stands for.

use super::canvas::{Align, Canvas, Label, Rect};
use super::plane::Plane;
use super::theme::{Ink, size};
use super::timeline::Panel;
use super::{Key, measure};
use crate::format::quantity;

/// What a value stands for.
#[derive(Clone, PartialEq, Debug)]
pub struct State {
    pub value: f64,
    /// Its name and its colour.
    pub key: Key,
}

/// From one row to the next.
pub(super) const PITCH: f64 = 20.0;
const BAR: f64 = 14.0;
/// Left and right of a row's name: a browser's font may be a little wider than what was measured.
const BESIDE: f64 = 16.0;
/// The names of rows take no more of the width.
const MOST_OF_WIDTH: f64 = 0.4;

/// A time in which a curve does not change.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Stay {
    from: f64,
    to: f64,
    value: f64,
}

/// What the names of the rows need beside the plane.
pub(super) fn name_room(panel: &Panel, width: f64) -> f64 {
    let names = panel
        .curves
        .iter()
        .map(|curve| measure::width(&curve.key.name, size::SMALL));
    names.fold(24.0, f64::max).min(width * MOST_OF_WIDTH) + BESIDE
}

/// The bars and their names, on a plane as high as its rows.
pub(super) fn draw(canvas: &mut Canvas, panel: &Panel, states: &[State], plane: &Plane, left: f64) {
    let area = plane.area;
    for (row, curve) in panel.curves.iter().enumerate() {
        let y = area.y + PITCH * row as f64 + (PITCH - BAR) / 2.0;
        let name = measure::fit(&curve.key.name, size::SMALL, left - BESIDE);
        let at = (area.x - 7.0, y + BAR / 2.0);
        canvas.label(Label::new(at, name, size::SMALL).align(Align::End));
        let mut written_to = area.x;
        for stay in stays(&curve.points) {
            // What was there for a moment must be seen too.
            let from = plane.x_at(stay.from).clamp(area.x, area.right() - 2.0);
            let to = plane.x_at(stay.to).clamp(from + 2.0, area.right());
            let state = states.iter().find(|state| state.value == stay.value);
            let (said, ink, on) = match state {
                Some(State { key, .. }) => (key.name.clone(), Ink::Series(key.slot), Ink::on_series(key.slot)),
                None => (quantity(panel.unit, Some(stay.value)), Ink::Excluded, Ink::OnPale),
            };
            canvas.rect(Rect::new(from, y, to - from, BAR), ink, 1.0);
            let needs = measure::width(&said, size::SMALL) + 8.0;
            if needs <= to - from && written_to <= from {
                written_to = from + needs;
                canvas.label(Label::new((from + 4.0, y + BAR / 2.0), said, size::SMALL).ink(on));
            }
        }
    }
}

/// A value holds until the next one or until a gap; the last as long as the one before it.
fn stays(points: &[(f64, Option<f64>)]) -> Vec<Stay> {
    let mut stays: Vec<Stay> = Vec::new();
    for (index, (from, value)) in points.iter().enumerate() {
        let Some(value) = *value else { continue };
        let to = match (points.get(index + 1), index.checked_sub(1)) {
            (Some((next, _)), _) => *next,
            (None, Some(before)) => from + (from - points[before].0),
            (None, None) => *from,
        };
        match stays.last_mut() {
            Some(last) if last.to == *from && last.value == value => last.to = to,
            _ => stays.push(Stay { from: *from, to, value }),
        }
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_stays_until_the_next_and_ends_at_a_gap() {
        let points = [
            (0.0, Some(1.0)),
            (1.0, Some(1.0)),
            (2.0, Some(0.0)),
            (3.0, None),
            (5.0, Some(0.0)),
            (6.0, Some(0.0)),
        ];
        let stay = |from, to, value| Stay { from, to, value };
        assert_eq!(
            stays(&points),
            [stay(0.0, 2.0, 1.0), stay(2.0, 3.0, 0.0), stay(5.0, 7.0, 0.0)]
        );
        assert_eq!(stays(&[(4.0, Some(1.0))]), [stay(4.0, 4.0, 1.0)]);
        assert_eq!(stays(&[]), []);
    }
}
