//! Each defect, switched on, shows in what the ledger check and the metrics look at; switched off, nothing does.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use booking_service::admin::dataset::Shape;
use futures::FutureExt as _;

use crate::app::{SMALL, TestApp, of_kind};
use crate::scenarios::client::fresh_key;
use crate::scenarios::{contention, queue};

#[tokio::test(flavor = "multi_thread")]
async fn d1_admits_the_whole_queue() {
    let app = TestApp::small(&["queue.capacity=2", "mutants=D1"]).await;
    for user in &app.users {
        app.client.enter(user).await.expect(201, "");
    }
    let too_many = || async { app.client.metric("booking_queue_active", "").await > Some(2.0) };
    app.client.until("more active than there are places", too_many).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_keeps_tokens_past_their_expiry() {
    let app = TestApp::small(&["queue.active_ttl=1s", "mutants=D2"]).await;
    let token = app.client.admitted(&app.users[0]).await;
    app.client.shift_clock(Duration::from_secs(60)).await;
    app.client.place(&token).await.expect(200, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_keeps_a_cancelled_seat_off_sale() {
    let app = TestApp::small(&["mutants=D3"]).await;
    let seat = app.seats(0).await.remove(0);
    let token = app.client.admitted(&app.users[0]).await;
    let held = app
        .client
        .hold(&token, &seat, &fresh_key())
        .await
        .expect(201, "")
        .text("reservation_id");
    app.client.cancel(&token, &held).await.expect(204, "");
    assert!(!app.client.free_seats(&token, &app.schedules[0]).await.contains(&seat));
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_completes_a_cancelled_payment_without_a_debit() {
    let app = TestApp::small(&["mutants=D4"]).await;
    let seat = app.seats(0).await.remove(0);
    let token = app.client.admitted(&app.users[0]).await;
    let held = app
        .client
        .hold(&token, &seat, &fresh_key())
        .await
        .expect(201, "")
        .text("reservation_id");
    app.client.cancel(&token, &held).await.expect(204, "");
    let audit = app.audit().await;
    let n_completed = of_kind(&audit, "payment")
        .filter(|payment| payment["status"] == "completed")
        .count();
    assert_eq!((n_completed, of_kind(&audit, "ledger").count()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_debits_twice() {
    let app = TestApp::small(&["mutants=D5"]).await;
    let mut n_debits = 0;
    for (user, seat) in app.users.iter().zip(app.seats(0).await) {
        let token = app.client.admitted(user).await;
        let held = app
            .client
            .hold(&token, &seat, &fresh_key())
            .await
            .expect(201, "")
            .text("reservation_id");
        let (one, other) = (fresh_key(), fresh_key());
        futures::join!(
            app.client.pay(&token, &held, &one),
            app.client.pay(&token, &held, &other)
        );
        let audit = app.audit().await;
        n_debits = of_kind(&audit, "ledger")
            .filter(|entry| entry["reservation_id"] == held.as_str())
            .count();
        if n_debits > 1 {
            break;
        }
    }
    assert!(n_debits > 1, "ten pairs of payments and no double debit");
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_puts_a_paid_seat_back_on_sale() {
    let app = TestApp::small(&["mutants=D6", "hold.ttl=30s", "sweep.interval=500ms"]).await;
    let client = &app.client;
    let rounds = || async {
        let rounds = client.metric("booking_sweep_duration_seconds_count", "").await;
        rounds.unwrap_or_default()
    };
    let mut is_on_sale_again = false;
    let seats = app.seats(0).await;
    for ((user, seat), n) in app.users.iter().zip(&seats).zip(1..) {
        let token = client.admitted(user).await;
        let held = client.hold(&token, seat, &fresh_key()).await;
        let held = held.expect(201, "").text("reservation_id");
        client.shift_clock(Duration::from_millis(30_100) * n).await;
        let before = rounds().await;
        client
            .until("the sweeper has read", || async { rounds().await > before })
            .await;
        // Between the sweeper's read and its write, unless a round ended just before: then it has written already, or has
        // not read yet, and the next seat is tried.
        if client.pay(&token, &held, &fresh_key()).await.status != 200 {
            continue;
        }
        let paid = rounds().await;
        client
            .until("the sweeper has written", || async { rounds().await >= paid + 2.0 })
            .await;
        let other = client.admitted(&app.users[app.users.len() - 1]).await;
        is_on_sale_again = client.free_seats(&other, &app.schedules[0]).await.contains(seat);
        if is_on_sale_again {
            break;
        }
    }
    assert!(
        is_on_sale_again,
        "ten seats were paid for beside the sweeper, and none came back"
    );
    let shows = || async { client.metric("booking_seats_oversold_total", "").await > Some(0.0) };
    client.until("the metric shows it", shows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d9_leaves_a_stale_seat_map() {
    let app = TestApp::small(&["mutants=D9", "cache.ttl=1h"]).await;
    let client = &app.client;
    let token = client.admitted(&app.users[0]).await;
    let schedule = &app.schedules[0];
    let seats = client.free_seats(&token, schedule).await;
    let mut is_stale = false;
    for seat in &seats {
        // A reader all the while: sooner or later it fills the cache between the change of it and the commit.
        let done = std::sync::atomic::AtomicBool::new(false);
        let read = async {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                client.seats(&token, schedule).await;
            }
        };
        let hold = async {
            client.hold(&token, seat, &fresh_key()).await.expect(201, "");
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        };
        futures::join!(read, read_again(client, &token, schedule, &done), hold);
        if client.free_seats(&token, schedule).await.contains(seat) {
            is_stale = true;
            break;
        }
    }
    assert!(is_stale, "no hold of {} left a stale map", seats.len());
}

async fn read_again(
    client: &crate::scenarios::Client,
    token: &str,
    schedule: &str,
    done: &std::sync::atomic::AtomicBool,
) {
    while !done.load(std::sync::atomic::Ordering::SeqCst) {
        client.seats(token, schedule).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d14_answers_contention_with_500() {
    let app = TestApp::small(&["mutants=D14", "locking=optimistic"]).await;
    let mut n_errors = 0;
    for seat in app.seats(0).await {
        let contest = contention::contest(&app.client, &app.users, &seat).await;
        n_errors += contest.others.len();
        if n_errors > 0 {
            break;
        }
    }
    assert!(n_errors > 0, "twelve contests and no 500");
}

#[tokio::test(flavor = "multi_thread")]
async fn d15_wipes_the_queue_of_the_instance_that_stays() {
    let app = TestApp::small(&["mutants=D15"]).await;
    let (other, _) = app.second().await;
    let token = app.client.admitted(&app.users[0]).await;
    other.stop().await;
    app.client.place(&token).await.expect(401, "token-gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_d15_a_stop_loses_nobody() {
    let app = TestApp::small(&[]).await;
    let (other, _) = app.second().await;
    let token = app.client.admitted(&app.users[0]).await;
    other.stop().await;
    app.client.place(&token).await.expect(200, "");
}

/// The scenario of the queue must be able to fail.
#[tokio::test(flavor = "multi_thread")]
async fn the_course_of_the_queue_is_refused_with_d1_and_d11() {
    let crowd = Shape { n_users: 60, ..SMALL };
    for defect in ["mutants=D1", "mutants=D11"] {
        let app = TestApp::with(crowd, &["queue.capacity=5", defect]).await;
        let clients = [app.client.clone()];
        let course = queue::in_order_and_never_too_many(&clients, &app.users, 5);
        assert!(
            AssertUnwindSafe(course).catch_unwind().await.is_err(),
            "{defect} was not noticed"
        );
    }
}
