//! The queue in Redis against a plain model of its rules, over random histories on two instances.

use std::collections::BTreeMap;
use std::time::Duration;

use booking_service::adapters::redis_queue::{LineKind, QueueLimits, RedisQueue};
use booking_service::config::Mutants;
use booking_service::domain::{QueueToken, Timestamp, TokenId, UserId};
use booking_service::ports::QueueTotals;
use booking_service::ports::{Standing, WaitingQueue as _};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::queue::{NOW, two_instances, user};
use crate::server;

const USERS: usize = 25;
const STEPS: usize = 1_500;
const LIMITS: QueueLimits = QueueLimits {
    capacity: 4,
    active_ttl: Duration::from_secs(30),
    waiting_ttl: Duration::from_secs(20),
};

/// The rules once more, in the plainest form.
#[derive(Default)]
struct Model {
    visits: BTreeMap<UserId, TokenId>,
    line: Vec<(UserId, Timestamp)>,
    active: BTreeMap<UserId, Timestamp>,
    totals: QueueTotals,
}

impl Model {
    fn settle(&mut self, now: Timestamp) {
        let over: Vec<UserId> = self
            .active
            .iter()
            .filter(|(_, ends)| **ends <= now)
            .map(|(user, _)| *user)
            .collect();
        let silent = self
            .line
            .iter()
            .filter(|(_, deadline)| *deadline <= now)
            .map(|(user, _)| *user);
        for user in over.into_iter().chain(silent.collect::<Vec<_>>()) {
            self.forget(user);
            self.totals.expired += 1;
        }
        while self.active.len() < LIMITS.capacity as usize && !self.line.is_empty() {
            let (user, _) = self.line.remove(0);
            self.active.insert(user, now.plus(LIMITS.active_ttl));
            self.totals.admitted += 1;
        }
    }

    fn forget(&mut self, user: UserId) {
        self.visits.remove(&user);
        self.active.remove(&user);
        self.line.retain(|(other, _)| *other != user);
    }

    fn find(&mut self, token: QueueToken, now: Timestamp) -> Standing {
        if self.visits.get(&token.user) != Some(&token.id) {
            return Standing::Gone;
        }
        if let Some(expires_at) = self.active.get(&token.user) {
            return Standing::Active {
                expires_at: *expires_at,
            };
        }
        let ahead = self.line.iter().position(|(user, _)| *user == token.user).unwrap();
        self.line[ahead].1 = now.plus(LIMITS.waiting_ttl);
        Standing::Waiting {
            ahead: ahead as u64,
            expires_at: self.line[ahead].1,
        }
    }

    fn enter(&mut self, user: UserId, candidate: TokenId, now: Timestamp) -> (TokenId, Standing) {
        self.settle(now);
        let id = *self.visits.entry(user).or_insert_with(|| {
            self.line.push((user, now.plus(LIMITS.waiting_ttl)));
            self.totals.entered += 1;
            candidate
        });
        self.settle(now);
        (id, self.find(QueueToken { user, id }, now))
    }

    fn leave(&mut self, token: QueueToken, now: Timestamp) -> bool {
        self.settle(now);
        let had_place = self.find(token, now) != Standing::Gone;
        if had_place {
            self.forget(token.user);
            self.totals.left += 1;
            self.settle(now);
        }
        had_place
    }
}

async fn random_history(kind: LineKind, seed: u64) {
    let Some(server) = server().await else {
        return;
    };
    let instances = two_instances(&server, kind, LIMITS, Mutants::default());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut model = Model::default();
    let mut now = NOW;
    let mut tokens: Vec<QueueToken> = Vec::new();
    for step in 0..STEPS {
        let queue: &RedisQueue = &instances[rng.random_range(0..2)];
        let context = format!("{kind:?}, seed {seed}, step {step}");
        let token =
            (!tokens.is_empty()).then(|| tokens[rng.random_range(tokens.len().saturating_sub(40)..tokens.len())]);
        match (rng.random_range(0..10), token) {
            (0..3, _) | (_, None) => {
                let (user, candidate) = (user(rng.random_range(0..USERS)), TokenId(rng.random()));
                let answer = queue.enter(user, candidate, now).await.unwrap();
                assert_eq!(answer, model.enter(user, candidate, now), "{context}: enter");
                tokens.push(QueueToken { user, id: answer.0 });
            }
            (3..6, Some(token)) => {
                model.settle(now);
                let answer = queue.standing(token, now).await.unwrap();
                assert_eq!(answer, model.find(token, now), "{context}: standing");
            }
            (6..7, Some(token)) => {
                let answer = queue.leave(token, now).await.unwrap();
                assert_eq!(answer, model.leave(token, now), "{context}: leave");
            }
            (7..8, _) => {
                model.settle(now);
                let counts = queue.tick(now).await.unwrap();
                let expected = (model.line.len() as u64, model.active.len() as u64);
                assert_eq!((counts.waiting, counts.active), expected, "{context}: tick");
            }
            _ => now = now.plus(Duration::from_millis(rng.random_range(0..6_000))),
        }
    }
    let totals = instances[0].totals().await.unwrap();
    assert_eq!(totals, model.totals, "{kind:?}, seed {seed}");
    assert!(
        totals.expired > 0 && totals.left > 0,
        "the history was too tame: {totals:?}"
    );
}

#[tokio::test]
async fn a_sorted_set_keeps_the_rules() {
    for seed in 0..3 {
        random_history(LineKind::SortedSet, seed).await;
    }
}

#[tokio::test]
async fn a_list_keeps_the_rules() {
    random_history(LineKind::List, 10).await;
}
