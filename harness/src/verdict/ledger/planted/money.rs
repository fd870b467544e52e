//! I2, planted: money that appears or vanishes.

use super::case::*;
const WHICH: Invariant = Invariant::Money;

fn charge(case: &mut Case, key: u64, row_amount: Option<i64>) {
    let op = case.op(OpKind::Charge, 0, 10);
    (op.user, op.amount, op.key) = (ANNA, Some(30), IdemKey(key));
    if let Some(amount) = row_amount {
        case.audit.ledger.push(LedgerRow {
            user: ANNA,
            entry: Entry::Charge,
            amount,
            reservation: None,
            key: Some(IdemKey(key)),
        });
        case.audit.users[0].balance += amount;
    }
}

#[test]
fn a_balance_that_its_entries_do_not_explain() {
    let mut case = Case::booked();
    case.audit.users[0].balance += 1;
    case.convicts(WHICH, "add up to -10", &[1]);
    let mut below_zero = Case::booked();
    (below_zero.audit.users[0].initial, below_zero.audit.users[0].balance) = (0, -10);
    below_zero.convicts(WHICH, "has -10", &[1]);
}

#[test]
fn two_debits_for_one_reservation() {
    let mut case = Case::booked();
    case.pay(ANNA, R1, 100, 120);
    let again = case.audit.ledger[0];
    case.audit.ledger.push(again);
    case.audit.users[0].balance -= 10;
    case.convicts(WHICH, "paid for twice", &[1, 2]);
    let mut asked_twice = Case::booked();
    asked_twice.pay(ANNA, R1, 100, 120);
    asked_twice.acquits(WHICH);
}

#[test]
fn a_payment_completed_without_a_debit_and_the_reverse() {
    let mut free = Case::booked();
    free.audit.ledger.clear();
    free.audit.users[0].balance = 100;
    free.convicts(WHICH, "completed without a debit", &[1]);
    let mut cancelled = Case::booked();
    cancelled.audit.payments[0].status = PaymentStatus::Cancelled;
    cancelled.convicts(WHICH, "whose payment is not completed", &[1]);
}

#[test]
fn an_acknowledged_charge_is_in_the_ledger() {
    let case = |amount| {
        let mut case = Case::new();
        charge(&mut case, 7, Some(30));
        charge(&mut case, 8, amount);
        case
    };
    case(None).convicts(WHICH, "key 0000000000000008", &[1]);
    case(Some(29)).convicts(WHICH, "key 0000000000000008", &[1]);
    case(Some(30)).acquits(WHICH);
    let mut unheard = case(None);
    unheard.operations[1].settled = Settled::Info;
    unheard.acquits(WHICH);
}

#[test]
fn without_keys_the_sums_must_suffice() {
    let case = |amount| {
        let mut case = Case::new();
        charge(&mut case, 7, Some(amount));
        charge(&mut case, 7, None);
        case.audit.ledger[0].key = None;
        case
    };
    case(30).acquits(WHICH);
    case(29).convicts(WHICH, "exceed the ledger's by 1", &[0]);
}
