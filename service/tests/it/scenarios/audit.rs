//! The final state as `audit` prints it, line by line, and what must hold of it after any scenario.

use std::collections::BTreeSet;

use serde_json::Value;

/// Lines of one kind.
pub fn of_kind<'a>(audit: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    audit.iter().filter(move |line| line["kind"] == kind)
}

/// The reservations behind the lines of one kind whose `field` is `value`, in order; a reservation that has two such
/// lines is there twice.
pub fn reservations(audit: &[Value], kind: &str, field: &str, value: &str) -> Vec<String> {
    let lines = of_kind(audit, kind).filter(|line| line[field] == value);
    let mut found: Vec<String> = lines
        .map(|line| line["reservation_id"].as_str().unwrap().to_owned())
        .collect();
    found.sort();
    found
}

/// What belongs to a payment (its seat, its debit, its event) is there once for each reservation of `paid`, and for no
/// other.
pub fn paid_for_exactly(audit: &[Value], paid: &[String]) {
    let mut paid = paid.to_vec();
    paid.sort();
    for (kind, field, value) in [
        ("reservation", "status", "paid"),
        ("payment", "status", "completed"),
        ("seat", "status", "sold"),
        ("ledger", "entry", "payment"),
        ("outbox", "kind", "outbox"),
    ] {
        assert_eq!(
            reservations(audit, kind, field, value),
            paid,
            "one {kind} that is {value} for each payment"
        );
    }
    let seats: BTreeSet<&str> = of_kind(audit, "seat")
        .map(|seat| seat["seat_id"].as_str().unwrap())
        .collect();
    assert_eq!(seats.len(), of_kind(audit, "seat").count(), "a line for each seat");
}

/// These reservations, and no others, ended without a payment, and no seat is held any more.
pub fn ended_unpaid_exactly(audit: &[Value], expired: &[String], cancelled: &[String]) {
    let sorted = |ids: &[&[String]]| -> BTreeSet<String> { ids.concat().into_iter().collect() };
    let found = |kind, status| {
        reservations(audit, kind, "status", status)
            .into_iter()
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(found("reservation", "expired"), sorted(&[expired]));
    assert_eq!(found("reservation", "cancelled"), sorted(&[cancelled]));
    assert_eq!(found("payment", "cancelled"), sorted(&[expired, cancelled]));
    let held: Vec<&Value> = of_kind(audit, "seat").filter(|seat| seat["status"] == "held").collect();
    assert!(held.is_empty(), "{held:?}");
}

/// For every user: what it began with + charges − payments = what it has.
pub fn money_adds_up(audit: &[Value]) {
    for user in of_kind(audit, "user") {
        let entries = of_kind(audit, "ledger").filter(|entry| entry["user_id"] == user["user_id"]);
        let change: i64 = entries
            .map(|entry| {
                let amount = entry["amount"].as_i64().unwrap();
                if entry["entry"] == "charge" { amount } else { -amount }
            })
            .sum();
        let (initial, balance) = (user["initial"].as_i64().unwrap(), user["balance"].as_i64().unwrap());
        assert_eq!(initial + change, balance, "{user}");
    }
}
