//! A table as text: one unit a column, named in its head; the same for every renderer.

use super::model::BadgeState;
use super::table::{Cell, Column, Table};
use super::text::Text;
use crate::chart::Decision;
use crate::format::{MISSING, Scale};

/// Heads and cells as they are shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) heads: Vec<String>,
    /// Numbers stand at the right.
    pub(super) is_number: Vec<bool>,
    pub(super) rows: Vec<Vec<ShownCell>>,
}

/// One cell's words, and what they mean where that may be coloured.
#[derive(Debug)]
pub(super) struct ShownCell {
    pub(super) text: Text,
    pub(super) meaning: Meaning,
}

/// What a renderer may emphasise; the words say it too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    Plain,
    State(BadgeState),
    Decision(Decision),
}

/// Chooses the units and writes every cell.
pub(super) fn show(table: &Table) -> Shown {
    let scales: Vec<Option<Scale>> = table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| scale(table, index, column))
        .collect();
    let heads = table
        .columns
        .iter()
        .zip(&scales)
        .map(|(column, scale)| head(column, scale.as_ref()))
        .collect();
    let rows = table.rows.iter().map(|row| {
        let cells = scales.iter().enumerate();
        cells
            .map(|(index, scale)| shown(row.get(index).unwrap_or(&Cell::Number(None)), scale.as_ref()))
            .collect()
    });
    let is_number = table.columns.iter().map(|column| column.unit.is_some()).collect();
    Shown {
        heads,
        is_number,
        rows: rows.collect(),
    }
}

fn shown(cell: &Cell, scale: Option<&Scale>) -> ShownCell {
    let meaning = match cell {
        Cell::Badge(state) => Meaning::State(*state),
        Cell::Decision(decision) => Meaning::Decision(*decision),
        Cell::Text(_) | Cell::Number(_) | Cell::Interval { .. } => Meaning::Plain,
    };
    ShownCell {
        text: show_cell(cell, scale),
        meaning,
    }
}

fn scale(table: &Table, index: usize, column: &Column) -> Option<Scale> {
    let values = table.rows.iter().filter_map(|row| match row.get(index)? {
        Cell::Number(value) => *value,
        Cell::Interval { point, .. } => Some(*point),
        Cell::Text(_) | Cell::Badge(_) | Cell::Decision(_) => None,
    });
    column.unit.map(|unit| Scale::of(unit, values))
}

/// The unit goes to the head, but for ratios, whose sign belongs to the number.
fn head(column: &Column, scale: Option<&Scale>) -> String {
    match scale.map(Scale::suffix) {
        None | Some("" | "×") => column.title.clone(),
        Some("/s") => format!("{}, per second", column.title),
        // The unit stays with the word before it.
        Some(suffix) => format!("{},\u{a0}{suffix}", column.title),
    }
}

fn show_cell(cell: &Cell, scale: Option<&Scale>) -> Text {
    let number = |value: f64| match scale {
        Some(scale) if scale.suffix() == "×" => scale.text(value),
        Some(scale) => scale.number(value),
        None => crate::format::tick(value),
    };
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number(value) => Text::plain(value.map_or_else(|| MISSING.to_owned(), number)),
        Cell::Interval { point, low, high } => {
            let Some(scale) = scale else {
                return Text::plain(format!("{} [{}, {}]", number(*point), number(*low), number(*high)));
            };
            let interval = scale.interval(*point, *low, *high);
            // The head names the unit already.
            let unit = format!("\u{a0}{} [", scale.suffix());
            Text::plain(interval.replacen(&unit, " [", 1).replacen("/s [", " [", 1))
        }
        Cell::Badge(state) => Text::plain(state.word()),
        Cell::Decision(decision) => Text::plain(format!("{} {}", decision.sign(), decision.word())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Unit;

    #[test]
    fn one_unit_a_column_and_missing_cells_say_so() {
        let mut table = Table::new(
            "t",
            [
                Column::text("a"),
                Column::number("p95", Unit::Seconds),
                Column::number("x", Unit::Ratio),
            ],
        );
        table
            .row(["slow".into(), 1.5.into(), 2.0.into()])
            .row([
                "fast".into(),
                0.000_9.into(),
                Cell::Interval {
                    point: 0.5,
                    low: 0.4,
                    high: 0.6,
                },
            ])
            .row(["none".into(), None.into()]);
        let shown = show(&table);
        assert_eq!(shown.heads, ["a", "p95,\u{a0}ms", "x"]);
        let rows: Vec<Vec<String>> = shown
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.text.to_plain()).collect())
            .collect();
        assert_eq!(
            rows,
            [
                ["slow", "1,500", "2.00×"],
                ["fast", "0.900", "0.50× [0.40, 0.60]"],
                ["none", "n/a", "n/a"]
            ]
        );
    }
}
