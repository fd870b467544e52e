//! The lock: one holder at a time, growing fence numbers, and an end by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use booking_service::adapters::redis_lock::{Acquired, LockGuard, RedisLocks};

use crate::server;
use crate::support::redis_server::{PATIENT, namespace};

async fn held(locks: &RedisLocks, name: &str) -> LockGuard {
    match locks.acquire(name).await.unwrap() {
        Acquired::Held(guard) => guard,
        Acquired::Busy => panic!("{name} is busy"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_holder_at_a_time_with_growing_fences() {
    let Some(server) = server().await else {
        return;
    };
    let namespace = namespace();
    let holders = Arc::new(AtomicUsize::new(0));
    let last_fence = Arc::new(AtomicU64::new(0));
    let contenders: Vec<_> = (0..40)
        .map(|_| {
            let locks = RedisLocks::new(server.connect(PATIENT), &namespace, PATIENT, PATIENT);
            let (holders, last_fence) = (holders.clone(), last_fence.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let guard = held(&locks, "seat:1").await;
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    assert!(last_fence.swap(guard.fence(), Ordering::SeqCst) < guard.fence());
                    tokio::task::yield_now().await;
                    holders.fetch_sub(1, Ordering::SeqCst);
                    assert!(guard.release().await.unwrap(), "still ours when released");
                }
            })
        })
        .collect();
    for contender in contenders {
        contender.await.unwrap();
    }
    assert_eq!(last_fence.load(Ordering::SeqCst), 400);
}

#[tokio::test]
async fn waiting_is_bounded_and_another_name_is_free() {
    let Some(server) = server().await else {
        return;
    };
    let locks = RedisLocks::new(
        server.connect(PATIENT),
        &namespace(),
        PATIENT,
        Duration::from_millis(100),
    );
    let guard = held(&locks, "seat:1").await;
    let started = Instant::now();
    assert!(matches!(locks.acquire("seat:1").await.unwrap(), Acquired::Busy));
    assert!(
        started.elapsed() >= Duration::from_millis(100),
        "it waited as long as allowed"
    );
    held(&locks, "seat:2").await.release().await.unwrap();
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_lifetime_that_has_passed_frees_the_lock_and_the_late_release_harms_nobody() {
    let Some(server) = server().await else {
        return;
    };
    let locks = RedisLocks::new(
        server.connect(PATIENT),
        &namespace(),
        Duration::from_millis(50),
        PATIENT,
    );
    let late = held(&locks, "seat:1").await;
    let next = held(&locks, "seat:1").await;
    assert!(late.fence() < next.fence());
    // Its own lifetime is short, so that only the outcome for the late one is certain.
    assert!(!late.release().await.unwrap());
}

#[tokio::test]
async fn dropping_the_guard_releases_the_lock() {
    let Some(server) = server().await else {
        return;
    };
    let locks = RedisLocks::new(server.connect(PATIENT), &namespace(), PATIENT * 10, PATIENT);
    drop(held(&locks, "seat:1").await);
    held(&locks, "seat:1").await.release().await.unwrap();
}
