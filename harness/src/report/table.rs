//! Tables whose cells stay numbers until they are shown.

use std::time::Duration;

use serde::Serialize;

use super::model::BadgeState;
use super::text::Text;
use crate::chart::Decision;
use crate::format::Unit;

/// A table with one unit a column.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub caption: String,
    pub columns: Vec<Column>,
    /// A short row is filled up with `n/a`, a long one is cut.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows yet.
    pub fn new(caption: impl Into<String>, columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            caption: caption.into(),
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) -> &mut Self {
        self.rows.push(cells.into_iter().collect());
        self
    }
}

/// The head of a column, and the unit of its numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    pub title: String,
    /// `None` for text.
    pub unit: Option<Unit>,
}

impl Column {
    /// A column of text.
    pub fn text(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            unit: None,
        }
    }

    /// A column of numbers.
    pub fn number(title: impl Into<String>, unit: Unit) -> Self {
        Self {
            title: title.into(),
            unit: Some(unit),
        }
    }
}

/// One cell. Numbers are in the base unit of their column.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cell {
    Text(Text),
    Number(Option<f64>),
    Interval { point: f64, low: f64, high: f64 },
    Badge(BadgeState),
    Decision(Decision),
}

impl Cell {
    /// A duration, for a column of seconds.
    pub fn duration(value: Option<Duration>) -> Self {
        Self::Number(value.map(|value| value.as_secs_f64()))
    }

    /// A count.
    pub fn count(value: Option<u64>) -> Self {
        Self::Number(value.map(|value| value as f64))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Text> for Cell {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Number(Some(value))
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Self {
        Self::Number(value)
    }
}
