//! Many users, one seat.

use futures::future::join_all;

use super::client::{Client, fresh_key};

/// What became of the contenders for one seat.
#[derive(Debug, Default)]
pub struct Contest {
    pub n_won: usize,
    pub n_taken: usize,
    pub n_conflict: usize,
    /// Anything else, which a contest must not have.
    pub others: Vec<String>,
}

/// All `users` hold `seat` at once. Each is admitted before the first one starts.
pub async fn contest(client: &Client, users: &[String], seat: &str) -> Contest {
    let tokens = join_all(users.iter().map(|user| client.admitted(user))).await;
    let holds = tokens.iter().map(|token| {
        let key = fresh_key();
        async move { client.hold(token, seat, &key).await }
    });
    let mut contest = Contest::default();
    for answer in join_all(holds).await {
        match (answer.status, answer.code()) {
            (201, _) => contest.n_won += 1,
            (409, "seat-taken") => contest.n_taken += 1,
            (409, "conflict") => contest.n_conflict += 1,
            _ => contest.others.push(format!("{answer:?}")),
        }
    }
    contest
}

/// Exactly one wins, the others are told so, and nobody sees anything else.
pub async fn exactly_one_wins(client: &Client, users: &[String], seat: &str) {
    let contest = contest(client, users, seat).await;
    assert_eq!(
        contest.others,
        [] as [String; 0],
        "contention must not show as anything but 409"
    );
    assert_eq!(contest.n_won, 1, "{contest:?}");
    assert_eq!(contest.n_won + contest.n_taken + contest.n_conflict, users.len());
}
