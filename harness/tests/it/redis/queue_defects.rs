//! Each defect of the queue shows, so that the harness has something to catch.

use booking_service::adapters::mutants::wipe_at_stop;
use booking_service::adapters::redis_queue::{LineKind, RedisQueue};
use booking_service::config::{Mutant, Mutants};
use booking_service::ports::{Standing, WaitingQueue as _};
use futures::future::join_all;

use crate::queue::{LIMITS, NOW, enter, two_instances};
use crate::server;
use crate::support::redis_server::{PATIENT, namespace};

#[tokio::test]
async fn d1_admits_the_whole_queue_when_no_place_is_free() {
    let Some(server) = server().await else {
        return;
    };
    let [queue, _] = two_instances(&server, LineKind::SortedSet, LIMITS, Mutants::from_iter([Mutant::D1]));
    for number in 0..100 {
        enter(&queue, number, NOW).await;
    }
    assert!(queue.tick(NOW).await.unwrap().active > u64::from(LIMITS.capacity));
}

#[tokio::test]
async fn d2_keeps_active_tokens_past_their_end() {
    let Some(server) = server().await else {
        return;
    };
    let [queue, _] = two_instances(&server, LineKind::SortedSet, LIMITS, Mutants::from_iter([Mutant::D2]));
    let (token, _) = enter(&queue, 1, NOW).await;
    let end = NOW.plus(LIMITS.active_ttl);
    queue.tick(end).await.unwrap();
    let standing = queue.standing(token, end).await.unwrap();
    assert_eq!(
        standing,
        Standing::Active { expires_at: end },
        "alive at the moment of its own end"
    );
    assert!(queue.leave(token, end).await.unwrap(), "leaving still works");
    assert_eq!(queue.standing(token, end).await.unwrap(), Standing::Gone);
}

#[tokio::test]
async fn d10_gives_the_same_ranks_more_slowly() {
    let Some(server) = server().await else {
        return;
    };
    let [queue, _] = two_instances(&server, LineKind::SortedSet, LIMITS, Mutants::from_iter([Mutant::D10]));
    for number in 0..60 {
        let (token, _) = enter(&queue, number, NOW).await;
        let standing = queue.standing(token, NOW).await.unwrap();
        let expected = (number as u64).checked_sub(u64::from(LIMITS.capacity));
        let ahead = match standing {
            Standing::Waiting { ahead, .. } => Some(ahead),
            _ => None,
        };
        assert_eq!(ahead, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d11_loses_people_between_range_and_trim() {
    let Some(server) = server().await else {
        return;
    };
    for round in 0..50 {
        let instances = two_instances(&server, LineKind::SortedSet, LIMITS, Mutants::from_iter([Mutant::D11]));
        for number in 0..100 {
            let queue = &instances[number % 2];
            enter(queue, number, NOW).await;
        }
        for counts in join_all(instances.iter().flat_map(|queue| [queue.tick(NOW), queue.tick(NOW)])).await {
            counts.unwrap();
        }
        let leaving = (0..30).map(|number| {
            let queue: &RedisQueue = &instances[number % 2];
            async move {
                let (token, _) = enter(queue, number, NOW).await;
                queue.leave(token, NOW).await.unwrap();
                queue.tick(NOW).await.unwrap();
            }
        });
        join_all(leaving).await;
        let counts = instances[0].tick(NOW).await.unwrap();
        let totals = instances[0].totals().await.unwrap();
        let accounted = counts.waiting + counts.active + totals.left + totals.expired;
        assert!(accounted <= totals.entered);
        if accounted < totals.entered {
            return;
        }
        assert!(round < 49, "nobody was lost in {round} rounds");
    }
}

#[tokio::test]
async fn d15_wipes_the_queue_and_nothing_does_without_it() {
    let Some(server) = server().await else {
        return;
    };
    let connection = server.connect(PATIENT);
    let namespace = namespace();
    let queue = RedisQueue::new(
        connection.clone(),
        &namespace,
        LineKind::SortedSet,
        LIMITS,
        Mutants::default(),
    );
    let (token, _) = enter(&queue, 1, NOW).await;
    assert_eq!(
        wipe_at_stop(&connection, &namespace, Mutants::default()).await.unwrap(),
        0
    );
    assert!(matches!(
        queue.standing(token, NOW).await.unwrap(),
        Standing::Active { .. }
    ));
    let mutants = Mutants::from_iter([Mutant::D15]);
    assert!(wipe_at_stop(&connection, &namespace, mutants).await.unwrap() > 0);
    assert_eq!(queue.standing(token, NOW).await.unwrap(), Standing::Gone);
}
