//! Judges every invariant of every variant, and looks up the operations of each witness.

use std::time::Duration;

use super::counted::Counted;
use super::end::{End, HarnessFacts, ServiceClock};
use super::facts::{Facts, Projection};
use super::finding::{Evidence, Finding, Invariant, Judgement, LedgerReport, Step, VariantLedger, Verdict};
use super::tenure::tenures;
use super::{
    cache, contention, events, expiry, idempotency, index_use, money, orphans, outbox, queue, queue_cost, seats,
    staleness,
};
use crate::recording::audit::Entry;
use crate::recording::history::{History, Names, OpKind, Operation};
use crate::recording::model::Rules;
use crate::recording::{RecordError, Recording};

/// More than this part of all changes without an answer, even after the final state has settled what it can, and the
/// history says too little.
const MOST_UNSETTLED: f64 = 0.10;

/// Judges a recording. The evidence comes from its files alone.
///
/// # Errors
/// When a file cannot be read or is damaged.
pub fn verify(recording: &Recording) -> Result<LedgerReport, RecordError> {
    let complete = recording.is_complete();
    let mut report = LedgerReport { variants: Vec::new() };
    each_variant(recording, |variant, facts, end, history| {
        let mut ledger = VariantLedger {
            variant,
            name: recording.manifest().variant_name(variant),
            operations: facts.operations,
            unsettled: unsettled(facts, end),
            findings: Vec::new(),
            doubts: doubts(facts, end),
        };
        if !complete {
            ledger.doubts.extend_from_slice(recording.notes());
        }
        for (invariant, judgement, basis) in judge(facts, end) {
            ledger.findings.push(Finding {
                invariant,
                verdict: resolve(judgement, history, complete)?,
                basis,
            });
        }
        report.variants.push(ledger);
        Ok(())
    })?;
    Ok(report)
}

/// Variant by variant, for each seat in a sampled read of the seat map, how stale it was; see `staleness::staleness`.
///
/// # Errors
/// When a file cannot be read or is damaged.
pub fn staleness(recording: &Recording) -> Result<Vec<Vec<Duration>>, RecordError> {
    let mut found = Vec::new();
    each_variant(recording, |_, facts, end, _| {
        found.push(staleness::staleness(&tenures(facts, end), facts));
        Ok(())
    })?;
    Ok(found)
}

/// Shows the evidence of one variant after the other; only one final state is in memory at a time.
fn each_variant(
    recording: &Recording,
    mut show: impl FnMut(u16, &Facts, &End<'_>, &History) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let manifest = recording.manifest();
    let events = recording.events()?;
    let series = recording.series()?;
    let mut history = recording.history()?;
    let mut projections: Vec<Projection> = manifest.variants.iter().map(|_| Projection::default()).collect();
    history.scan(|index, op| {
        let variant = usize::from(op.variant);
        if projections.len() <= variant {
            projections.resize_with(variant + 1, Projection::default);
        }
        projections[variant].observe(index, op);
    })?;
    for (number, projection) in projections.into_iter().enumerate() {
        let Ok(variant) = u16::try_from(number) else { break };
        let audit = recording.audit(variant, history.names_mut())?;
        let no_rules = Rules::default();
        let rules = manifest
            .variants
            .get(number)
            .map_or(&no_rules, |variant| &variant.rules);
        let harness = HarnessFacts::of(&events, variant);
        let mut clock = ServiceClock::of(&manifest.clock);
        if harness.faults.iter().any(|fault| fault.name.contains("clock")) {
            clock = clock.unsteady();
        }
        // What was cut off may hold what explains the counters.
        let counted = recording
            .is_complete()
            .then(|| Counted::of(&series, manifest, &events, variant));
        let end = End::new(audit.as_ref(), history.names(), rules, clock, harness).with_counted(counted);
        show(variant, &projection.finish(), &end, &history)?;
    }
    Ok(())
}

/// Judges every invariant by the facts and the final state alone.
pub fn judge(facts: &Facts, end: &End<'_>) -> Vec<(Invariant, Judgement, String)> {
    let tenures = tenures(facts, end);
    Invariant::ALL
        .into_iter()
        .map(|invariant| {
            let (judgement, basis) = match invariant {
                Invariant::SeatSoldOnce => seats::check(&tenures, facts, end),
                Invariant::Money => money::check(facts, end),
                Invariant::Events => events::check(facts, end),
                Invariant::Outbox => outbox::check(end),
                Invariant::Queue => queue::check(facts, end),
                Invariant::Expiry => expiry::check(facts, end),
                Invariant::Idempotency => idempotency::check(facts, end),
                Invariant::Staleness => staleness::check(&tenures, facts, end),
                Invariant::NoOrphans => orphans::check(end),
                Invariant::Contention => contention::check(facts, end),
                Invariant::Cache => cache::check(facts, end),
                Invariant::Index => index_use::check(end),
                Invariant::QueueCost => queue_cost::check(end),
            };
            (invariant, judgement, basis)
        })
        .collect()
}

/// Operations that may have happened, and that not even the final state settles.
pub(super) fn unsettled(facts: &Facts, end: &End<'_>) -> u64 {
    let Some(audit) = end.audit else {
        return facts.unsettled.len() as u64;
    };
    // Keys settle an operation either way: the row is there, or it never happened. Other services may write none.
    let keys_of_holds = audit.reservations.iter().all(|row| row.key.is_some());
    let keys_of_charges = audit
        .ledger
        .iter()
        .all(|row| row.entry != Entry::Charge || row.key.is_some());
    let settled = |op: &super::facts::Unsettled| match op.kind {
        OpKind::Hold => keys_of_holds && op.key.some().is_some(),
        OpKind::Charge => keys_of_charges && op.key.some().is_some() && op.user.some().is_some(),
        OpKind::Pay | OpKind::Cancel => end.reservation(op.object).is_some(),
        _ => false,
    };
    facts.unsettled.iter().filter(|op| !settled(op)).count() as u64
}

fn doubts(facts: &Facts, end: &End<'_>) -> Vec<String> {
    let mut doubts = Vec::new();
    let unsettled = unsettled(facts, end);
    if unsettled as f64 > MOST_UNSETTLED * facts.changes as f64 {
        doubts.push(format!(
            "{unsettled} of {} changes never had an answer that tells whether they happened",
            facts.changes
        ));
    }
    for fault in &end.harness.faults {
        let overlaps = facts
            .successes
            .iter()
            .any(|&(from, until)| until >= fault.from && fault.until.is_none_or(|healed| from <= healed));
        if !overlaps {
            doubts.push(format!(
                "no operation that succeeded overlapped the fault {} on {}",
                fault.name, fault.target
            ));
        }
        if fault.until.is_none() {
            doubts.push(format!(
                "the fault {} on {} was never seen to be healed",
                fault.name, fault.target
            ));
        }
    }
    doubts
}

fn resolve(judgement: Judgement, history: &History, complete: bool) -> Result<Verdict, RecordError> {
    Ok(match judgement {
        Judgement::Valid => Verdict::Valid,
        Judgement::Unknown(reason) => Verdict::Unknown {
            reason,
            exercised: true,
        },
        Judgement::Idle(reason) => Verdict::Unknown {
            reason,
            exercised: false,
        },
        // What was cut off may hold the release that explains everything.
        Judgement::Invalid(evidence) if !complete && !evidence.operations.is_empty() => Verdict::Unknown {
            reason: format!("the recording is incomplete; by what is left: {}", evidence.reason),
            exercised: true,
        },
        Judgement::Invalid(evidence) => Verdict::Invalid {
            witness: witness(&evidence, history)?,
            reason: evidence.reason,
        },
    })
}

/// The operations by time, then lines of the final state.
fn witness(evidence: &Evidence, history: &History) -> Result<Vec<Step>, RecordError> {
    let mut operations = evidence.operations.clone();
    operations.sort_unstable();
    operations.dedup();
    let mut steps = Vec::new();
    for index in operations {
        if let Some(op) = history.get(u64::from(index))? {
            steps.push(Step {
                during: Some((op.invoked, op.returned)),
                operation: Some(u64::from(index)),
                text: tell(&op, history.names()),
            });
        }
    }
    steps.sort_by_key(|step| step.during);
    steps.extend(evidence.rows.iter().map(|row| Step {
        during: None,
        operation: None,
        text: row.clone(),
    }));
    steps.truncate(Evidence::MOST_STEPS);
    Ok(steps)
}

/// An operation in one line.
fn tell(op: &Operation, names: &Names) -> String {
    use std::fmt::Write as _;
    let mut text = format!("client {}", op.process);
    let name =
        |name: crate::recording::history::Name| Some(names.text(name.some()?).unwrap_or("(name cut off)").to_owned());
    let parts = [
        name(op.user).map(|user| format!(" for user {user}")),
        Some(format!(": {}", op.kind)),
        name(op.seat).map(|seat| format!(", seat {seat}")),
        op.object.some().map(|object| match op.kind {
            OpKind::QueueEnter | OpKind::QueuePosition | OpKind::QueueLeave => format!(", token {object}"),
            OpKind::Charge => format!(", charge {object}"),
            _ => format!(", reservation {object}"),
        }),
        op.key.some().map(|key| format!(", key {key}")),
        op.amount.map(|amount| match op.kind {
            OpKind::QueueEnter | OpKind::QueuePosition => format!(", position {amount}"),
            OpKind::SeatSeen => format!(", one of {amount}"),
            _ => format!(", amount {amount}"),
        }),
        op.extra
            .filter(|_| op.kind == OpKind::SeatSeen)
            .map(|times| format!(", {times} times")),
        Some(format!(" → {}", op.settled)),
        (op.state != crate::recording::history::State::None).then(|| format!(", {}", op.state)),
        (op.code != crate::recording::history::Code::None).then(|| format!(", {}", op.code)),
        (op.status != 0).then(|| format!(" ({})", op.status)),
    ];
    for part in parts.into_iter().flatten() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{part}");
    }
    text
}
