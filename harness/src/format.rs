//! Numbers as people read them: three significant digits, a unit, one unit a column or axis.
//!
//! The only place that turns a measured number into text. What is missing is `n/a`, never 0. Nothing here rounds a
//! percentage to a whole that it has not reached.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What stands where a value is missing.
pub const MISSING: &str = "n/a";

/// What stands in place of a time whose rank falls on somebody who got no answer: it is known, and longer than any other.
pub const NO_ANSWER: &str = "no answer";

/// Keeps a number and its unit on one line.
const NO_BREAK_SPACE: char = '\u{a0}';

/// What a number counts. The base unit is in the name: a duration of 0.001 is a millisecond.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A duration in seconds; shown in ns, µs, ms or s.
    Seconds,
    /// Events per second.
    PerSecond,
    /// 0 to 100.
    Percent,
    /// A difference between two percentages.
    Points,
    /// A size in bytes; shown in KiB, MiB or GiB.
    Bytes,
    /// One value divided by another: `1.83×`.
    Ratio,
    /// Whole things, or a mean of them.
    Count,
}

/// The step of a unit in which a column or an axis is shown.
///
/// ```
/// use soundcheck::format::{Scale, Unit};
///
/// let scale = Scale::of(Unit::Seconds, [0.000_8, 0.012]);
/// assert_eq!(scale.suffix(), "ms");
/// assert_eq!(scale.number(0.012), "12.0");
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    unit: Unit,
    divisor: f64,
    suffix: &'static str,
}

const DURATIONS: &[(f64, &str)] = &[(1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")];
const SIZES: &[(f64, &str)] = &[
    (1.0, "B"),
    (1024.0, "KiB"),
    (1_048_576.0, "MiB"),
    (1_073_741_824.0, "GiB"),
    (1_099_511_627_776.0, "TiB"),
];

impl Scale {
    /// The step that suits the middle (on a log scale) of `values`; those that are zero or not finite do not count.
    pub fn of(unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let steps = match unit {
            Unit::Seconds => DURATIONS,
            Unit::Bytes => SIZES,
            Unit::PerSecond => &[(1.0, "/s")],
            Unit::Percent => &[(1.0, "%")],
            Unit::Points => &[(1.0, "points")],
            Unit::Ratio => &[(1.0, "×")],
            Unit::Count => &[(1.0, "")],
        };
        let (mut smallest, mut largest) = (f64::INFINITY, 0.0_f64);
        for size in values
            .into_iter()
            .map(f64::abs)
            .filter(|size| size.is_finite() && *size > 0.0)
        {
            smallest = smallest.min(size);
            largest = largest.max(size);
        }
        let middle = if smallest.is_finite() {
            smallest.sqrt() * largest.sqrt()
        } else {
            1.0
        };
        let fitting = steps
            .iter()
            .rev()
            .find(|(divisor, _)| middle >= *divisor * 0.9995)
            .or(steps.first());
        let (divisor, suffix) = fitting.copied().unwrap_or((1.0, ""));
        Self { unit, divisor, suffix }
    }

    /// What is written behind the number, or in the column's head; empty for plain counts.
    pub const fn suffix(&self) -> &'static str {
        self.suffix
    }

    /// `value` in this step of the unit.
    pub fn apply(&self, value: f64) -> f64 {
        value / self.divisor
    }

    /// The number alone, for a column whose head names the unit.
    pub fn number(&self, value: f64) -> String {
        if !value.is_finite() {
            return MISSING.to_owned();
        }
        let scaled = self.apply(value);
        match self.unit {
            Unit::Ratio => grouped(scaled, ratio_decimals(scaled.abs())),
            Unit::Percent => percent_digits(scaled),
            Unit::Points => grouped(scaled, 1),
            Unit::Count if scaled.fract() == 0.0 => grouped(scaled, 0),
            Unit::Bytes if self.divisor == 1.0 => grouped(scaled, 0),
            _ => significant(scaled),
        }
    }

    /// The number with its unit.
    pub fn text(&self, value: f64) -> String {
        if value.is_finite() {
            self.attach(self.number(value))
        } else {
            MISSING.to_owned()
        }
    }

    /// A value and its interval, with as many decimals for the bounds as for the value: `12.3 ms [9.9, 14.0]`.
    pub fn interval(&self, point: f64, low: f64, high: f64) -> String {
        let number = self.even_numbers(point, [point, low, high], false);
        let [point, low, high] = number;
        format!("{} [{low}, {high}]", self.attach(point))
    }

    /// As [`Scale::interval`], with a sign even when positive: `+1.20 ms [−0.10, +2.50]`.
    pub fn difference(&self, point: f64, low: f64, high: f64) -> String {
        let [point, low, high] = self.even_numbers(point, [point, low, high], true);
        format!("{} [{low}, {high}]", self.attach(point))
    }

    /// `values` with the decimals that suit `guide`.
    fn even_numbers(&self, guide: f64, values: [f64; 3], signed: bool) -> [String; 3] {
        let guide = self.apply(guide).abs();
        let is_whole = values.iter().all(|value| self.apply(*value).fract() == 0.0);
        let decimals = match self.unit {
            Unit::Count if is_whole => 0,
            Unit::Ratio => ratio_decimals(guide),
            Unit::Percent | Unit::Points => 1,
            _ if guide == 0.0 => decimals_for(values.iter().map(|value| self.apply(*value).abs()).fold(0.0, f64::max)),
            _ => decimals_for(guide),
        };
        values.map(|value| {
            if !value.is_finite() {
                return MISSING.to_owned();
            }
            let text = grouped(self.apply(value), decimals);
            if signed && value > 0.0 {
                format!("+{text}")
            } else {
                text
            }
        })
    }

    /// As [`Scale::text`], with a sign even when positive: for differences.
    pub fn signed(&self, value: f64) -> String {
        let text = self.text(value);
        if value.is_finite() && value > 0.0 {
            format!("+{text}")
        } else {
            text
        }
    }

    fn attach(&self, number: String) -> String {
        match self.suffix {
            "" => number,
            "×" | "/s" => format!("{number}{}", self.suffix),
            suffix => format!("{number}{NO_BREAK_SPACE}{suffix}"),
        }
    }
}

/// One value with the unit that suits it; `n/a` when there is none.
///
/// ```
/// use soundcheck::format::{Unit, quantity};
///
/// assert_eq!(quantity(Unit::Count, Some(12_345.0)), "12,345");
/// assert_eq!(quantity(Unit::Seconds, None), "n/a");
/// ```
pub fn quantity(unit: Unit, value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| Scale::of(unit, [value]).text(value))
}

/// How long users waited, in seconds: [`NO_ANSWER`] where that is for ever, and `n/a` where nobody knows.
///
/// ```
/// use soundcheck::format::waited;
///
/// assert_eq!(waited(Some(0.25)), "250\u{a0}ms");
/// assert_eq!(waited(Some(f64::INFINITY)), "no answer");
/// assert_eq!(waited(None), "n/a");
/// ```
pub fn waited(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) if seconds.is_infinite() => NO_ANSWER.to_owned(),
        seconds => quantity(Unit::Seconds, seconds),
    }
}

/// A duration with three significant digits; `n/a` when there is none.
pub fn duration(value: Option<Duration>) -> String {
    quantity(Unit::Seconds, value.map(|value| value.as_secs_f64()))
}

/// A value and its interval in one unit: `1.83× [1.71, 1.96]`.
///
/// ```
/// use soundcheck::format::{Unit, interval};
///
/// assert_eq!(interval(Unit::Ratio, 1.83, 1.71, 1.96), "1.83× [1.71, 1.96]");
/// ```
pub fn interval(unit: Unit, point: f64, low: f64, high: f64) -> String {
    Scale::of(unit, [point]).interval(point, low, high)
}

/// A difference and its interval, each with its sign: `+1.20 ms [+0.90, +1.50]`.
pub fn difference(unit: Unit, point: f64, low: f64, high: f64) -> String {
    Scale::of(unit, [point, low, high]).difference(point, low, high)
}

/// A count with thousands separators.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    group_digits(&digits)
}

/// The number of an axis tick, already in the axis' step: no digit more than it needs.
///
/// ```
/// use soundcheck::format::tick;
///
/// assert_eq!([0.05, 2.5, 1_000.0, 2e7].map(tick), ["0.05", "2.5", "1,000", "20M"]);
/// ```
pub fn tick(value: f64) -> String {
    let size = value.abs();
    if !size.is_finite() {
        return MISSING.to_owned();
    }
    if size >= 1e15 || (size > 0.0 && size < 1e-6) {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.')).replace('-', "−");
    }
    for (step, suffix) in [(1e12, "T"), (1e9, "G"), (1e6, "M")] {
        if size >= step * 10.0 {
            return format!("{}{suffix}", tick(value / step));
        }
    }
    // Nine decimals take off what binary fractions add; ticks are round numbers.
    let text = grouped(value, 9);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Three significant digits; whole from 100 on.
fn significant(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    grouped(value, decimals_for(size))
}

/// The decimals that make three significant digits of a positive number.
fn decimals_for(size: f64) -> usize {
    if size == 0.0 || !size.is_finite() {
        return 0;
    }
    // Rounding first keeps 9.996 from becoming 10.00, with four digits.
    let magnitude = (size * 1.0005).log10().floor();
    (2.0 - magnitude).clamp(0.0, 12.0) as usize
}

/// At least two decimals below ten, since a ratio is read by its distance from one.
fn ratio_decimals(size: f64) -> usize {
    match size {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.2995 || size == 0.0 => 2,
        size if size >= 0.02995 => 3,
        size => decimals_for(size),
    }
}

/// One decimal, and more where it would claim 0 % or 100 % of what is only close to it.
fn percent_digits(value: f64) -> String {
    if value == 0.0 || value == 100.0 {
        return grouped(value, 0);
    }
    let reached = |text: &str| {
        matches!(
            text.trim_end_matches('0').trim_end_matches('.'),
            "100" | "" | "0" | "-0"
        )
    };
    for decimals in 1..=5 {
        let text = grouped(value, decimals);
        if !reached(&text) {
            return text;
        }
    }
    if value > 50.0 {
        ">99.9999".to_owned()
    } else {
        "<0.0001".to_owned()
    }
}

/// A fixed number of decimals, with thousands separators; never `-0`.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    let whole = group_digits(whole);
    fraction.map_or_else(
        || format!("{sign}{whole}"),
        |fraction| format!("{sign}{whole}.{fraction}"),
    )
}

fn group_digits(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: Unit, value: f64, expected: &str) {
        assert_eq!(quantity(unit, Some(value)).replace(NO_BREAK_SPACE, " "), expected);
    }

    #[test]
    fn shows_three_digits_and_the_unit_that_fits() {
        for (unit, value, expected) in [
            (Unit::Seconds, 0.0, "0 s"),
            (Unit::Seconds, 0.000_000_25, "250 ns"),
            (Unit::Seconds, 0.000_812_3, "812 µs"),
            (Unit::Seconds, 0.012_34, "12.3 ms"),
            (Unit::Seconds, 0.999_9, "1.00 s"),
            (Unit::Seconds, 0.009_996, "10.0 ms"),
            (Unit::Seconds, 4_321.0, "4,321 s"),
            (Unit::Seconds, -0.001_5, "−1.50 ms"),
            (Unit::PerSecond, 1_234.56, "1,235/s"),
            (Unit::PerSecond, 0.25, "0.250/s"),
            (Unit::Bytes, 512.0, "512 B"),
            (Unit::Bytes, 1_536.0, "1.50 KiB"),
            (Unit::Bytes, 498.0 * 1_048_576.0, "498 MiB"),
            (Unit::Ratio, 1.834, "1.83×"),
            (Unit::Ratio, 103.4, "103×"),
            (Unit::Ratio, 0.97, "0.97×"),
            (Unit::Ratio, 0.012_34, "0.0123×"),
            (Unit::Count, 1_000_000.0, "1,000,000"),
            (Unit::Count, 0.031_2, "0.0312"),
            (Unit::Points, -3.25, "−3.2 points"),
            (Unit::Seconds, f64::NAN, "n/a"),
            (Unit::Ratio, f64::INFINITY, "n/a"),
        ] {
            check(unit, value, expected);
        }
    }

    #[test]
    fn never_rounds_a_percentage_to_what_it_has_not_reached() {
        for (value, expected) in [
            (100.0, "100 %"),
            (0.0, "0 %"),
            (99.97, "99.97 %"),
            (99.999_999_9, ">99.9999 %"),
            (0.004, "0.004 %"),
            (0.000_000_1, "<0.0001 %"),
            (54.32, "54.3 %"),
        ] {
            check(Unit::Percent, value, expected);
        }
    }

    #[test]
    fn uses_one_unit_for_a_column() {
        let scale = Scale::of(Unit::Seconds, [0.000_08, 5.0, f64::NAN, 0.0]);
        assert_eq!(scale.suffix(), "ms");
        assert_eq!(
            [0.000_08, 5.0, 0.0].map(|value| scale.number(value)),
            ["0.0800", "5,000", "0"]
        );
    }

    #[test]
    fn writes_intervals_in_the_unit_of_the_value() {
        assert_eq!(interval(Unit::Ratio, 0.088, 0.081, 0.097), "0.088× [0.081, 0.097]");
        assert_eq!(interval(Unit::Ratio, 0.235, 0.221, 0.249), "0.235× [0.221, 0.249]");
        assert_eq!(interval(Unit::Ratio, 1.04, 0.994, 1.09), "1.04× [0.99, 1.09]");
        assert_eq!(interval(Unit::Count, 1.0, 1.0, 1.0), "1 [1, 1]");
        assert_eq!(interval(Unit::Count, 1.0, 0.98, 1.02), "1.00 [0.98, 1.02]");
        assert_eq!(
            interval(Unit::Seconds, 0.012, 0.000_9, 0.02).replace(NO_BREAK_SPACE, " "),
            "12.0 ms [0.9, 20.0]"
        );
        assert_eq!(
            difference(Unit::Points, 1.5, -0.5, 3.5).replace(NO_BREAK_SPACE, " "),
            "+1.5 points [−0.5, +3.5]"
        );
    }
}
