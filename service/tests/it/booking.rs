//! Holding, paying, cancelling, expiring.

use std::time::Duration;

use booking_service::admin::dataset::Shape;
use futures::future::join_all;

use crate::app::{SMALL, TestApp, of_kind};
use crate::scenarios::client::fresh_key;
use crate::scenarios::{booking, contention, idempotency, money};

const CROWD: Shape = Shape {
    seed: 2,
    n_users: 200,
    n_concerts: 1,
    n_schedules: 2,
    n_seats: 40,
    skew: 0.0,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_visit() {
    let app = TestApp::small(&[]).await;
    booking::whole_visit(&app.client, &app.users[0], &app.concerts[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_visit_without_a_cache_and_with_each_stampede_guard() {
    for settings in [
        ["cache.mode=off", "cache.stampede=none"],
        ["cache.mode=local", "cache.stampede=none"],
        ["cache.mode=local", "cache.stampede=early-refresh"],
    ] {
        let app = TestApp::small(&settings).await;
        booking::whole_visit(&app.client, &app.users[0], &app.concerts[0]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_seat_is_on_sale_again() {
    let app = TestApp::small(&[]).await;
    booking::cancel(&app.client, [&app.users[0], &app.users[1]], &app.schedules[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_contenders_exactly_one_wins_with_each_locking() {
    for locking in ["conditional-update", "optimistic", "immediate"] {
        let locking_setting = format!("locking={locking}");
        let app = TestApp::with(CROWD, &[&locking_setting, "queue.capacity=300"]).await;
        let seat = app.seats(0).await.remove(0);
        contention::exactly_one_wins(&app.client, &app.users, &seat).await;
        let held = app.audit().await;
        assert_eq!(of_kind(&held, "reservation").count(), 1, "{locking}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_locking_a_seat_is_sold_to_many() {
    let app = TestApp::with(CROWD, &["locking=none", "queue.capacity=300"]).await;
    let mut n_won = 0;
    // One contest shows it nearly always; a few make sure.
    for seat in app.seats(0).await.iter().take(5) {
        n_won = n_won.max(contention::contest(&app.client, &app.users, seat).await.n_won);
    }
    assert!(n_won > 1, "the unsafe variant is there to be caught");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_payments_at_once_debit_once() {
    let app = TestApp::small(&[]).await;
    for (user, seat) in app.users.iter().zip(app.seats(0).await) {
        money::two_payments_at_once(&app.client, user, &seat).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_has_one_effect_and_one_answer() {
    let app = TestApp::small(&[]).await;
    let seats = app.seats(0).await;
    idempotency::hold_and_pay(&app.client, &app.users[1], &seats[0], &seats[1]).await;
    idempotency::charge(&app.client, &app.users[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_its_user_and_route() {
    let app = TestApp::small(&[]).await;
    let seats = app.seats(0).await;
    let key = fresh_key();
    for (user, seat) in app.users.iter().zip(&seats).take(2) {
        let token = app.client.admitted(user).await;
        let held = app.client.hold(&token, seat, &key).await.expect(201, "");
        app.client.charge(user, 5, &key).await.expect(200, "");
        app.client
            .pay(&token, &held.text("reservation_id"), &key)
            .await
            .expect(200, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_paid_reservation_does_not_pay_another() {
    let app = TestApp::small(&[]).await;
    let seats = app.seats(0).await;
    let user = &app.users[3];
    let key = fresh_key();
    let token = app.client.admitted(user).await;
    let first = app.client.hold(&token, &seats[0], &fresh_key()).await.expect(201, "");
    let second = app.client.hold(&token, &seats[1], &fresh_key()).await.expect(201, "");
    app.client
        .pay(&token, &first.text("reservation_id"), &key)
        .await
        .expect(200, "");
    let again = app.client.admitted(user).await;
    let before = app.client.balance(user).await;
    app.client
        .pay(&again, &second.text("reservation_id"), &key)
        .await
        .expect(422, "idempotency-mismatch");
    assert_eq!(app.client.balance(user).await, before);
    assert_eq!(
        app.client
            .reservation(&again, &second.text("reservation_id"))
            .await
            .text("status"),
        "pending"
    );
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
    let app = TestApp::with(shape, &["resilience.request_timeout=20s"]).await;
    money::conservation(&app.client, &app.users, &app.schedules[0], 10_000, 32).await;
    let audit = app.audit().await;
    for user in of_kind(&audit, "user") {
        let change: i64 = of_kind(&audit, "ledger")
            .filter(|entry| entry["user_id"] == user["user_id"])
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
    let n_sold = of_kind(&audit, "seat").filter(|seat| seat["status"] == "sold").count();
    let n_paid = of_kind(&audit, "reservation")
        .filter(|reservation| reservation["status"] == "paid")
        .count();
    assert!(n_paid > 50, "{n_paid} payments are too few to mean anything");
    assert_eq!((n_sold, of_kind(&audit, "outbox").count()), (n_paid, n_paid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_without_the_money_changes_nothing() {
    let app = TestApp::small(&[]).await;
    let client = &app.client;
    let balances = join_all(app.users.iter().map(|user| client.balance(user))).await;
    let (_, user) = balances.iter().zip(&app.users).min().unwrap();
    let shortage = async {
        for schedule in 0..app.schedules.len() {
            for seat in app.seats(schedule).await {
                let token = client.admitted(user).await;
                let held = client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
                let before = client.balance(user).await;
                let paid = client.pay(&token, &held.text("reservation_id"), &fresh_key()).await;
                if paid.status == 402 {
                    return Some((token, held, before));
                }
                paid.expect(200, "");
            }
        }
        None
    };
    let Some((token, held, before)) = shortage.await else {
        panic!("the poorest user of seed 1 can pay for every seat; choose another seed");
    };
    let reservation = held.text("reservation_id");
    assert_eq!(client.balance(user).await, before);
    assert_eq!(client.reservation(&token, &reservation).await.text("status"), "pending");
    client
        .charge(user, held.number("amount"), &fresh_key())
        .await
        .expect(200, "");
    client.pay(&token, &reservation, &fresh_key()).await.expect(200, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_hold_cannot_be_paid_and_its_seat_is_claimable_at_once() {
    // The sweeper comes too late on purpose: the claim itself must do.
    let app = TestApp::small(&["sweep.interval=1h", "hold.ttl=30s"]).await;
    let (client, users) = (&app.client, &app.users);
    let seat = app.seats(0).await.remove(0);
    let (token, other) = (client.admitted(&users[0]).await, client.admitted(&users[1]).await);
    let held = client
        .hold(&token, &seat, &fresh_key())
        .await
        .expect(201, "")
        .text("reservation_id");
    client.hold(&other, &seat, &fresh_key()).await.expect(409, "seat-taken");
    app.shift_clock(30_001).await;
    assert_eq!(client.reservation(&token, &held).await.text("status"), "expired");
    let before = client.balance(&users[0]).await;
    client.pay(&token, &held, &fresh_key()).await.expect(409, "expired");
    client.cancel(&token, &held).await.expect(409, "expired");
    assert_eq!(client.balance(&users[0]).await, before);
    let claimed = client
        .hold(&other, &seat, &fresh_key())
        .await
        .expect(201, "")
        .text("reservation_id");
    client.pay(&other, &claimed, &fresh_key()).await.expect(200, "");
    client.pay(&token, &held, &fresh_key()).await.expect(409, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_seat_outlives_its_hold() {
    let app = TestApp::small(&["sweep.interval=10ms", "hold.ttl=30s"]).await;
    let client = &app.client;
    let seat = app.seats(0).await.remove(0);
    let token = client.admitted(&app.users[0]).await;
    let held = client
        .hold(&token, &seat, &fresh_key())
        .await
        .expect(201, "")
        .text("reservation_id");
    client.pay(&token, &held, &fresh_key()).await.expect(200, "");
    app.shift_clock(40_000).await;
    let n_rounds = || client.metric("booking_sweep_duration_seconds_count", "");
    let before = n_rounds().await.unwrap();
    client
        .until("three rounds of the sweeper", || async {
            n_rounds().await.unwrap() > before + 3.0
        })
        .await;
    assert_eq!(client.reservation(&token, &held).await.text("status"), "paid");
    assert!(!app.seats(0).await.contains(&seat));
    assert_eq!(client.metric("booking_seats_oversold_total", "").await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_race_expiry_and_every_seat_has_one_fate() {
    let app = TestApp::with(CROWD, &["sweep.interval=1ms", "hold.ttl=150ms", "queue.capacity=300"]).await;
    let client = &app.client;
    let seats = app.seats(0).await;
    let visits = app
        .users
        .iter()
        .zip(&seats)
        .enumerate()
        .map(|(n, (user, seat))| async move {
            let token = client.admitted(user).await;
            let held = client.hold(&token, seat, &fresh_key()).await.expect(201, "");
            // Around the expiry, from a little before to a little after.
            tokio::time::sleep(Duration::from_millis(100 + 2 * n as u64)).await;
            let paid = client.pay(&token, &held.text("reservation_id"), &fresh_key()).await;
            match paid.status {
                200 => true,
                409 => {
                    assert_eq!(paid.code(), "expired");
                    false
                }
                _ => panic!("{paid:?}"),
            }
        });
    let n_paid = join_all(visits).await.into_iter().filter(|paid| *paid).count();
    let swept = || async {
        client
            .metric("booking_reservations_total", "expired")
            .await
            .unwrap_or(0.0)
    };
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let n_expired = (seats.len() - n_paid) as f64;
    client
        .until("every unpaid hold is swept", || async { swept().await >= n_expired })
        .await;
    let audit = app.audit().await;
    let states: Vec<&str> = of_kind(&audit, "seat")
        .map(|seat| seat["status"].as_str().unwrap())
        .collect();
    assert!(states.iter().all(|status| *status == "sold"), "{states:?}");
    assert_eq!(states.len(), n_paid);
    assert_eq!(of_kind(&audit, "outbox").count(), n_paid);
    assert_eq!(client.metric("booking_seats_oversold_total", "").await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_hold_is_back_on_sale_soon() {
    let app = TestApp::small(&["sweep.interval=10ms", "hold.ttl=100ms", "cache.ttl=1h"]).await;
    let client = &app.client;
    let seat = app.seats(0).await.remove(0);
    let token = client.admitted(&app.users[0]).await;
    client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
    let is_free = || async { client.free_seats(&token, &app.schedules[0]).await.contains(&seat) };
    assert!(!is_free().await);
    client.until("the seat is on sale", is_free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_numbered_without_gaps_in_every_shard() {
    let app = TestApp::with(SMALL, &["events.shards=3"]).await;
    let client = &app.client;
    for schedule in 0..app.schedules.len() {
        let seats = app.seats(schedule).await;
        for (user, seat) in app.users.iter().zip(&seats).take(4) {
            let token = client.admitted(user).await;
            let held = client
                .hold(&token, seat, &fresh_key())
                .await
                .expect(201, "")
                .text("reservation_id");
            let paid = client.pay(&token, &held, &fresh_key()).await;
            assert!([200, 402].contains(&paid.status), "{paid:?}");
            if paid.status == 402 {
                client.leave(&token).await;
            }
        }
    }
    let audit = app.audit().await;
    for shard in 0..3 {
        let numbers = of_kind(&audit, "outbox").filter(|event| event["shard"] == shard);
        let numbers: Vec<i64> = numbers.map(|event| event["seq"].as_i64().unwrap()).collect();
        let expected: Vec<i64> = (1..=i64::try_from(numbers.len()).unwrap()).collect();
        assert_eq!(numbers, expected, "shard {shard}");
    }
}
