//! Money is neither made nor lost.

use futures::future::join_all;

use super::client::{Client, fresh_key};

/// A small generator, so that a failing run can be repeated by its seed.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Two payments at once for one reservation, with a key each: one debit.
pub async fn two_payments_at_once(client: &Client, user: &str, seat: &str) {
    let token = client.admitted(user).await;
    let before = client.balance(user).await;
    let held = client.hold(&token, seat, &fresh_key()).await.expect(201, "");
    let reservation = held.text("reservation_id");
    let (one, other) = (fresh_key(), fresh_key());
    let (first, second) = futures::join!(
        client.pay(&token, &reservation, &one),
        client.pay(&token, &reservation, &other)
    );
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    // The loser is told that it is paid, or that its token has ended with the other payment.
    assert_eq!(statuses[0], 200, "{first:?} {second:?}");
    assert!(
        [&first, &second]
            .iter()
            .any(|answer| ["already-paid", "token-gone", "conflict"].contains(&answer.code())),
        "{first:?} {second:?}"
    );
    assert_eq!(client.balance(user).await, before - held.number("amount"), "one debit");
}

/// `n_operations` random ones from `n_clients`: charges, holds, payments, cancellations, retries with the same key.
/// For every user, initial + charges − payments = final.
pub async fn conservation(client: &Client, users: &[String], schedule: &str, n_operations: usize, n_clients: usize) {
    let initial: Vec<i64> = join_all(users.iter().map(|user| client.balance(user))).await;
    let workers = (0..n_clients).map(|n| {
        let client = client.clone();
        let (users, schedule) = (users.to_vec(), schedule.to_owned());
        tokio::spawn(async move { work(&client, &users, &schedule, n_operations / n_clients, n as u64).await })
    });
    let mut changes = vec![0_i64; users.len()];
    for worker in join_all(workers).await {
        for (change, of_worker) in changes.iter_mut().zip(worker.unwrap()) {
            *change += of_worker;
        }
    }
    for ((user, initial), change) in users.iter().zip(initial).zip(changes) {
        assert_eq!(client.balance(user).await, initial + change, "user {user}");
    }
}

/// One client's operations; returns the change that it caused, by user.
async fn work(client: &Client, users: &[String], schedule: &str, n_operations: usize, seed: u64) -> Vec<i64> {
    let mut random = Lcg(seed);
    let mut changes = vec![0_i64; users.len()];
    let mut pending: Option<(usize, String, String, i64)> = None;
    for _ in 0..n_operations {
        let who = usize::try_from(random.below(users.len() as u64)).unwrap();
        match random.below(4) {
            0 | 1 => {
                let amount = i64::try_from(random.below(500)).unwrap() + 1;
                let key = fresh_key();
                let charged = client.charge(&users[who], amount, &key).await;
                if charged.status == 200 {
                    changes[who] += amount;
                    if random.below(4) == 0 {
                        assert_eq!(
                            client.charge(&users[who], amount, &key).await,
                            charged,
                            "a retry changes nothing"
                        );
                    }
                } else {
                    charged.expect(409, "conflict");
                }
            }
            2 => {
                let token = client.admitted(&users[who]).await;
                let map = client.seats(&token, schedule).await;
                let free = map.body["seats"].as_array().cloned().unwrap_or_default();
                if free.is_empty() {
                    continue;
                }
                let pick = usize::try_from(random.below(free.len() as u64)).unwrap();
                let seat = free[pick]["seat_id"].as_str().unwrap();
                let held = client.hold(&token, seat, &fresh_key()).await;
                match held.status {
                    201 => pending = Some((who, token, held.text("reservation_id"), held.number("amount"))),
                    // The same user's token may have ended with another client's payment.
                    401 | 409 => {}
                    _ => panic!("{held:?}"),
                }
            }
            _ => {
                let Some((who, token, reservation, amount)) = pending.take() else {
                    continue;
                };
                if random.below(3) == 0 {
                    let cancelled = client.cancel(&token, &reservation).await;
                    assert!([204, 409].contains(&cancelled.status), "{cancelled:?}");
                } else {
                    let paid = client.pay(&token, &reservation, &fresh_key()).await;
                    match paid.status {
                        200 => changes[who] -= amount,
                        401..=403 | 409 => {}
                        _ => panic!("{paid:?}"),
                    }
                }
            }
        }
    }
    changes
}
