//! I2: per user, initial + charges + refunds − payments = final; never negative; one debit for each completed payment.

use std::collections::HashMap;

use super::end::End;
use super::facts::Facts;
use super::finding::{Evidence, Judgement};
use super::uid_map::UidSet;
use crate::recording::audit::{Audit, Entry, LedgerRow, PaymentStatus};
use crate::recording::history::{IdemKey, Name, Uid};

pub(super) fn check(facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let Some(audit) = end.audit else {
        return (Judgement::Unknown(end.no_audit()), String::new());
    };
    let basis = format!(
        "{} users, {} entries in the ledger",
        audit.users.len(),
        audit.ledger.len()
    );
    if audit.users.is_empty() {
        return (Judgement::Idle("there are no users".to_owned()), basis);
    }
    let evidence = unbalanced(audit, facts, end)
        .or_else(|| debits_against_payments(audit, facts))
        .or_else(|| lost_payment(audit, facts))
        .or_else(|| lost_charge(audit, facts, end));
    (evidence.into(), basis)
}

/// A balance that its entries do not explain.
fn unbalanced(audit: &Audit, facts: &Facts, end: &End<'_>) -> Option<Evidence> {
    let mut sums: HashMap<Name, i128> = HashMap::with_capacity(audit.users.len());
    for row in &audit.ledger {
        let amount = i128::from(row.amount);
        *sums.entry(row.user).or_default() += if row.entry == Entry::Payment { -amount } else { amount };
    }
    let user = audit.users.iter().find(|user| {
        let expected = i128::from(user.initial) + sums.get(&user.user).copied().unwrap_or_default();
        user.balance < 0 || expected != i128::from(user.balance)
    })?;
    let changed = sums.get(&user.user).copied().unwrap_or_default();
    let reason = format!(
        "user {} began with {} and has {}, but the entries add up to {changed:+}",
        end.text(user.user),
        user.initial,
        user.balance
    );
    let charges = facts
        .charges
        .iter()
        .filter(|charge| charge.user == user.user)
        .map(|charge| charge.operation);
    let pays = facts
        .pays
        .iter()
        .filter(|pay| pay.user == user.user)
        .map(|pay| pay.operation);
    let rows = audit.ledger.iter().filter(|row| row.user == user.user).map(entry);
    Some(Evidence {
        rows: rows.take(2).collect(),
        ..Evidence::new(reason).operations(charges.chain(pays).take(3))
    })
}

fn entry(row: &LedgerRow) -> String {
    let word = match row.entry {
        Entry::Charge => "charge",
        Entry::Payment => "payment",
        Entry::Refund => "refund",
    };
    match row.reservation {
        Some(reservation) => format!("ledger: {word} of {} for reservation {reservation}", row.amount),
        None => format!("ledger: {word} of {}", row.amount),
    }
}

/// Each completed payment has exactly one debit of its amount, and each debit a completed payment.
fn debits_against_payments(audit: &Audit, facts: &Facts) -> Option<Evidence> {
    let mut debits: Vec<(Uid, i64)> = audit
        .ledger
        .iter()
        .filter(|row| row.entry == Entry::Payment)
        .filter_map(|row| Some((row.reservation?, row.amount)))
        .collect();
    debits.sort_unstable();
    let mut completed: Vec<(Uid, i64)> = audit
        .payments
        .iter()
        .filter(|row| row.status == PaymentStatus::Completed)
        .map(|row| (row.reservation, row.amount))
        .collect();
    completed.sort_unstable();
    let pays_of = |reservation: Uid| {
        let pays = facts.pays.iter().filter(move |pay| pay.reservation == reservation);
        pays.map(|pay| pay.operation).take(3)
    };
    if let Some(twice) = debits.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let (reservation, amount) = twice[0];
        return Some(
            Evidence::new(format!("reservation {reservation} was paid for twice"))
                .operations(pays_of(reservation))
                .row(format!("ledger: payment of {amount} for reservation {reservation}"))
                .row(format!(
                    "ledger: payment of {} for reservation {reservation}",
                    twice[1].1
                )),
        );
    }
    let (side, &(reservation, amount)) = first_difference(&debits, &completed)?;
    let reason = match side {
        Side::Left => format!("{amount} were debited for reservation {reservation}, whose payment is not completed"),
        Side::Right => format!("the payment of {amount} for reservation {reservation} is completed without a debit"),
    };
    Some(Evidence::new(reason).operations(pays_of(reservation)).row(match side {
        Side::Left => format!("ledger: payment of {amount} for reservation {reservation}"),
        Side::Right => format!("payment of {amount} for reservation {reservation}: completed"),
    }))
}

/// On which side of a comparison something is alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Left,
    Right,
}

/// The first element that only one of two sorted lists has.
pub(super) fn first_difference<'a, T: Ord>(left: &'a [T], right: &'a [T]) -> Option<(Side, &'a T)> {
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    match (left.get(same), right.get(same)) {
        (Some(a), Some(b)) if a < b => Some((Side::Left, a)),
        (_, Some(b)) => Some((Side::Right, b)),
        (Some(a), None) => Some((Side::Left, a)),
        (None, None) => None,
    }
}

/// A payment that a client was told of, and that left no debit.
fn lost_payment(audit: &Audit, facts: &Facts) -> Option<Evidence> {
    let debited: UidSet = audit.ledger.iter().filter_map(|row| row.reservation).collect();
    let lost = facts
        .pays
        .iter()
        .find(|pay| pay.ok && !debited.contains(&pay.reservation))?;
    let reason = format!(
        "the payment for reservation {} was acknowledged and never debited",
        lost.reservation
    );
    Some(Evidence::new(reason).operations([lost.operation]))
}

/// A charge that a client was told of, and that is not in the ledger.
fn lost_charge(audit: &Audit, facts: &Facts, end: &End<'_>) -> Option<Evidence> {
    let mut charges = facts.charges.clone();
    charges.dedup_by(|again, first| again.key != IdemKey::NONE && (again.user, again.key) == (first.user, first.key));
    let entries = audit.ledger.iter().filter(|row| row.entry == Entry::Charge);
    let mut keys: Vec<(Name, IdemKey, i64)> = entries
        .clone()
        .filter_map(|row| Some((row.user, row.key?, row.amount)))
        .collect();
    keys.sort_unstable();
    if !keys.is_empty() {
        let lost = charges.iter().find(|charge| {
            charge.key.some().is_some() && keys.binary_search(&(charge.user, charge.key, charge.amount)).is_err()
        })?;
        let reason = format!(
            "the charge of {} to user {} (key {}) was acknowledged and is not in the ledger",
            lost.amount,
            end.text(lost.user),
            lost.key
        );
        return Some(Evidence::new(reason).operations([lost.operation]));
    }
    // Without keys only the sums can be compared; charges without an answer can make the ledger's larger.
    let mut missing: HashMap<Name, i128> = HashMap::new();
    for charge in &charges {
        *missing.entry(charge.user).or_default() += i128::from(charge.amount);
    }
    for row in entries {
        *missing.entry(row.user).or_default() -= i128::from(row.amount);
    }
    let (user, sum) = missing.into_iter().filter(|&(_, sum)| sum > 0).min()?;
    let of_user = charges
        .iter()
        .filter(|charge| charge.user == user)
        .map(|charge| charge.operation);
    let reason = format!(
        "acknowledged charges of user {} exceed the ledger's by {sum}",
        end.text(user)
    );
    Some(Evidence::new(reason).operations(of_user.take(Evidence::MOST_STEPS)))
}
