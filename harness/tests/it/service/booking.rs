//! Holding and paying on MySQL.

use std::time::{Duration, Instant};

use booking_service::admin::dataset::Shape;
use booking_service::store::{Engine, Store};
use sqlx::{MySql, MySqlPool, Transaction};

use crate::app::{TestApp, of_kind};
use crate::scenarios::{audit, booking, contention, expiry, idempotency, money};

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
async fn a_payment_and_a_cancellation_at_once_leave_one_of_them() {
    let Some(app) = TestApp::with(SMALL, &[]).await else {
        return;
    };
    for seat in app.seats(0).await {
        money::payment_and_cancellation_at_once(&app.client, &app.users[0], &seat).await;
    }
    audit::money_adds_up(&app.audit().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_has_one_effect_and_one_answer() {
    for locking in ["conditional-update", "optimistic", "pessimistic", "redis-lock"] {
        let Some(app) = TestApp::with(SMALL, &[&format!("locking={locking}")]).await else {
            return;
        };
        let seats = app.seats(0).await;
        idempotency::one_key_for_two_seats(&app.client, &app.users[3], [&seats[2], &seats[3]]).await;
        let visit = idempotency::hold_and_pay(&app.client, &app.users[1], &seats[0], &seats[1]).await;
        let charge = idempotency::charge(&app.client, &app.users[2]).await;
        idempotency::one_effect_each(&app.audit().await, &visit, &charge);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_conserved_over_10_000_random_operations() {
    let shape = Shape {
        seed: 3,
        n_users: 24,
        n_concerts: 1,
        n_schedules: 10,
        n_seats: 250,
        skew: 0.0,
    };
    let Some(app) = TestApp::with(shape, &[]).await else {
        return;
    };
    let books = money::conservation(&app.client, &app.users, &app.schedules, 10_000, 32).await;
    let audit = app.audit().await;
    audit::paid_for_exactly(&audit, &books.paid);
    audit::money_adds_up(&audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_hold_cannot_be_paid_and_its_seat_is_claimable_at_once() {
    let Some(app) = TestApp::with(SMALL, &["sweep.interval=1h", "hold.ttl=30s"]).await else {
        return;
    };
    let seat = app.seats(0).await.remove(0);
    let users = [app.users[0].as_str(), app.users[1].as_str()];
    expiry::expiry_first(&app.client, users, &seat, Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_seat_outlives_its_hold() {
    let Some(app) = TestApp::with(SMALL, &["sweep.interval=10ms", "hold.ttl=30s"]).await else {
        return;
    };
    let seat = app.seats(0).await.remove(0);
    let (user, schedule) = (&app.users[0], &app.schedules[0]);
    expiry::payment_first(&app.client, user, schedule, &seat, Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_race_expiry_and_every_hold_has_one_fate() {
    let settings = ["sweep.interval=1ms", "hold.ttl=1s", "queue.capacity=300"];
    // On a slow machine one side wins often before the others have won at all.
    let many_seats = Shape { n_seats: 120, ..CROWD };
    let Some(app) = TestApp::with(many_seats, &settings).await else {
        return;
    };
    let (users, schedule) = (&app.users, &app.schedules[0]);
    let race = expiry::race(&app.client, users, schedule, Duration::from_secs(1), 7).await;
    expiry::everything_has_one_fate(&app.audit().await, &race);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweepers_end_each_hold_once() {
    let settings = ["sweep.interval=1ms", "hold.ttl=300ms", "queue.capacity=300"];
    let Some(app) = TestApp::with(CROWD, &settings).await else {
        return;
    };
    let (other, client) = app.second().await;
    let seats = app.seats(0).await;
    let expired = expiry::two_sweepers(&[app.client.clone(), client], &app.users, &seats).await;
    other.stop().await;
    let all = expiry::Race {
        expired,
        ..expiry::Race::default()
    };
    expiry::everything_has_one_fate(&app.audit().await, &all);
}

/// A row lock that outlasts every patience is contention, not an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_seat_is_a_conflict_and_is_free_again_afterwards() {
    let Some(app) = TestApp::with(SMALL, &["locking=pessimistic", "resilience.request_timeout=4s"]).await else {
        return;
    };
    let store = app.store().await;
    let seat = app.seats(0).await.remove(0);
    let token = app.client.admitted(&app.users[0]).await;
    let mut lock = pool(&store).begin().await.unwrap();
    sqlx::query("SELECT id FROM seats FOR UPDATE")
        .fetch_all(&mut *lock)
        .await
        .unwrap();
    app.client.hold(&token, &seat, "locked").await.expect(409, "conflict");
    lock.rollback().await.unwrap();
    app.client.hold(&token, &seat, "locked").await.expect(201, "");
    store.close().await;
}

/// A row lock that outlasts every patience, and keys that were answered before it: they have their answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_key_has_its_answer_though_its_rows_are_locked() {
    let Some(app) = TestApp::with(SMALL, &["resilience.request_timeout=4s"]).await else {
        return;
    };
    let (client, user) = (&app.client, &app.users[0]);
    let store = app.store().await;
    let seat = app.seats(0).await.remove(0);
    let token = client.admitted(user).await;
    let held = client.hold(&token, &seat, "known").await.expect(201, "");
    let charged = client.charge(user, 5, "known").await.expect(200, "");
    let mut lock = pool(&store).begin().await.unwrap();
    for rows in ["SELECT id FROM seats FOR UPDATE", "SELECT id FROM users FOR UPDATE"] {
        sqlx::query(rows).fetch_all(&mut *lock).await.unwrap();
    }
    assert_eq!(client.hold(&token, &seat, "known").await, held);
    assert_eq!(client.charge(user, 5, "known").await, charged);
    client
        .charge(user, 6, "known")
        .await
        .expect(422, "idempotency-mismatch");
    client.charge(user, 5, "new").await.expect(409, "conflict");
    lock.rollback().await.unwrap();
    client.charge(user, 5, "new").await.expect(200, "");
    store.close().await;
}

/// A payment that began in time, and reached the database when the hold was over and its seat somebody else's: it has
/// come too late, and nobody has sold a seat twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_held_up_until_its_seat_is_another_s_is_late_and_no_alarm() {
    let settings = ["sweep.interval=1h", "hold.ttl=30s", "resilience.request_timeout=30s"];
    let Some(app) = TestApp::with(SMALL, &settings).await else {
        return;
    };
    let client = &app.client;
    let seat = app.seats(0).await.remove(0);
    let (token, rival) = (
        client.admitted(&app.users[0]).await,
        client.admitted(&app.users[1]).await,
    );
    let held = client.hold(&token, &seat, "first").await.expect(201, "");
    let reservation = held.text("reservation_id");
    let before = client.balance(&app.users[0]).await;

    let store = app.store().await;
    let lock = lock_reservations(&store).await;
    let claim = async {
        until_waiting_for_a_lock(&store).await;
        client.shift_clock(Duration::from_millis(30_001)).await;
        client.hold(&rival, &seat, "second").await.expect(201, "");
        lock.rollback().await.unwrap();
    };
    let (paid, ()) = futures::join!(client.pay(&token, &reservation, "pay"), claim);
    paid.expect(409, "expired");
    assert_eq!(client.balance(&app.users[0]).await, before);
    assert_eq!(client.metric("booking_seats_oversold_total", "").await, Some(0.0));
    store.close().await;
}

/// A cancellation that has read a reservation which is paid a moment later.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_that_a_payment_overtakes_says_so() {
    let Some(app) = TestApp::with(SMALL, &["resilience.request_timeout=30s"]).await else {
        return;
    };
    let client = &app.client;
    let seat = app.seats(0).await.remove(0);
    let token = client.admitted(&app.users[0]).await;
    let held = client.hold(&token, &seat, "first").await.expect(201, "");
    let reservation = held.text("reservation_id");
    let store = app.store().await;
    let mut payment = lock_reservations(&store).await;
    let pay = async {
        until_waiting_for_a_lock(&store).await;
        // As a payment of another instance would.
        sqlx::query("UPDATE reservations SET status = 1")
            .execute(&mut *payment)
            .await
            .unwrap();
        payment.commit().await.unwrap();
    };
    let (cancelled, ()) = futures::join!(client.cancel(&token, &reservation), pay);
    cancelled.expect(409, "already-paid");
    store.close().await;
}

async fn lock_reservations(store: &Store) -> Transaction<'static, MySql> {
    let mut lock = pool(store).begin().await.unwrap();
    sqlx::query("SELECT id FROM reservations FOR UPDATE")
        .fetch_all(&mut *lock)
        .await
        .unwrap();
    lock
}

async fn until_waiting_for_a_lock(store: &Store) {
    let began = Instant::now();
    let query = "SELECT COUNT(*) FROM performance_schema.data_lock_waits";
    while sqlx::query_scalar::<_, i64>(query)
        .fetch_one(pool(store))
        .await
        .unwrap()
        == 0
    {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn pool(store: &Store) -> &MySqlPool {
    match store.engine() {
        Engine::MySql(pool) => pool,
        Engine::Sqlite { .. } => panic!("the store of these tests is MySQL"),
    }
}
