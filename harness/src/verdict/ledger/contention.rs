//! I10: contention never becomes a server error. Overload may (503), and so may a deadline (504), or a fault.

use std::time::Duration;

use super::end::End;
use super::facts::Facts;
use super::finding::{Evidence, Judgement};

/// After a fault has been healed, connections that it broke are found and replaced for about this long.
const AFTERMATH: Duration = Duration::from_secs(10);

pub(super) fn check(facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let basis = format!(
        "{} operations, {} server errors",
        facts.operations,
        facts.server_errors.len()
    );
    if facts.operations == 0 {
        return (Judgement::Idle("nothing was asked".to_owned()), basis);
    }
    let unexplained: Vec<u32> = facts
        .server_errors
        .iter()
        .filter(|&&(invoked, returned, _)| {
            !end.harness
                .faults
                .iter()
                .any(|fault| returned >= fault.from && fault.until.is_none_or(|until| invoked <= until.plus(AFTERMATH)))
        })
        .map(|&(_, _, operation)| operation)
        .collect();
    let evidence = (!unexplained.is_empty()).then(|| {
        let reason = format!(
            "{} operations met a server error while nothing was broken on purpose",
            unexplained.len()
        );
        Evidence::new(reason).operations(unexplained.into_iter().take(Evidence::MOST_STEPS))
    });
    (evidence.into(), basis)
}
