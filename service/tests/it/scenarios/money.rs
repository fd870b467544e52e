//! Money is neither made nor lost.

use futures::future::join_all;

use super::client::{Answer, Client, fresh_key};
use super::lcg::Lcg;

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

/// A payment and a cancellation at once for one reservation: one of them happens, and the other is told which.
pub async fn payment_and_cancellation_at_once(client: &Client, user: &str, seat: &str) -> bool {
    let token = client.admitted(user).await;
    let before = client.balance(user).await;
    let held = client.hold(&token, seat, &fresh_key()).await.expect(201, "");
    let reservation = held.text("reservation_id");
    let key = fresh_key();
    let (paid, cancelled) = futures::join!(
        client.pay(&token, &reservation, &key),
        client.cancel(&token, &reservation)
    );
    let is_paid = match (paid.status, cancelled.status) {
        (200, 409 | 401) => {
            assert!(
                ["already-paid", "token-gone", "conflict"].contains(&cancelled.code()),
                "{cancelled:?}"
            );
            true
        }
        (409, 204) => {
            assert!(["cancelled", "conflict"].contains(&paid.code()), "{paid:?}");
            false
        }
        _ => panic!("{paid:?} {cancelled:?}"),
    };
    let price = held.number("amount");
    assert_eq!(
        client.balance(user).await,
        if is_paid { before - price } else { before }
    );
    is_paid
}

/// What `n_clients` did to the money of all users.
#[derive(Debug, Default)]
pub struct Books {
    /// Requests that were to change something, sent and answered.
    pub n_operations: usize,
    /// Reservations that were paid.
    pub paid: Vec<String>,
    pub n_charged: usize,
    pub n_cancelled: usize,
    /// Payments for which the balance did not suffice.
    pub n_too_poor: usize,
    /// By user.
    changes: Vec<i64>,
}

/// At least `n_operations` random ones from `n_clients`: charges, holds, payments, cancellations, retries with the same
/// key. For every user, initial + charges − payments = final.
pub async fn conservation(
    client: &Client,
    users: &[String],
    schedules: &[String],
    n_operations: usize,
    n_clients: usize,
) -> Books {
    let initial: Vec<i64> = join_all(users.iter().map(|user| client.balance(user))).await;
    let n_each = n_operations.div_ceil(n_clients);
    let workers = (0..n_clients).map(|n| {
        let worker = Worker {
            client: client.clone(),
            users: users.to_vec(),
            schedules: schedules.to_vec(),
            random: Lcg(n as u64),
            books: Books {
                changes: vec![0; users.len()],
                ..Books::default()
            },
            pending: None,
        };
        tokio::spawn(worker.work(n_each))
    });
    let mut all = Books {
        changes: vec![0; users.len()],
        ..Books::default()
    };
    for worker in join_all(workers).await {
        all.add(worker.unwrap());
    }
    for ((user, initial), change) in users.iter().zip(initial).zip(&all.changes) {
        assert_eq!(client.balance(user).await, initial + change, "user {user}");
    }
    assert!(all.n_operations >= n_operations, "{all:?}");
    // Of each kind so many that a rare one cannot hide a fault.
    for (n, of) in [
        (all.n_charged, n_operations / 5),
        (all.paid.len(), n_operations / 20),
        (all.n_cancelled, n_operations / 50),
        (all.n_too_poor, 1),
    ] {
        assert!(n >= of, "too few to mean anything: {all:?}");
    }
    all
}

impl Books {
    fn add(&mut self, other: Self) {
        self.n_operations += other.n_operations;
        self.paid.extend(other.paid);
        self.n_charged += other.n_charged;
        self.n_cancelled += other.n_cancelled;
        self.n_too_poor += other.n_too_poor;
        for (change, of_other) in self.changes.iter_mut().zip(other.changes) {
            *change += of_other;
        }
    }
}

/// A hold that is to be paid for or given back.
struct Pending {
    user: usize,
    reservation: String,
    amount: i64,
}

/// One client: one operation after the other.
struct Worker {
    client: Client,
    users: Vec<String>,
    schedules: Vec<String>,
    random: Lcg,
    books: Books,
    pending: Option<Pending>,
}

impl Worker {
    async fn work(mut self, n_operations: usize) -> Books {
        while self.books.n_operations < n_operations {
            match (self.random.below(2), self.pending.take()) {
                (0, pending) => {
                    self.pending = pending;
                    self.charge().await;
                }
                (_, None) => self.hold().await,
                (_, Some(pending)) if self.random.below(4) == 0 => self.cancel(pending).await,
                (_, Some(pending)) => self.pay(pending).await,
            }
        }
        self.books
    }

    fn any_user(&mut self) -> usize {
        usize::try_from(self.random.below(self.users.len() as u64)).unwrap()
    }

    /// Counts an operation by its answer, which an overload is none of.
    #[track_caller]
    fn sent(&mut self, answer: Answer) -> Answer {
        assert!(answer.status < 500, "{answer:?}");
        self.books.n_operations += 1;
        answer
    }

    async fn charge(&mut self) {
        let user = self.any_user();
        // So much that many can pay, and so little that many cannot.
        let amount = i64::try_from(self.random.below(2_000)).unwrap() + 1;
        let key = fresh_key();
        let charged = self.client.charge(&self.users[user], amount, &key).await;
        let charged = self.sent(charged);
        if charged.status != 200 {
            charged.expect(409, "conflict");
            return;
        }
        self.books.n_charged += 1;
        self.books.changes[user] += amount;
        if self.random.below(4) == 0 {
            let again = self.client.charge(&self.users[user], amount, &key).await;
            let again = self.sent(again);
            assert_eq!(again, charged, "a retry changes nothing");
        }
    }

    async fn hold(&mut self) {
        let user = self.any_user();
        let token = self.client.admitted(&self.users[user]).await;
        let schedule = self.random.one_of(&self.schedules).clone();
        let map = self.client.seats(&token, &schedule).await;
        // Another client of the same user may have ended the token with its payment.
        let Some(free) = map.body["seats"].as_array() else {
            map.expect(401, "token-gone");
            return;
        };
        assert!(!free.is_empty(), "sold out: payments would not matter any more");
        let seat = self.random.one_of(free)["seat_id"].as_str().unwrap();
        let held = self.client.hold(&token, seat, &fresh_key()).await;
        let held = self.sent(held);
        match held.status {
            201 => {
                self.pending = Some(Pending {
                    user,
                    reservation: held.text("reservation_id"),
                    amount: held.number("amount"),
                });
            }
            401 | 409 => {}
            _ => panic!("{held:?}"),
        }
    }

    async fn cancel(&mut self, pending: Pending) {
        let token = self.client.admitted(&self.users[pending.user]).await;
        let cancelled = self.client.cancel(&token, &pending.reservation).await;
        let cancelled = self.sent(cancelled);
        match (cancelled.status, cancelled.code()) {
            (204, _) => self.books.n_cancelled += 1,
            (409, "conflict") | (401, "token-gone") => self.pending = Some(pending),
            _ => panic!("{cancelled:?}"),
        }
    }

    async fn pay(&mut self, pending: Pending) {
        let token = self.client.admitted(&self.users[pending.user]).await;
        let key = fresh_key();
        let paid = self.client.pay(&token, &pending.reservation, &key).await;
        let paid = self.sent(paid);
        match (paid.status, paid.code()) {
            (200, _) => {
                self.books.changes[pending.user] -= pending.amount;
                if self.random.below(4) == 0 {
                    let again = self.client.pay(&token, &pending.reservation, &key).await;
                    let again = self.sent(again);
                    assert_eq!(again, paid, "a retry changes nothing");
                }
                self.books.paid.push(pending.reservation);
            }
            (402, "insufficient-balance") => {
                self.books.n_too_poor += 1;
                self.pending = Some(pending);
            }
            (409, "conflict") | (401, "token-gone") => self.pending = Some(pending),
            _ => panic!("{paid:?}"),
        }
    }
}
