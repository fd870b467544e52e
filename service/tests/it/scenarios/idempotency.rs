//! The same key: one effect, one answer.

use futures::future::join_all;

use super::client::{Answer, Client, fresh_key};

/// `n` times at once. Every answer is the first one's, save conflicts, which the client may resolve by asking again.
async fn all_alike<F: Future<Output = Answer>>(n: usize, ask: impl Fn() -> F) -> Answer {
    let answers = join_all((0..n).map(|_| ask())).await;
    let first = ask().await;
    assert!(first.status < 300, "{first:?}");
    for answer in answers {
        if answer.code() != "conflict" {
            assert_eq!(answer, first);
        }
    }
    first
}

/// Holds and pays with one key each, fifty times at once, and once more after the token has finished.
pub async fn hold_and_pay(client: &Client, user: &str, seat: &str, other_seat: &str) {
    let token = client.admitted(user).await;
    let before = client.balance(user).await;
    let (hold_key, pay_key) = (fresh_key(), fresh_key());
    let held = all_alike(50, || client.hold(&token, seat, &hold_key)).await;
    client
        .hold(&token, other_seat, &hold_key)
        .await
        .expect(422, "idempotency-mismatch");
    let reservation = held.text("reservation_id");

    let paid = all_alike(50, || client.pay(&token, &reservation, &pay_key)).await;
    assert_eq!(client.balance(user).await, before - held.number("amount"), "one debit");

    // The payment has ended the token; it still identifies its user.
    client.place(&token).await.expect(401, "token-gone");
    assert_eq!(client.hold(&token, seat, &hold_key).await, held);
    assert_eq!(client.pay(&token, &reservation, &pay_key).await, paid);
    client
        .hold(&token, other_seat, &hold_key)
        .await
        .expect(422, "idempotency-mismatch");
    client.hold(&token, seat, &fresh_key()).await.expect(401, "token-gone");
    assert_eq!(client.balance(user).await, before - held.number("amount"));
}

/// Charges with one key, fifty times at once.
pub async fn charge(client: &Client, user: &str) {
    let before = client.balance(user).await;
    let key = fresh_key();
    let charged = all_alike(50, || client.charge(user, 700, &key)).await;
    assert_eq!(charged.number("balance"), before + 700);
    assert_eq!(client.balance(user).await, before + 700, "one charge");
    client.charge(user, 701, &key).await.expect(422, "idempotency-mismatch");
}
