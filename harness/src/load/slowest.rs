//! The slowest requests to each endpoint, by name: someone may look for them in the service's log and traces.
//!
//! How slow requests are is told by the recorder's histograms. Here a few are kept, however long a load lasts.

use std::collections::HashMap;
use std::time::Duration;

use crate::recording::{Endpoint, Outcome};
use crate::units::Nanos;

/// Of each endpoint, until they are taken out.
const KEPT: usize = 3;

/// One request, and by what it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slow {
    /// Index of the variant.
    pub variant: u16,
    pub endpoint: Endpoint,
    pub outcome: Outcome,
    pub sent: Nanos,
    /// From the send to the end of the answer, or to the moment that it was given up.
    pub took: Duration,
    /// W3C trace id, which all requests of a journey share.
    pub trace: u128,
    /// W3C span id, which the service's own span has as its parent.
    pub span: u64,
}

/// The slowest so far, slowest first.
#[derive(Debug, Default)]
pub(super) struct Slowest(HashMap<(u16, Endpoint), Vec<Slow>>);

impl Slowest {
    pub(super) fn note(&mut self, slow: Slow) {
        let kept = self.0.entry((slow.variant, slow.endpoint)).or_default();
        let place = kept.partition_point(|other| other.took >= slow.took);
        if place < KEPT {
            kept.insert(place, slow);
            kept.truncate(KEPT);
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        for slow in other.0.into_values().flatten() {
            self.note(slow);
        }
    }

    /// All of them, by variant and endpoint.
    pub(super) fn into_vec(self) -> Vec<Slow> {
        let mut all: Vec<Slow> = self.0.into_values().flatten().collect();
        all.sort_by_key(|slow| (slow.variant, slow.endpoint, std::cmp::Reverse(slow.took)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(endpoint: Endpoint, took_ms: u64, span: u64) -> Slow {
        Slow {
            variant: 0,
            endpoint,
            outcome: Outcome::Ok,
            sent: Nanos(1),
            took: Duration::from_millis(took_ms),
            trace: 7,
            span,
        }
    }

    #[test]
    fn each_endpoint_keeps_its_own_slowest_and_no_more() {
        let (mut first, mut second) = (Slowest::default(), Slowest::default());
        for (n, took) in [5, 900, 3, 40, 41, 2, 700].into_iter().enumerate() {
            let part = if n % 2 == 0 { &mut first } else { &mut second };
            part.note(slow(Endpoint::Seats, took, took));
        }
        second.note(slow(Endpoint::Pay, 1, 1));
        first.join(second);
        let kept: Vec<(Endpoint, u64)> = first.into_vec().iter().map(|slow| (slow.endpoint, slow.span)).collect();
        let seats = [900, 700, 41].map(|span| (Endpoint::Seats, span));
        assert_eq!(kept, [&seats[..], &[(Endpoint::Pay, 1)]].concat());
    }
}
