//! Grafana's units in those of the charts.

use crate::format::Unit;

/// How a unit of Grafana's is written here.
pub(super) struct Measure<'a> {
    pub(super) unit: Unit,
    pub(super) factor: f64,
    /// What the title has to say of it.
    word: Option<&'a str>,
}

impl<'a> Measure<'a> {
    pub(super) fn of(unit: &'a str) -> Self {
        let (unit, factor, word) = match unit {
            "s" => (Unit::Seconds, 1.0, None),
            "bytes" => (Unit::Bytes, 1.0, None),
            "percentunit" => (Unit::Percent, 100.0, None),
            "percent" => (Unit::Percent, 1.0, None),
            "reqps" | "cps" | "ops" | "rowsps" => (Unit::PerSecond, 1.0, None),
            "short" | "none" => (Unit::Count, 1.0, None),
            // A number is right in any unit, as long as that is named.
            other => (Unit::Count, 1.0, Some(other)),
        };
        Self { unit, factor, word }
    }

    pub(super) fn title(&self, title: &str) -> String {
        match self.word {
            Some(word) => format!("{title}, {word}"),
            None => title.to_owned(),
        }
    }
}
