//! I4: the outbox drains in time, and the dead letters are exactly the planted poison, with cause and source.

use super::end::End;
use super::finding::{Evidence, Judgement};
use crate::recording::audit::PaymentStatus;

/// Whether whatever is still missing is not merely late.
pub(super) fn had_time_to_drain(end: &End<'_>) -> bool {
    end.harness.drained.is_some_and(|drained| {
        drained.pending == Some(0)
            || end
                .rules
                .drain_ms
                .is_some_and(|limit| drained.waited.0 / 1_000_000 >= limit)
    })
}

pub(super) fn check(end: &End<'_>) -> (Judgement, String) {
    let dead = end.harness.dead_letters.as_ref();
    let basis = format!(
        "{} planted, {} dead letters",
        end.harness.planted.len(),
        dead.map_or_else(|| "n/a".to_owned(), |dead| dead.len().to_string())
    );
    let judgement = if let Some(evidence) = undrained(end).or_else(|| dead_letters(end)) {
        Judgement::Invalid(evidence)
    } else if end.harness.drained.is_none() && dead.is_none() {
        match end.audit {
            Some(audit)
                if audit.outbox.is_empty()
                    && !audit
                        .payments
                        .iter()
                        .any(|payment| payment.status == PaymentStatus::Completed) =>
            {
                Judgement::Idle("nothing was paid".to_owned())
            }
            _ => Judgement::Unknown("the run did not wait for the outbox to drain".to_owned()),
        }
    } else if end.harness.drained.and_then(|drained| drained.pending) != Some(0) {
        Judgement::Unknown("nobody saw whether the outbox had drained".to_owned())
    } else if dead.is_none() {
        Judgement::Unknown("the dead letters were not listed".to_owned())
    } else {
        Judgement::Valid
    };
    (judgement, basis)
}

fn undrained(end: &End<'_>) -> Option<Evidence> {
    let drained = end.harness.drained?;
    let (pending, limit) = (drained.pending?, end.rules.drain_ms?);
    let waited_ms = drained.waited.0 / 1_000_000;
    if pending == 0 || waited_ms < limit {
        return None;
    }
    let stuck = end
        .audit
        .into_iter()
        .flat_map(|audit| &audit.outbox)
        .filter(|row| !row.published);
    let reason =
        format!("{pending} events were still on their way {waited_ms} ms after the load, against {limit} ms allowed");
    Some(stuck.take(2).fold(Evidence::new(reason), |evidence, row| {
        evidence.row(format!(
            "outbox: event {}, number {} of shard {}, not published",
            row.event, row.seq, row.shard
        ))
    }))
}

fn dead_letters(end: &End<'_>) -> Option<Evidence> {
    let listed = end.harness.dead_letters.as_ref()?;
    let mut planted: Vec<&str> = end.harness.planted.iter().map(String::as_str).collect();
    planted.sort_unstable();
    let mut letters: Vec<(&str, Option<&str>)> = listed
        .iter()
        .map(|letter| (letter.key.as_str(), letter.source.as_deref()))
        .collect();
    letters.sort_unstable();
    if !end.harness.faults.is_empty() {
        // A consumer that dies between writing a dead letter and committing its offset leaves it to the next one, which
        // writes it again: the same record of the same source.
        letters.dedup_by(|again, first| again.1.is_some() && again == first);
    }
    let found: Vec<&str> = letters.iter().map(|(key, _)| *key).collect();
    let row = |key: &str| {
        let letter = listed.iter().find(|letter| letter.key == key)?;
        Some(format!(
            "dead letter {key}: {} after {} attempts, from {}",
            letter.cause.as_deref().unwrap_or("no cause"),
            letter
                .attempts
                .map_or_else(|| "n/a".to_owned(), |attempts| attempts.to_string()),
            letter.source.as_deref().unwrap_or("nowhere")
        ))
    };
    let convict = |reason: String, key: &str| Evidence {
        rows: row(key).into_iter().collect(),
        ..Evidence::new(reason)
    };
    if let Some(twice) = found.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(convict(
            format!("message {} is among the dead letters twice", twice[0]),
            twice[0],
        ));
    }
    if let Some(key) = found.iter().find(|key| planted.binary_search(key).is_err()) {
        return Some(convict(
            format!("message {key} is a dead letter, though nobody made it fail"),
            key,
        ));
    }
    let drained = had_time_to_drain(end);
    if let Some(key) = planted.iter().find(|key| drained && found.binary_search(key).is_err()) {
        return Some(Evidence::new(format!(
            "message {key} was made to fail and is not among the dead letters"
        )));
    }
    let bare = listed
        .iter()
        .find(|letter| letter.cause.is_none() || letter.source.is_none())?;
    Some(convict(
        format!("dead letter {} has no cause or no source", bare.key),
        &bare.key,
    ))
}
