//! I5: who was acknowledged before another asked is not admitted after them; never more active than the capacity;
//! nobody is lost.

use super::end::End;
use super::facts::{At, Facts, Pay, Token};
use super::finding::{Evidence, Judgement};
use crate::recording::history::{State, Uid};
use crate::units::Nanos;

pub(super) fn check(facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let mut tokens: Vec<(Uid, Token)> = facts.tokens.iter().map(|(&id, &token)| (id, token)).collect();
    ask_earlier(&mut tokens, facts);
    // The map has no order; a verdict must have one.
    tokens.sort_unstable_by_key(|(id, token)| (token.asked, *id));
    let admitted = tokens.iter().filter(|(_, token)| token.active.is_some()).count();
    let basis = format!("{} tokens, {admitted} seen active", tokens.len());
    if tokens.is_empty() {
        return (Judgement::Idle("nobody entered the queue".to_owned()), basis);
    }
    let mut pays: Vec<Pay> = facts.pays.clone();
    pays.sort_unstable_by_key(|pay| (pay.user, pay.invoked));
    let broken = overtaken(&tokens)
        .or_else(|| lost(&tokens, &pays, end))
        .or_else(|| crowded(&tokens, &pays, end));
    let judgement = match broken {
        Some(evidence) => Judgement::Invalid(evidence),
        None if end.rules.queue_capacity.is_none() => {
            Judgement::Unknown("order was kept and nobody was lost, but the capacity is not known".to_owned())
        }
        None => Judgement::Valid,
    };
    (judgement, basis)
}

/// Who asks again gets the same place: it may be as old as the first request that had no answer.
fn ask_earlier(tokens: &mut [(Uid, Token)], facts: &Facts) {
    let mut silent = facts.silent_entries.clone();
    silent.sort_unstable();
    silent.dedup_by_key(|(user, _)| *user);
    for (_, token) in tokens {
        if let Ok(place) = silent.binary_search_by_key(&token.user, |&(user, _)| user) {
            token.asked = token.asked.min(silent[place].1);
        }
    }
}

/// Somebody still waiting, though one who came later has been let in.
fn overtaken(tokens: &[(Uid, Token)]) -> Option<Evidence> {
    let mut acknowledged: Vec<(Nanos, &Uid, &Token)> = tokens
        .iter()
        .filter_map(|(id, token)| Some((token.acknowledged?.t, id, token)))
        .collect();
    acknowledged.sort_unstable_by_key(|&(t, id, _)| (t, id));
    let mut earlier = acknowledged.iter().peekable();
    // Of those acknowledged before the present one asked: who was seen waiting latest.
    let mut patient: Option<(At, &Uid, &Token)> = None;
    for (id, token) in tokens {
        while let Some(&&(_, other, waiter)) = earlier.peek().filter(|(t, ..)| *t < token.asked) {
            if let Some(waiting) = waiter.waiting
                && patient.is_none_or(|(latest, ..)| latest < waiting)
            {
                patient = Some((waiting, other, waiter));
            }
            earlier.next();
        }
        let (Some(active), Some((waiting, other, waiter))) = (token.active, patient) else {
            continue;
        };
        if active.t < waiting.t {
            let reason =
                format!("token {id} was let in while {other}, acknowledged before it was asked for, still waited");
            let entered = waiter.acknowledged.into_iter().chain(token.acknowledged);
            return Some(Evidence::new(reason).operations(entered.chain([active, waiting]).map(|at| at.operation)));
        }
    }
    None
}

/// The first payment of the token's user after it was given: it ends the token. It may have, even without an answer.
fn finished(token: &Token, pays: &[Pay]) -> Option<Nanos> {
    let given = token.acknowledged.map_or(token.asked, |at| at.t);
    let place = pays.partition_point(|pay| (pay.user, pay.invoked) < (token.user, given));
    pays.get(place)
        .filter(|pay| pay.user == token.user)
        .map(|pay| pay.invoked)
}

/// A token that the service knew no more, though its time was not over and its user had not finished.
fn lost(tokens: &[(Uid, Token)], pays: &[Pay], end: &End<'_>) -> Option<Evidence> {
    tokens
        .iter()
        .filter(|(_, token)| token.user.some().is_some())
        .find_map(|(id, token)| {
            let (gone, (last, state, expires_ms)) = (token.gone?, token.told?);
            let told = end.clock.earliest(expires_ms.get());
            let safe_until = match state {
                // It may have been let in right after the answer, and an active token lives shorter.
                State::Waiting => told.min(last.t.plus(std::time::Duration::from_millis(end.rules.active_ttl_ms?))),
                _ => told,
            };
            let given_up = token.left.into_iter().chain(finished(token, pays)).any(|t| t <= gone.t);
            if gone.t >= safe_until || last.t > gone.t || given_up {
                return None;
            }
            let reason = format!(
                "token {id} is gone before its expiry, though its user neither left nor paid (last seen {})",
                state.name()
            );
            let shown = token.acknowledged.into_iter().chain([last, gone]);
            Some(Evidence::new(reason).operations(shown.map(|at| at.operation)))
        })
}

/// More tokens certainly active at once than there are places.
fn crowded(tokens: &[(Uid, Token)], pays: &[Pay], end: &End<'_>) -> Option<Evidence> {
    let capacity = end.rules.queue_capacity?;
    // Where the waiting room itself was broken, a token may have ended before its time.
    let room_was_broken = end.harness.faults.iter().any(|fault| fault.target.contains("redis"));
    let mut edges: Vec<(Nanos, bool, u32)> = Vec::new();
    // A payment ends a token, and who paid is known by the user alone.
    for (_, token) in tokens.iter().filter(|(_, token)| token.user.some().is_some()) {
        let (Some(active), Some(last)) = (token.active, token.active_last) else {
            continue;
        };
        let promised = token
            .told
            .filter(|(_, state, _)| *state == State::Active && !room_was_broken);
        let until = promised.map_or(last.t, |(_, _, expires_ms)| end.clock.earliest(expires_ms.get()));
        let ends = token
            .left
            .into_iter()
            .chain(finished(token, pays))
            .chain(token.gone.map(|_| last.t));
        let until = ends.fold(until, Nanos::min);
        if active.t < until {
            edges.push((active.t, true, active.operation));
            edges.push((until, false, active.operation));
        }
    }
    // Of two edges at one moment the end comes first: nobody is convicted for a tie.
    edges.sort_unstable();
    let mut active: Vec<u32> = Vec::new();
    for (t, begins, operation) in edges {
        if !begins {
            active.retain(|&other| other != operation);
            continue;
        }
        active.push(operation);
        if active.len() > capacity as usize {
            let reason = format!(
                "{} tokens were certainly active {:.3} s into the run, and there are {capacity} places",
                active.len(),
                t.as_secs_f64()
            );
            return Some(Evidence::new(reason).operations(active.iter().rev().take(Evidence::MOST_STEPS).copied()));
        }
    }
    None
}
