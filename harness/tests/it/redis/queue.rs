//! The waiting queue's promises, with two instances of the service on one queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use booking_service::adapters::redis_queue::{LineKind, QueueLimits, RedisQueue};
use booking_service::config::Mutants;
use booking_service::domain::{QueueToken, Timestamp, TokenId, UserId};
use booking_service::ports::QueueTotals;
use booking_service::ports::{Standing, WaitingQueue as _};
use futures::future::join_all;

use crate::server;
use crate::support::redis_server::{PATIENT, RedisServer, namespace};

pub(crate) const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

pub(crate) const LIMITS: QueueLimits = QueueLimits {
    capacity: 30,
    active_ttl: Duration::from_secs(60),
    waiting_ttl: Duration::from_secs(20),
};

/// Two instances, each with its own connection.
pub(crate) fn two_instances(
    server: &RedisServer,
    kind: LineKind,
    limits: QueueLimits,
    mutants: Mutants,
) -> [Arc<RedisQueue>; 2] {
    let namespace = namespace();
    [(); 2].map(|()| {
        Arc::new(RedisQueue::new(
            server.connect(PATIENT),
            &namespace,
            kind,
            limits,
            mutants,
        ))
    })
}

pub(crate) fn user(number: usize) -> UserId {
    UserId::from_raw(i64::try_from(number).unwrap()).unwrap()
}

/// Enters with a visit number of its own.
pub(crate) async fn enter(queue: &RedisQueue, number: usize, now: Timestamp) -> (QueueToken, Standing) {
    let candidate = TokenId(number as u64 + 0xabc0_0000_0000_0000);
    let (id, standing) = queue.enter(user(number), candidate, now).await.unwrap();
    (QueueToken { user: user(number), id }, standing)
}

/// Both kinds of line, or nothing when there is no server.
async fn on_both_kinds(limits: QueueLimits, check: impl AsyncFn([Arc<RedisQueue>; 2])) {
    let Some(server) = server().await else {
        return;
    };
    for kind in [LineKind::SortedSet, LineKind::List] {
        check(two_instances(&server, kind, limits, Mutants::default())).await;
    }
}

/// When one person was seen to be admitted, and when its last question was asked that was answered with "waiting".
struct Seen {
    arrival: u64,
    last_asked_in_vain: Option<u64>,
    admitted: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_arrivals_are_admitted_in_order_and_never_too_many_at_once() {
    on_both_kinds(LIMITS, async |instances| {
        const ARRIVALS: usize = 1_000;
        let entered = join_all((0..ARRIVALS).map(|number| {
            let queue = instances[number % 2].clone();
            async move { enter(&queue, number, NOW).await }
        }))
        .await;
        // The line is a permutation: nobody stands twice, nobody shares a place, nobody is missing.
        let mut arrivals = Vec::new();
        for (number, (token, _)) in entered.iter().enumerate() {
            arrivals.push(match instances[number % 2].standing(*token, NOW).await.unwrap() {
                Standing::Waiting { ahead, .. } => u64::from(LIMITS.capacity) + ahead,
                Standing::Active { .. } => 0,
                Standing::Gone => panic!("{number} is lost"),
            });
        }
        let mut sorted = arrivals.clone();
        sorted.sort_unstable();
        let capacity = LIMITS.capacity as usize;
        let expected: Vec<u64> = std::iter::repeat_n(0, capacity).chain(30..ARRIVALS as u64).collect();
        assert_eq!(sorted, expected);

        let clock = Arc::new(AtomicU64::new(0));
        let active = Arc::new(AtomicU64::new(0));
        let visits = entered
            .iter()
            .zip(arrivals)
            .enumerate()
            .map(|(number, ((token, _), arrival))| {
                let (clock, active, token) = (clock.clone(), active.clone(), *token);
                let (here, there) = (instances[number % 2].clone(), instances[(number + 1) % 2].clone());
                tokio::spawn(async move {
                    let mut seen = Seen {
                        arrival,
                        last_asked_in_vain: None,
                        admitted: 0,
                    };
                    loop {
                        let asked = clock.fetch_add(1, Ordering::SeqCst);
                        match here.standing(token, NOW).await.unwrap() {
                            Standing::Waiting { .. } => seen.last_asked_in_vain = Some(asked),
                            Standing::Active { .. } => break,
                            Standing::Gone => panic!("{number} is lost"),
                        }
                    }
                    seen.admitted = clock.fetch_add(1, Ordering::SeqCst);
                    let at_once = active.fetch_add(1, Ordering::SeqCst) + 1;
                    assert!(at_once <= u64::from(LIMITS.capacity), "{at_once} active at once");
                    active.fetch_sub(1, Ordering::SeqCst);
                    assert!(there.leave(token, NOW).await.unwrap());
                    seen
                })
            });
        let mut seen: Vec<Seen> = Vec::new();
        for visit in visits.collect::<Vec<_>>() {
            seen.push(visit.await.unwrap());
        }
        // Whoever asked in vain after a later arrival had been admitted was overtaken.
        seen.sort_by_key(|one| std::cmp::Reverse(one.arrival));
        let mut later_admitted = u64::MAX;
        for one in &seen {
            if let Some(asked) = one.last_asked_in_vain {
                assert!(asked < later_admitted, "arrival {} was overtaken", one.arrival);
            }
            later_admitted = later_admitted.min(one.admitted);
        }
        let n = ARRIVALS as u64;
        let expected = QueueTotals {
            entered: n,
            admitted: n,
            left: n,
            expired: 0,
        };
        assert_eq!(instances[0].totals().await.unwrap(), expected);
        let counts = instances[1].tick(NOW).await.unwrap();
        assert_eq!((counts.waiting, counts.active), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn the_same_user_has_one_place_however_often_it_asks() {
    on_both_kinds(LIMITS, async |instances| {
        let entries = join_all((0..50).map(|n| {
            let queue = instances[n % 2].clone();
            async move { queue.enter(user(7), TokenId(n as u64), NOW).await.unwrap().0 }
        }))
        .await;
        assert!(entries.iter().all(|id| *id == entries[0]), "{entries:?}");
        assert_eq!(instances[0].totals().await.unwrap().entered, 1);
    })
    .await;
}

#[tokio::test]
async fn leaving_frees_the_place_and_ends_the_visit() {
    let limits = QueueLimits { capacity: 1, ..LIMITS };
    on_both_kinds(limits, async |[queue, other]| {
        let (first, standing) = enter(&queue, 1, NOW).await;
        assert!(
            matches!(standing, Standing::Active { .. }),
            "a free place is given at once"
        );
        let (second, _) = enter(&other, 2, NOW).await;
        let (third, standing) = enter(&queue, 3, NOW).await;
        assert!(matches!(standing, Standing::Waiting { ahead: 1, .. }), "{standing:?}");
        assert!(other.leave(second, NOW).await.unwrap(), "one may leave the line");
        assert!(!other.leave(second, NOW).await.unwrap(), "but only once");
        assert!(matches!(
            queue.standing(third, NOW).await.unwrap(),
            Standing::Waiting { ahead: 0, .. }
        ));
        assert!(queue.leave(first, NOW).await.unwrap());
        assert!(matches!(
            other.standing(third, NOW).await.unwrap(),
            Standing::Active { .. }
        ));
        // A second visit of the same user is another token; the first stays over.
        let (id, _) = queue.enter(first.user, TokenId(99), NOW).await.unwrap();
        assert_eq!(id, TokenId(99));
        assert_eq!(queue.standing(first, NOW).await.unwrap(), Standing::Gone);
        assert!(!queue.leave(first, NOW).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn places_expire_exactly_at_their_moment() {
    let limits = QueueLimits { capacity: 1, ..LIMITS };
    on_both_kinds(limits, async |[queue, other]| {
        let just_before = |moment: Timestamp| Timestamp::from_unix_ms(moment.unix_ms() - 1);
        let (active, standing) = enter(&queue, 1, NOW).await;
        let active_ends = NOW.plus(limits.active_ttl);
        assert_eq!(
            standing,
            Standing::Active {
                expires_at: active_ends
            }
        );
        let (asking, _) = enter(&queue, 2, NOW).await;
        let (silent, _) = enter(&queue, 3, NOW).await;

        // Asking keeps a waiting place; it does not prolong an active one.
        let half = NOW.plus(limits.waiting_ttl / 2);
        let kept_until = half.plus(limits.waiting_ttl);
        let standing = other.standing(asking, half).await.unwrap();
        assert_eq!(
            standing,
            Standing::Waiting {
                ahead: 0,
                expires_at: kept_until
            }
        );
        assert_eq!(
            other.standing(active, half).await.unwrap(),
            Standing::Active {
                expires_at: active_ends
            }
        );

        let silent_ends = NOW.plus(limits.waiting_ttl);
        assert_eq!(queue.tick(just_before(silent_ends)).await.unwrap().waiting, 2);
        assert_eq!(queue.tick(silent_ends).await.unwrap().waiting, 1);
        assert_eq!(other.standing(silent, silent_ends).await.unwrap(), Standing::Gone);

        let later = just_before(kept_until);
        other.standing(asking, later).await.unwrap();
        other
            .standing(asking, later.plus(Duration::from_secs(15)))
            .await
            .unwrap();
        assert_eq!(queue.tick(just_before(active_ends)).await.unwrap().active, 1);
        // Whoever is next is admitted in the same moment, whoever asks first.
        assert_eq!(queue.standing(active, active_ends).await.unwrap(), Standing::Gone);
        let standing = other.standing(asking, active_ends).await.unwrap();
        let expires_at = active_ends.plus(limits.active_ttl);
        assert_eq!(standing, Standing::Active { expires_at });
        let totals = queue.totals().await.unwrap();
        assert_eq!(
            (totals.entered, totals.admitted, totals.left, totals.expired),
            (3, 2, 0, 2)
        );
    })
    .await;
}

#[tokio::test]
async fn a_backlog_of_expiry_delays_admission_and_never_exceeds_the_capacity() {
    let Some(server) = server().await else {
        return;
    };
    let limits = QueueLimits {
        capacity: 300,
        ..LIMITS
    };
    let (connection, namespace) = (server.connect(PATIENT), namespace());
    let queue = RedisQueue::new(
        connection.clone(),
        &namespace,
        LineKind::SortedSet,
        limits,
        Mutants::default(),
    );
    let mut tokens = Vec::new();
    for number in 0..900 {
        tokens.push(enter(&queue, number, NOW).await.0);
    }
    // The first 300 are active and expire together. Of those in line, the first 300 are silent, and have been expired
    // for long when anybody looks; the others ask, once, just in time.
    let end = NOW.plus(limits.active_ttl);
    let raise_deadline = redis::cmd("ZADD")
        .arg(format!("{{{namespace}}}:queue:deadlines"))
        .arg("XX")
        .arg(
            tokens[600..]
                .iter()
                .map(|token| (end.unix_ms() + 1, token.user.raw()))
                .collect::<Vec<_>>(),
        )
        .to_owned();
    let _: i64 = connection.query("test", &raise_deadline).await.unwrap();
    let mut rounds = 0;
    loop {
        // A request moves few tokens at a time, so the backlog lasts for several.
        let standing = queue.standing(tokens[899], end).await.unwrap();
        let active = redis::cmd("ZCARD")
            .arg(format!("{{{namespace}}}:queue:active"))
            .to_owned();
        let active: u32 = connection.query("test", &active).await.unwrap();
        assert!(active <= limits.capacity, "{active} active");
        rounds += 1;
        match standing {
            Standing::Active { .. } => break,
            Standing::Waiting { .. } => assert!(rounds < 100, "admission does not get on"),
            Standing::Gone => panic!("asked in time, and lost"),
        }
    }
    assert!(rounds > 3, "all was done in {rounds} calls, so nothing bounds them");
    for token in &tokens[..600] {
        assert_eq!(queue.standing(*token, end).await.unwrap(), Standing::Gone);
    }
    for token in &tokens[600..] {
        assert!(matches!(
            queue.standing(*token, end).await.unwrap(),
            Standing::Active { .. }
        ));
    }
    let totals = queue.totals().await.unwrap();
    assert_eq!((totals.entered, totals.admitted, totals.expired), (900, 600, 600));
}

#[tokio::test]
async fn ticks_of_all_instances_together_report_each_event_once() {
    let limits = QueueLimits { capacity: 10, ..LIMITS };
    on_both_kinds(limits, async |instances| {
        for number in 0..25 {
            enter(&instances[number % 2], number, NOW).await;
        }
        let later = NOW.plus(limits.waiting_ttl);
        let (mut admitted, mut expired) = (0, 0);
        for at in [NOW, NOW, later, later] {
            for counts in join_all(instances.iter().map(|queue| queue.tick(at))).await {
                let counts = counts.unwrap();
                admitted += counts.admitted;
                expired += counts.expired;
            }
        }
        assert_eq!((admitted, expired), (10, 15));
    })
    .await;
}
