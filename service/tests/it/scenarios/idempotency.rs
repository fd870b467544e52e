//! The same key: one effect, one answer.

use futures::future::join_all;
use serde_json::Value;

use super::audit::of_kind;
use super::client::{Answer, Client, fresh_key};

/// So many at once.
const N_AT_ONCE: usize = 50;

/// At once, and one more; every answer is the same success.
async fn all_alike<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Answer {
    let answers = join_all((0..N_AT_ONCE).map(|_| ask())).await;
    let again = ask().await;
    assert!(again.status < 300, "{again:?}");
    for answer in answers {
        assert_eq!(answer, again);
    }
    again
}

/// A user, a hold with its key, and a payment with its key.
#[derive(Debug)]
pub struct Visit {
    user: String,
    hold_key: String,
    pay_key: String,
    amount: i64,
}

/// Holds and pays with one key each, fifty times at once, and once more after the token has finished; with another body
/// under the same keys.
pub async fn hold_and_pay(client: &Client, user: &str, seat: &str, other_seat: &str) -> Visit {
    let token = client.admitted(user).await;
    let before = client.balance(user).await;
    let (hold_key, pay_key) = (fresh_key(), fresh_key());
    let held = all_alike(|| client.hold(&token, seat, &hold_key)).await;
    client
        .hold(&token, other_seat, &hold_key)
        .await
        .expect(422, "idempotency-mismatch");
    let (reservation, amount) = (held.text("reservation_id"), held.number("amount"));

    let paid = all_alike(|| client.pay(&token, &reservation, &pay_key)).await;
    assert_eq!(client.balance(user).await, before - amount, "one debit");

    // The payment has ended the token; it still identifies its user.
    client.place(&token).await.expect(401, "token-gone");
    assert_eq!(client.hold(&token, seat, &hold_key).await, held);
    assert_eq!(client.pay(&token, &reservation, &pay_key).await, paid);
    client
        .hold(&token, other_seat, &hold_key)
        .await
        .expect(422, "idempotency-mismatch");
    client.hold(&token, seat, &fresh_key()).await.expect(401, "token-gone");

    // Another reservation under the key of this payment, by a user who may pay.
    let token = client.admitted(user).await;
    let other = client.hold(&token, other_seat, &fresh_key()).await.expect(201, "");
    let other = other.text("reservation_id");
    client
        .pay(&token, &other, &pay_key)
        .await
        .expect(422, "idempotency-mismatch");
    assert_eq!(client.reservation(&token, &other).await.text("status"), "pending");
    assert_eq!(client.pay(&token, &reservation, &pay_key).await, paid);
    client.cancel(&token, &other).await.expect(204, "");
    client.leave(&token).await;
    assert_eq!(client.balance(user).await, before - amount);
    Visit {
        user: user.to_owned(),
        hold_key,
        pay_key,
        amount,
    }
}

/// The same key for two seats, many times at once: one of the seats is held, and whoever asked for the other one is told
/// so.
pub async fn one_key_for_two_seats(client: &Client, user: &str, seats: [&str; 2]) {
    let token = client.admitted(user).await;
    let key = fresh_key();
    let asked = (0..N_AT_ONCE).map(|n| client.hold(&token, seats[n % 2], &key));
    let answers = join_all(asked).await;
    let held: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!held.is_empty(), "{answers:?}");
    assert!(held.iter().all(|answer| *answer == held[0]), "{held:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.clone().expect(422, "idempotency-mismatch");
    }
    let loser = seats.iter().find(|seat| **seat != held[0].text("seat_id")).unwrap();
    client
        .hold(&token, loser, &key)
        .await
        .expect(422, "idempotency-mismatch");
    client
        .cancel(&token, &held[0].text("reservation_id"))
        .await
        .expect(204, "");
    client.leave(&token).await;
}

/// A user, and a charge with its key.
#[derive(Debug)]
pub struct Charge {
    user: String,
    key: String,
    amount: i64,
}

/// Charges with one key, fifty times at once, and another amount under the same key.
pub async fn charge(client: &Client, user: &str) -> Charge {
    let before = client.balance(user).await;
    let key = fresh_key();
    let charged = all_alike(|| client.charge(user, 700, &key)).await;
    assert_eq!(charged.number("balance"), before + 700);
    assert_eq!(client.balance(user).await, before + 700, "one charge");
    client.charge(user, 701, &key).await.expect(422, "idempotency-mismatch");
    assert_eq!(client.balance(user).await, before + 700, "one charge");
    Charge {
        user: user.to_owned(),
        key,
        amount: 700,
    }
}

/// In the final state each key has one effect.
pub fn one_effect_each(audit: &[Value], visit: &Visit, charge: &Charge) {
    let with_key = |kind: &'static str, user: &str, key: &str| -> Vec<Value> {
        let lines = of_kind(audit, kind).filter(|line| line["user_id"] == user && line["idem_key"] == key);
        lines.cloned().collect()
    };
    let reservations = with_key("reservation", &visit.user, &visit.hold_key);
    let [reservation] = &reservations[..] else {
        panic!("not one reservation: {reservations:?}");
    };
    let id = &reservation["reservation_id"];
    assert_eq!(reservation["status"], "paid");
    let payments = with_key("payment", &visit.user, &visit.pay_key);
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(
        (&payments[0]["reservation_id"], &payments[0]["status"]),
        (id, &Value::from("completed"))
    );
    let about_it = |kind: &'static str| of_kind(audit, kind).filter(|line| line["reservation_id"] == *id);
    for kind in ["payment", "outbox", "seat", "ledger"] {
        assert_eq!(about_it(kind).count(), 1, "one {kind}");
    }
    assert_eq!(about_it("ledger").next().unwrap()["amount"], visit.amount);
    let charges = with_key("ledger", &charge.user, &charge.key);
    assert_eq!(charges.len(), 1, "{charges:?}");
    assert_eq!(charges[0]["amount"], charge.amount);
}
