//! From values to positions on an axis, and the ticks between.
//!
//! An axis works in one step of its unit (all milliseconds, say), chosen from the values. A logarithmic axis has a place
//! for zero below its lowest decade, set apart and labelled, so that a zero is neither lost nor taken for something small.

use super::Axis;
use super::measure;
use super::theme::size;
use crate::format::{self, Scale};

/// Beyond this, sums and products of values are no longer finite.
const VAST: f64 = 1e300;

/// How much of a logarithmic axis is set apart for zero.
const ZERO_ROOM: f64 = 0.07;

/// A scaled axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct AxisScale {
    kind: Kind,
    low: f64,
    high: f64,
    step: Scale,
    title: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Linear,
    Log {
        zero: bool,
    },
    /// `low` and `high` count nines.
    Tail,
}

/// A labelled place on an axis, in the axis' own step.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tick {
    /// 0 at the start, 1 at the end.
    pub(super) position: f64,
    pub(super) label: String,
}

impl AxisScale {
    /// Linear, ending on round numbers; from 0 unless a value is negative.
    pub(super) fn from_zero(axis: &Axis, values: impl Iterator<Item = f64>, top: Option<f64>) -> Self {
        let (low, high) = bounds(values.chain(top));
        Self::linear(axis, low.min(0.0), high.max(0.0), top.is_some())
    }

    /// Linear from `low` to `high`; `exact` keeps the ends where they are.
    pub(super) fn linear(axis: &Axis, low: f64, high: f64, exact: bool) -> Self {
        let step = Scale::of(axis.unit, [low.abs().max(high.abs())]);
        let (mut low, mut high) = (step.apply(low).clamp(-VAST, VAST), step.apply(high).clamp(-VAST, VAST));
        if high <= low {
            (low, high) = if low == 0.0 {
                (0.0, 1.0)
            } else {
                (low - low.abs() * 0.5, low + low.abs() * 0.5)
            };
        } else if !exact {
            let round = nice((high - low) / 4.0);
            (low, high) = (
                (low / round + 1e-9).floor() * round,
                (high / round - 1e-9).ceil() * round,
            );
        }
        Self {
            kind: Kind::Linear,
            low,
            high,
            step,
            title: axis.title.clone(),
        }
    }

    /// Logarithmic, ending on 1, 2 or 5 times a power of ten.
    pub(super) fn log(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let mut zero = false;
        let positive: Vec<f64> = values
            .filter(|value| {
                zero |= *value <= 0.0;
                *value > 0.0
            })
            .collect();
        let step = Scale::of(axis.unit, positive.iter().copied());
        let (low, high) = bounds(positive.iter().map(|value| step.apply(*value).clamp(1.0 / VAST, VAST)));
        let (low, high) = if low.is_finite() { (low, high) } else { (1.0, 10.0) };
        let (mut below, mut above) = (round_down(low), round_up(high));
        if above / below < 3.0 {
            (below, above) = (round_down(below * 0.99), round_up(above * 1.01));
        }
        Self {
            kind: Kind::Log { zero },
            low: below,
            high: above,
            step,
            title: axis.title.clone(),
        }
    }

    /// Logarithmic between ends that stay where they are; both above zero.
    pub(super) fn log_exact(axis: &Axis, low: f64, high: f64) -> Self {
        let step = Scale::of(axis.unit, [low, high]);
        let (low, high) = (
            step.apply(low).clamp(1.0 / VAST, VAST),
            step.apply(high).clamp(2.0 / VAST, VAST),
        );
        Self {
            kind: Kind::Log { zero: false },
            low,
            high,
            step,
            title: axis.title.clone(),
        }
    }

    /// The step of the unit, for labels beside the axis.
    pub(super) const fn step(&self) -> &Scale {
        &self.step
    }

    /// Shares with every nine at the same distance: 0, 90, 99 and 99.9 %, as far as `nines`.
    pub(super) fn tail(title: &str, nines: f64) -> Self {
        let axis = Axis::new(title, format::Unit::Percent);
        let step = Scale::of(axis.unit, []);
        Self {
            kind: Kind::Tail,
            low: 0.0,
            high: nines.ceil().clamp(2.0, 9.0),
            step,
            title: axis.title,
        }
    }

    /// Where a value is: 0 at the start, 1 at the end; what lies outside is put on the edge.
    pub(super) fn position(&self, value: f64) -> f64 {
        let value = self.step.apply(value);
        let place = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log { zero } => {
                let room = if zero { ZERO_ROOM } else { 0.0 };
                if value <= 0.0 {
                    return 0.0;
                }
                let share = (value.log10() - self.low.log10()) / (self.high.log10() - self.low.log10());
                room + (1.0 - room) * share.clamp(0.0, 1.0)
            }
            // A share of 1 has infinitely many nines.
            Kind::Tail => -(1.0 - value).max(1e-12).log10() / self.high,
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Title and unit: `response time, ms`.
    pub(super) fn title(&self) -> String {
        match self.step.suffix().trim() {
            "" => self.title.clone(),
            "/s" => format!("{}, per second", self.title),
            "×" => format!("{}, ratio", self.title),
            suffix => format!("{}, {suffix}", self.title),
        }
    }

    /// At most about `most` ticks.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        let most = most.max(2);
        match self.kind {
            Kind::Linear => {
                let step = nice((self.high - self.low) / most as f64);
                let first = (self.low / step - 1e-9).ceil();
                let last = (self.high / step + 1e-9).floor();
                // A step that does not move the value would never end.
                let n_ticks = (last - first).clamp(0.0, 200.0) as u32;
                let at = |index: u32| (first + f64::from(index)) * step;
                (0..=n_ticks).map(|index| self.tick_at(at(index))).collect()
            }
            Kind::Log { zero } => {
                let mut ticks = if zero {
                    vec![Tick {
                        position: 0.0,
                        label: "0".to_owned(),
                    }]
                } else {
                    Vec::new()
                };
                ticks.extend(self.log_ticks(most));
                ticks
            }
            Kind::Tail => {
                let whole = self.high as i32;
                (0..=whole)
                    .map(|nines| {
                        let missing = 10_f64.powi(-nines);
                        let percent = 100.0 * (1.0 - missing);
                        let decimals = usize::try_from(nines - 2).unwrap_or_default();
                        let label = format!("{percent:.decimals$}");
                        Tick {
                            position: f64::from(nines) / self.high,
                            label,
                        }
                    })
                    .collect()
            }
        }
    }

    /// As many ticks as fit into `length` pixels beside each other.
    pub(super) fn ticks_across(&self, length: f64) -> Vec<Tick> {
        let mut most = (length / 60.0).clamp(2.0, 12.0) as usize;
        loop {
            let ticks = self.ticks(most);
            if most <= 2 || apart(&ticks, length) {
                return thin_out(ticks, length, room_across);
            }
            most -= 1;
        }
    }

    fn tick_at(&self, value: f64) -> Tick {
        // In the axis' own step already, so the position is taken without applying it again.
        let place = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log { zero } => {
                let room = if zero { ZERO_ROOM } else { 0.0 };
                room + (1.0 - room) * (value / self.low).log10() / (self.high / self.low).log10()
            }
            Kind::Tail => value / self.high,
        };
        Tick {
            position: place.clamp(0.0, 1.0),
            label: format::tick(value),
        }
    }

    fn log_ticks(&self, most: usize) -> Vec<Tick> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let inside = |value: &f64| *value >= self.low * 0.999_999 && *value <= self.high * 1.000_001;
        for factors in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0][..]] {
            let fine: Vec<f64> = (first..=last)
                .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
                .filter(inside)
                .collect();
            if fine.len() <= most {
                return fine.into_iter().map(|value| self.tick_at(value)).collect();
            }
        }
        let decades: Vec<f64> = (first..=last).map(|power| 10_f64.powi(power)).filter(inside).collect();
        if decades.len() < 2 {
            return [self.low, self.high].map(|value| self.tick_at(value)).into();
        }
        let stride = decades.len().div_ceil(most).max(1);
        decades
            .into_iter()
            .step_by(stride)
            .map(|value| self.tick_at(value))
            .collect()
    }
}

/// The room that labels beside each other need from middle to middle.
fn room_across(left: &Tick, right: &Tick) -> f64 {
    (measure::width(&left.label, size::LABEL) + measure::width(&right.label, size::LABEL)) / 2.0 + 10.0
}

/// Whether labels beside each other keep a distance.
fn apart(ticks: &[Tick], length: f64) -> bool {
    ticks.windows(2).all(|pair| {
        let [left, right] = pair else { return true };
        (right.position - left.position) * length >= room_across(left, right)
    })
}

/// Leaves out what would stand too close to the one before it.
pub(super) fn thin_out(ticks: Vec<Tick>, length: f64, room: impl Fn(&Tick, &Tick) -> f64) -> Vec<Tick> {
    let mut kept: Vec<Tick> = Vec::with_capacity(ticks.len());
    for tick in ticks {
        let is_apart = |last: &Tick| (tick.position - last.position) * length >= room(last, &tick);
        if kept.last().is_none_or(is_apart) {
            kept.push(tick);
        }
    }
    kept
}

/// Smallest and largest; infinite the wrong way round when there is none.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// 1, 2 or 5 times a power of ten, at least `value`.
fn nice(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        1.0
    } else {
        round_up(value)
    }
}

fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let fitting = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= value * 0.999_999);
    (fitting.unwrap_or(10.0) * power).max(f64::MIN_POSITIVE)
}

fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let fitting = [5.0, 2.0, 1.0]
        .into_iter()
        .find(|factor| factor * power <= value * 1.000_001);
    (fitting.unwrap_or(1.0) * power).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Unit;

    #[track_caller]
    fn check(scale: &AxisScale, most: usize, title: &str, labels: &[&str]) {
        let ticks: Vec<String> = scale.ticks(most).into_iter().map(|tick| tick.label).collect();
        assert_eq!(
            (scale.title().as_str(), ticks),
            (title, labels.iter().map(|label| (*label).to_owned()).collect())
        );
    }

    fn axis(unit: Unit) -> Axis {
        Axis::new("x", unit)
    }

    #[test]
    fn ends_on_round_numbers_in_one_step_of_the_unit() {
        let seconds = axis(Unit::Seconds);
        check(
            &AxisScale::from_zero(&seconds, [0.0, 0.087].into_iter(), None),
            5,
            "x, ms",
            &["0", "20", "40", "60", "80", "100"],
        );
        check(
            &AxisScale::from_zero(&seconds, [].into_iter(), None),
            5,
            "x, s",
            &["0", "0.2", "0.4", "0.6", "0.8", "1"],
        );
        check(
            &AxisScale::from_zero(&axis(Unit::Count), [-3.0, 5.0].into_iter(), None),
            5,
            "x",
            &["−4", "−2", "0", "2", "4", "6"],
        );
        check(
            &AxisScale::from_zero(&axis(Unit::Percent), [3.0].into_iter(), Some(100.0)),
            2,
            "x, %",
            &["0", "50", "100"],
        );
    }

    #[test]
    fn thins_decades_and_keeps_a_place_for_zero() {
        let seconds = axis(Unit::Seconds);
        check(
            &AxisScale::log(&seconds, [0.001, 0.09].into_iter()),
            7,
            "x, ms",
            &["1", "2", "5", "10", "20", "50", "100"],
        );
        check(
            &AxisScale::log(&seconds, [0.0, 0.001, 0.1].into_iter()),
            3,
            "x, ms",
            &["0", "1", "10", "100"],
        );
        check(
            &AxisScale::log(&axis(Unit::Count), [1.0, 1e12].into_iter()),
            5,
            "x",
            &["1", "1,000", "1,000,000", "1,000M", "1,000G"],
        );
        check(
            &AxisScale::log(&axis(Unit::Count), [].into_iter()),
            5,
            "x",
            &["1", "2", "5", "10"],
        );
        let scale = AxisScale::log(&seconds, [0.0, 0.001].into_iter());
        assert_eq!(scale.position(0.0), 0.0);
        assert!(scale.position(0.000_000_1) > 0.05);
    }

    #[test]
    fn gives_every_nine_the_same_room() {
        let scale = AxisScale::tail("x", 3.0);
        check(&scale, 5, "x, %", &["0", "90", "99", "99.9"]);
        assert!((scale.position(0.99) - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(scale.position(1.0), 1.0);
    }
}
