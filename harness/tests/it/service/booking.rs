//! Holding and paying on MySQL.

use booking_service::admin::dataset::Shape;

use crate::app::{TestApp, of_kind};
use crate::scenarios::{booking, contention, idempotency, money};

const SMALL: Shape = Shape {
    seed: 1,
    n_users: 10,
    n_concerts: 2,
    n_schedules: 3,
    n_seats: 12,
    skew: 0.0,
};
const CROWD: Shape = Shape {
    seed: 2,
    n_users: 200,
    n_concerts: 1,
    n_schedules: 2,
    n_seats: 40,
    skew: 0.0,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_visit_with_each_cache() {
    for cache in ["off", "redis", "tiered"] {
        let Some(app) = TestApp::with(SMALL, &[&format!("cache.mode={cache}")]).await else {
            return;
        };
        booking::whole_visit(&app.client, &app.users[0], &app.concerts[0]).await;
        booking::cancel(&app.client, [&app.users[1], &app.users[2]], &app.schedules[1]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_contenders_exactly_one_wins_with_each_locking() {
    for locking in ["conditional-update", "optimistic", "pessimistic", "redis-lock"] {
        let locking_setting = format!("locking={locking}");
        let Some(app) = TestApp::with(CROWD, &[&locking_setting, "queue.capacity=300"]).await else {
            return;
        };
        let seat = app.seats(0).await.remove(0);
        contention::exactly_one_wins(&app.client, &app.users, &seat).await;
        let audit = app.audit().await;
        assert_eq!(of_kind(&audit, "reservation").count(), 1, "{locking}");
        assert_eq!(of_kind(&audit, "payment").count(), 1, "{locking}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_locking_a_seat_is_sold_to_many() {
    let Some(app) = TestApp::with(CROWD, &["locking=none", "queue.capacity=300"]).await else {
        return;
    };
    let mut n_won = 0;
    for seat in app.seats(0).await.iter().take(5) {
        n_won = n_won.max(contention::contest(&app.client, &app.users, seat).await.n_won);
    }
    assert!(n_won > 1, "the unsafe variant is there to be caught");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_payments_at_once_debit_once() {
    let Some(app) = TestApp::with(SMALL, &[]).await else {
        return;
    };
    for (user, seat) in app.users.iter().zip(app.seats(0).await) {
        money::two_payments_at_once(&app.client, user, &seat).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_has_one_effect_and_one_answer() {
    let Some(app) = TestApp::with(SMALL, &[]).await else {
        return;
    };
    let seats = app.seats(0).await;
    idempotency::hold_and_pay(&app.client, &app.users[1], &seats[0], &seats[1]).await;
    idempotency::charge(&app.client, &app.users[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_conserved_over_10_000_random_operations() {
    let shape = Shape {
        seed: 3,
        n_users: 24,
        n_concerts: 1,
        n_schedules: 1,
        n_seats: 400,
        skew: 0.0,
    };
    let Some(app) = TestApp::with(shape, &[]).await else {
        return;
    };
    money::conservation(&app.client, &app.users, &app.schedules[0], 10_000, 32).await;
    let audit = app.audit().await;
    for user in of_kind(&audit, "user") {
        let entries = of_kind(&audit, "ledger").filter(|entry| entry["user_id"] == user["user_id"]);
        let change: i64 = entries
            .map(|entry| {
                let amount = entry["amount"].as_i64().unwrap();
                if entry["entry"] == "charge" { amount } else { -amount }
            })
            .sum();
        assert_eq!(
            user["initial"].as_i64().unwrap() + change,
            user["balance"].as_i64().unwrap()
        );
    }
    let n_paid = of_kind(&audit, "reservation")
        .filter(|reservation| reservation["status"] == "paid")
        .count();
    assert!(n_paid > 50, "{n_paid} payments are too few to mean anything");
    assert_eq!(of_kind(&audit, "outbox").count(), n_paid);
}

/// A row lock that outlasts every patience is contention, not an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_seat_is_a_conflict_and_is_free_again_afterwards() {
    let Some(app) = TestApp::with(SMALL, &["locking=pessimistic", "resilience.request_timeout=4s"]).await else {
        return;
    };
    let store = app.store().await;
    let booking_service::store::Engine::MySql(pool) = store.engine() else {
        panic!("the store of these tests is MySQL");
    };
    let seat = app.seats(0).await.remove(0);
    let token = app.client.admitted(&app.users[0]).await;
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("SELECT id FROM seats FOR UPDATE")
        .fetch_all(&mut *lock)
        .await
        .unwrap();
    app.client.hold(&token, &seat, "locked").await.expect(409, "conflict");
    lock.rollback().await.unwrap();
    app.client.hold(&token, &seat, "locked").await.expect(201, "");
    store.close().await;
}
