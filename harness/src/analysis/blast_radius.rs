//! The blast radius of a fault: which endpoints' users were hurt, and which are shown not to have been.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::compare::{Cells, Tally};
use super::incident::FaultWindow;
use super::quantile::{Estimate, Value, estimate};
use crate::recording::Endpoint;
use crate::units::{Nanos, Ratio};

/// A stretch of the run, relative to the fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Before,
    During,
    After,
}

/// Groups intervals by whether they lie before, during or after the fault. An interval during which the fault began or
/// the effects still lasted counts as during; `over` is when the incident was over, the heal when that is unknown.
pub fn phase_of(start: Nanos, length: Duration, fault: FaultWindow, over: Option<Nanos>) -> Phase {
    if start.plus(length) <= fault.injected {
        Phase::Before
    } else if start >= over.unwrap_or(fault.healed).max(fault.healed) {
        Phase::After
    } else {
        Phase::During
    }
}

/// What an endpoint's users got in a phase.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PhaseSummary {
    pub requests: u64,
    pub failed: u64,
    /// Failures over requests; `None` without requests.
    pub failure_ratio: Option<Ratio>,
    /// Wilson's 95 % interval of it.
    pub failure_interval: Option<(Ratio, Ratio)>,
    /// 95th percentile of response time in nanoseconds, failures endlessly slow, with its 95 % interval.
    pub p95: Option<Estimate>,
}

/// Whether a fault reached an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// More failures, or slower, than chance explains.
    Touched,
    /// Shown to be no worse than before: by at most one percentage point of failures and half as much time again.
    Untouched,
    /// Neither is shown: too few requests.
    Unknown,
}

/// One row of the blast radius.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Impact {
    pub endpoint: Endpoint,
    pub before: PhaseSummary,
    pub during: PhaseSummary,
    pub after: PhaseSummary,
    pub reach: Reach,
}

/// The blast radius: each endpoint that was used, before, during and after. `phases` holds the cells of any number of
/// intervals, each with the phase that it lies in.
pub fn blast_radius(phases: &[(Phase, Cells)]) -> Vec<Impact> {
    let mut endpoints: Vec<Endpoint> = phases
        .iter()
        .flat_map(|(_, cells)| cells.keys().map(|(e, _)| *e))
        .collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints
        .into_iter()
        .filter_map(|endpoint| {
            let summary = |phase: Phase| {
                let cells = phases.iter().filter(|(p, _)| *p == phase).map(|(_, cells)| cells);
                Tally::of(cells, |e| e == endpoint).map(|tally| summarise(&tally))
            };
            let (before, during) = (summary(Phase::Before)?, summary(Phase::During)?);
            let after = summary(Phase::After)?;
            let reach = reach(&before, &during);
            Some(Impact {
                endpoint,
                before,
                during,
                after,
                reach,
            })
        })
        .collect()
}

fn summarise(tally: &Tally) -> PhaseSummary {
    PhaseSummary {
        requests: tally.requests(),
        failed: tally.failures,
        failure_ratio: tally.failure_ratio(),
        failure_interval: wilson(tally.failures, tally.requests()),
        p95: estimate(&tally.successes, tally.failures, Ratio(0.95), Ratio(0.95), 1.0),
    }
}

fn reach(before: &PhaseSummary, during: &PhaseSummary) -> Reach {
    // Neighbouring requests depend on each other, which the intervals ignore; the margins keep that from counting as hurt.
    const FAILURE_MARGIN: f64 = 0.01;
    const TIME_MARGIN: f64 = 1.5;
    let (Some(failed_before), Some(failed_during)) = (before.failure_interval, during.failure_interval) else {
        return Reach::Unknown;
    };
    let ends = |summary: &PhaseSummary| summary.p95.map(|p95| (p95.lower, p95.value, p95.upper));
    let (slow_before, slow_during) = (ends(before), ends(during));
    let as_f64 = |value: Option<Value>| value.map(Value::as_f64);
    let slower = match (slow_before, slow_during) {
        (Some((_, _, upper)), Some((lower, ..))) => as_f64(lower)
            .zip(as_f64(upper))
            .map(|(lower, upper)| lower > upper * TIME_MARGIN),
        _ => None,
    };
    let as_fast = match (slow_before, slow_during) {
        (Some((_, value, _)), Some((.., upper))) => as_f64(upper).map(|upper| upper <= value.as_f64() * TIME_MARGIN),
        _ => None,
    };
    let base = before.failure_ratio.map_or(0.0, |ratio| ratio.0);
    if slower == Some(true) || failed_during.0.0 > failed_before.1.0 {
        Reach::Touched
    } else if as_fast == Some(true) && failed_during.1.0 <= base + FAILURE_MARGIN {
        Reach::Untouched
    } else {
        Reach::Unknown
    }
}

/// Wilson's 95 % score interval of a proportion (1927); `None` without trials.
///
/// ```
/// use soundcheck::analysis::blast_radius::wilson;
///
/// // None of 100 failed: the true share may still be almost 4 %.
/// let (low, high) = wilson(0, 100).ok_or("no trials")?;
/// assert!(low.0 == 0.0 && (0.036..0.038).contains(&high.0));
/// # Ok::<(), &str>(())
/// ```
pub fn wilson(hits: u64, trials: u64) -> Option<(Ratio, Ratio)> {
    const Z: f64 = 1.959_963_985;
    if trials == 0 || hits > trials {
        return None;
    }
    let (n, p) = (trials as f64, hits as f64 / trials as f64);
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // Rounding must not leave a trace of failures where there was none.
    let low = if hits == 0 {
        0.0
    } else {
        ((centre - spread) / scale).max(0.0)
    };
    let high = if hits == trials {
        1.0
    } else {
        ((centre + spread) / scale).min(1.0)
    };
    Some((Ratio(low), Ratio(high)))
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::recording::Outcome;

    fn at(second: u64) -> Nanos {
        Nanos(second * 1_000_000_000)
    }

    fn cells(endpoint: Endpoint, ok_ms: &[u64], errors: u64) -> Cells {
        let mut ok = Histogram::new(3).unwrap();
        for ms in ok_ms {
            ok.record(ms * 1_000_000).unwrap();
        }
        let mut error = Histogram::new(3).unwrap();
        error.record_n(1_000_000, errors).unwrap();
        Cells::from([((endpoint, Outcome::Ok), ok), ((endpoint, Outcome::Error), error)])
    }

    #[test]
    fn the_blast_radius_tells_hurt_from_unhurt_from_unknown() {
        let phases = [
            (Phase::Before, cells(Endpoint::Hold, &[10; 1_000], 0)),
            (Phase::During, cells(Endpoint::Hold, &[10; 200], 100)),
            (Phase::Before, cells(Endpoint::Seats, &[10; 1_000], 0)),
            (Phase::During, cells(Endpoint::Seats, &[12; 1_000], 0)),
            (Phase::Before, cells(Endpoint::Pay, &[10; 1_000], 0)),
            (Phase::During, cells(Endpoint::Pay, &[400; 300], 0)),
            (Phase::Before, cells(Endpoint::Balance, &[10; 20], 0)),
            (Phase::During, cells(Endpoint::Balance, &[10; 20], 0)),
            (Phase::After, cells(Endpoint::Charge, &[10; 20], 0)),
        ];
        let reached: Vec<(Endpoint, Reach)> = blast_radius(&phases).iter().map(|i| (i.endpoint, i.reach)).collect();
        let expected = [
            (Endpoint::Seats, Reach::Untouched),
            (Endpoint::Hold, Reach::Touched),
            (Endpoint::Pay, Reach::Touched),
            (Endpoint::Balance, Reach::Unknown),
            (Endpoint::Charge, Reach::Unknown),
        ];
        assert_eq!(reached, expected);
    }

    #[test]
    fn phases_meet_at_the_fault() {
        let fault = FaultWindow {
            injected: at(5),
            healed: at(10),
        };
        let phase = |start, over| phase_of(at(start), Duration::from_secs(1), fault, over);
        assert_eq!(phase(4, None), Phase::Before);
        assert_eq!(phase(5, None), Phase::During);
        assert_eq!(phase(10, None), Phase::After);
        assert_eq!(phase(10, Some(at(12))), Phase::During);
        assert_eq!(phase(12, Some(at(12))), Phase::After);
        assert_eq!(phase(7, Some(at(6))), Phase::During);
    }
}
