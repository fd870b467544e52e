//! The slowest requests, and by what each is found in the service's log and traces.

use std::collections::BTreeMap;

use super::common;
use crate::format::Unit;
use crate::recording::event::{Slow, What};
use crate::recording::{Endpoint, Event};
use crate::report::{Cell, Column, Table};
use crate::units::Nanos;

/// Of each kind.
const MOST: usize = 3;

/// Those among `events` that ended at a moment that `counts`, slowest first; moments are told as `since_start` says. `when`
/// says which they are. `None` in recordings that do not tell.
pub(super) fn slowest(
    events: &[Event],
    counts: impl Fn(Nanos) -> bool,
    since_start: impl Fn(Nanos) -> f64,
    when: &str,
) -> Option<Table> {
    let of_interest = events.iter().filter(|event| counts(event.t));
    let mut slowest: Vec<&Slow> = of_interest
        .filter_map(|event| match &event.what {
            What::Slow(slow) => Some(slow),
            _ => None,
        })
        .collect();
    slowest.sort_by(|a, b| {
        b.took
            .cmp(&a.took)
            .then_with(|| (&a.trace, &a.span).cmp(&(&b.trace, &b.span)))
    });
    let mut table = Table::new(
        format!(
            "The slowest requests of each kind {when}, by service time; what the service logged under their trace ids is among \
             the raw files"
        ),
        [
            Column::text("Request"),
            Column::text("Outcome"),
            Column::number("Sent at", Unit::Seconds),
            Column::number("Took", Unit::Seconds),
            Column::text("Trace id"),
            Column::text("Span id of the caller"),
        ],
    );
    let mut n_shown: BTreeMap<Endpoint, usize> = BTreeMap::new();
    for slow in slowest {
        let n_shown = n_shown.entry(slow.endpoint).or_default();
        *n_shown += 1;
        if *n_shown <= MOST {
            table.row([
                Cell::from(common::words(slow.endpoint)),
                Cell::from(slow.outcome.name()),
                Cell::from(since_start(slow.sent)),
                Cell::from(slow.took.as_secs_f64()),
                Cell::from(slow.trace.as_str()),
                Cell::from(slow.span.as_str()),
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
