//! Holding, paying, cancelling, expiring.

use std::time::Duration;

use booking_service::admin::dataset::Shape;
use futures::future::join_all;

use crate::app::{SMALL, TestApp, of_kind};
use crate::scenarios::client::fresh_key;
use crate::scenarios::{audit, booking, contention, expiry, idempotency, money};

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
async fn a_payment_and_a_cancellation_at_once_leave_one_of_them() {
    let app = TestApp::small(&[]).await;
    for seat in app.seats(0).await {
        money::payment_and_cancellation_at_once(&app.client, &app.users[0], &seat).await;
    }
    audit::money_adds_up(&app.audit().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_has_one_effect_and_one_answer() {
    for locking in ["conditional-update", "optimistic", "immediate"] {
        let app = TestApp::small(&[&format!("locking={locking}")]).await;
        let seats = app.seats(0).await;
        idempotency::one_key_for_two_seats(&app.client, &app.users[3], [&seats[2], &seats[3]]).await;
        let visit = idempotency::hold_and_pay(&app.client, &app.users[1], &seats[0], &seats[1]).await;
        let charge = idempotency::charge(&app.client, &app.users[2]).await;
        idempotency::one_effect_each(&app.audit().await, &visit, &charge);
    }
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
async fn money_is_conserved_over_10_000_random_operations() {
    let shape = Shape {
        seed: 3,
        n_users: 24,
        n_concerts: 1,
        n_schedules: 10,
        n_seats: 250,
        skew: 0.0,
    };
    let app = TestApp::with(shape, &[]).await;
    let books = money::conservation(&app.client, &app.users, &app.schedules, 10_000, 32).await;
    let audit = app.audit().await;
    audit::paid_for_exactly(&audit, &books.paid);
    audit::money_adds_up(&audit);
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
    let app = TestApp::small(&["sweep.interval=1h", "hold.ttl=30s"]).await;
    let seat = app.seats(0).await.remove(0);
    let users = [app.users[0].as_str(), app.users[1].as_str()];
    expiry::expiry_first(&app.client, users, &seat, Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_seat_outlives_its_hold() {
    let app = TestApp::small(&["sweep.interval=10ms", "hold.ttl=30s"]).await;
    let seat = app.seats(0).await.remove(0);
    let (user, schedule) = (&app.users[0], &app.schedules[0]);
    expiry::payment_first(&app.client, user, schedule, &seat, Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_race_expiry_and_every_hold_has_one_fate() {
    // On a slow machine one side wins often before the others have won at all.
    let many_seats = Shape { n_seats: 120, ..CROWD };
    let app = TestApp::with(many_seats, &["sweep.interval=1ms", "hold.ttl=1s", "queue.capacity=300"]).await;
    let (users, schedule) = (&app.users, &app.schedules[0]);
    let race = expiry::race(&app.client, users, schedule, Duration::from_secs(1), 7).await;
    expiry::everything_has_one_fate(&app.audit().await, &race);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweepers_end_each_hold_once() {
    let app = TestApp::with(CROWD, &["sweep.interval=1ms", "hold.ttl=300ms", "queue.capacity=300"]).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_hold_is_back_on_sale_soon() {
    let app = TestApp::small(&["sweep.interval=10ms", "hold.ttl=30s", "cache.ttl=1h"]).await;
    let client = &app.client;
    let seat = app.seats(0).await.remove(0);
    let token = client.admitted(&app.users[0]).await;
    client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
    let is_free = || async { client.free_seats(&token, &app.schedules[0]).await.contains(&seat) };
    assert!(!is_free().await);
    client.shift_clock(Duration::from_millis(30_001)).await;
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
