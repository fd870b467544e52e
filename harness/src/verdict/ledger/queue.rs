//! I5: who was acknowledged before another asked is not admitted after them; never more active than the capacity;
//! nobody is lost, and nobody stays beyond the expiry.

use std::time::Duration;

use super::end::End;
use super::facts::{Facts, Pay};
use super::finding::{Evidence, Judgement};
use super::seats::calendar;
use super::token::{At, Token};
use crate::recording::history::State;
use crate::units::Nanos;

pub(super) fn check(facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let tokens = &facts.tokens;
    let admitted = tokens.iter().filter(|token| token.active.is_some()).count();
    let basis = format!("{} tokens, {admitted} seen active", tokens.len());
    if tokens.is_empty() {
        return (Judgement::Idle("nobody entered the queue".to_owned()), basis);
    }
    let pays = &facts.pays;
    let broken = overtaken(tokens)
        .or_else(|| lost(tokens, pays, end))
        .or_else(|| outlived(tokens, end))
        .or_else(|| crowded(tokens, pays, end));
    let judgement = match broken {
        Some(evidence) => Judgement::Invalid(evidence),
        None if end.rules.queue_capacity.is_none() => {
            Judgement::Unknown("order was kept and nobody was lost, but the capacity is not known".to_owned())
        }
        None => Judgement::Valid,
    };
    (judgement, basis)
}

/// Somebody still waiting, though one who came later has been let in.
fn overtaken(tokens: &[Token]) -> Option<Evidence> {
    let mut acknowledged: Vec<&Token> = tokens.iter().filter(|token| token.acknowledged.is_some()).collect();
    acknowledged.sort_unstable_by_key(|token| (token.acknowledged, token.id));
    let mut earlier = acknowledged.into_iter().peekable();
    // Of those acknowledged before the present one asked: who was seen waiting latest.
    let mut patient: Option<(At, &Token)> = None;
    for token in tokens {
        while let Some(waiter) = earlier.next_if(|other| other.acknowledged.is_some_and(|at| at.t() < token.asked)) {
            if let Some(waiting) = waiter.waiting
                && patient.is_none_or(|(latest, _)| latest < waiting)
            {
                patient = Some((waiting, waiter));
            }
        }
        let (Some(active), Some((waiting, waiter))) = (token.active, patient) else {
            continue;
        };
        if active.t() < waiting.t() {
            let reason = format!(
                "token {} was let in while {}, acknowledged before it was asked for, still waited",
                token.id, waiter.id
            );
            let entered = waiter.acknowledged.into_iter().chain(token.acknowledged);
            let shown = entered.chain([active, waiting]).map(At::operation);
            return Some(Evidence::new(reason).operations(shown));
        }
    }
    None
}

/// The first payment of the token's user after it was given: it ends the token. It may have, even without an answer.
fn finished(token: &Token, pays: &[Pay]) -> Option<Nanos> {
    let given = token.acknowledged.map_or(token.asked, At::t);
    let place = pays.partition_point(|pay| (pay.user, pay.invoked) < (token.user, given));
    pays.get(place)
        .filter(|pay| pay.user == token.user)
        .map(|pay| pay.invoked)
}

/// A token that the service knew no more, though its time was not over and its user had not finished.
fn lost(tokens: &[Token], pays: &[Pay], end: &End<'_>) -> Option<Evidence> {
    tokens
        .iter()
        .filter(|token| token.user.some().is_some())
        .find_map(|token| {
            let (gone, last, expires_ms) = (token.gone?, token.told?, token.told_expiry_ms?);
            let told = end.clock.earliest(expires_ms.get());
            let safe_until = match token.told_state {
                // It may have been let in right after the answer, and an active token lives shorter.
                State::Waiting => told.min(last.t().plus(Duration::from_millis(end.rules.active_ttl_ms?))),
                _ => told,
            };
            let ended = token.left.map(At::t).into_iter().chain(finished(token, pays));
            let given_up = ended.into_iter().any(|t| t <= gone.t());
            if gone.t() >= safe_until || last.t() > gone.t() || given_up {
                return None;
            }
            let reason = format!(
                "token {} is gone before its expiry, though its user neither left nor paid (last seen {})",
                token.id,
                token.told_state.name()
            );
            let shown = token.acknowledged.into_iter().chain([last, gone]);
            Some(Evidence::new(reason).operations(shown.map(At::operation)))
        })
}

/// A token that was still good when its own expiry and the grace were over.
fn outlived(tokens: &[Token], end: &End<'_>) -> Option<Evidence> {
    let grace_ms = i64::try_from(end.rules.grace_ms?).ok()?;
    tokens.iter().find_map(|token| {
        let (seen, expiry_ms) = (token.overdue?, token.overdue_expiry_ms?);
        if seen.t() <= end.clock.latest(expiry_ms.get().saturating_add(grace_ms)) {
            return None;
        }
        let reason = format!(
            "token {} was still good after its expiry at {}",
            token.id,
            calendar(expiry_ms.get())
        );
        let shown = token.acknowledged.into_iter().chain([seen]);
        Some(Evidence::new(reason).operations(shown.map(At::operation)))
    })
}

/// More tokens certainly active at once than there are places.
fn crowded(tokens: &[Token], pays: &[Pay], end: &End<'_>) -> Option<Evidence> {
    let capacity = end.rules.queue_capacity?;
    // Where the waiting room itself was broken, a token may have ended before its time.
    let room_was_broken = end.harness.faults.iter().any(|fault| fault.target.contains("redis"));
    let mut edges: Vec<(Nanos, bool, u32)> = Vec::new();
    // A payment ends a token, and who paid is known by the user alone.
    for token in tokens.iter().filter(|token| token.user.some().is_some()) {
        let (Some(active), Some(last)) = (token.active, token.active_last) else {
            continue;
        };
        let promised = token
            .told_expiry_ms
            .filter(|_| token.told_state == State::Active && !room_was_broken);
        let until = promised.map_or(last.t(), |expires_ms| end.clock.earliest(expires_ms.get()));
        let ends = token
            .left
            .map(At::t)
            .into_iter()
            .chain(finished(token, pays))
            .chain(token.gone.map(|_| last.t()));
        let until = ends.fold(until, Nanos::min);
        if active.t() < until {
            edges.push((active.t(), true, active.operation()));
            edges.push((until, false, active.operation()));
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
