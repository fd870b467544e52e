//! A seat that two have paid for is noticed, whenever it was lost and whoever looks. The defects are planted in the
//! database, since the service has none that would do.

use std::collections::BTreeSet;

use booking_service::domain::Timestamp;
use booking_service::store::reservations::{NTH_PAID, PAID_WITHOUT_SEAT};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::app::TestApp;
use crate::scenarios::Client;
use crate::scenarios::client::fresh_key;

/// What the instance of `client` has noticed.
async fn oversold(client: &Client) -> Option<f64> {
    client.metric("booking_seats_oversold_total", "").await
}

async fn rounds(client: &Client, n: f64) {
    let swept = || client.metric("booking_sweep_duration_seconds_count", "");
    let before = swept().await.unwrap();
    client
        .until("the sweeper comes by", || async {
            swept().await.unwrap() >= before + n
        })
        .await;
}

async fn connection(app: &TestApp) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(app.database());
    options.connect().await.unwrap()
}

async fn plant(app: &TestApp, statements: &[&'static str]) {
    let mut connection = connection(app).await;
    let mut transaction = connection.begin().await.unwrap();
    for statement in statements {
        let changed = sqlx::query(*statement).execute(&mut *transaction).await.unwrap();
        assert!(changed.rows_affected() > 0, "{statement}");
    }
    transaction.commit().await.unwrap();
}

/// Holds a seat and pays for it.
async fn pay(app: &TestApp, user: usize, seat: &str) {
    let client = &app.client;
    let token = client.admitted(&app.users[user]).await;
    client
        .charge(&app.users[user], 1_000_000, &fresh_key())
        .await
        .expect(200, "");
    let held = client.hold(&token, seat, &fresh_key()).await.expect(201, "");
    let reservation = held.text("reservation_id");
    client.pay(&token, &reservation, &fresh_key()).await.expect(200, "");
}

const FREE_EVERY_SOLD_SEAT: &str = "UPDATE seats SET status = 0, reservation_id = NULL WHERE status = 2";

#[tokio::test(flavor = "multi_thread")]
async fn a_double_sale_is_noticed_though_its_hold_would_last_for_long() {
    let app = TestApp::small(&["hold.ttl=1h", "sweep.interval=50ms"]).await;
    let seat = app.seats(0).await.remove(0);
    pay(&app, 0, &seat).await;
    rounds(&app.client, 3.0).await;
    assert_eq!(oversold(&app.client).await, Some(0.0));
    plant(&app, &[FREE_EVERY_SOLD_SEAT]).await;
    pay(&app, 1, &seat).await;
    let told = || async { oversold(&app.client).await > Some(0.0) };
    app.client.until("the metric tells", told).await;
    // The first one alone, and once.
    rounds(&app.client, 3.0).await;
    assert_eq!(oversold(&app.client).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_sale_is_noticed_by_an_instance_that_starts_afterwards() {
    let app = TestApp::small(&["sweep.interval=50ms"]).await;
    rounds(&app.client, 1.0).await;
    let seat = app.seats(0).await.remove(0);
    pay(&app, 0, &seat).await;
    // As if nobody had swept for half an hour.
    let long_ago = "UPDATE reservations SET expires_at_ms = expires_at_ms - 1800000";
    plant(&app, &[long_ago, FREE_EVERY_SOLD_SEAT]).await;
    let (second, client) = app.second().await;
    let told = || async { oversold(&client).await == Some(1.0) };
    client.until("the metric of the second one tells", told).await;
    rounds(&app.client, 3.0).await;
    assert_eq!(
        oversold(&app.client).await,
        Some(0.0),
        "it was told by a look at the past"
    );
    rounds(&client, 3.0).await;
    assert_eq!(oversold(&client).await, Some(1.0));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_goes_on_where_the_last_one_ended() {
    let app = TestApp::small(&["sweep.interval=1h"]).await;
    let seats = app.seats(0).await;
    for (user, seat) in seats.iter().take(3).enumerate() {
        pay(&app, user, seat).await;
    }
    let one_after_another = "UPDATE reservations SET expires_at_ms = expires_at_ms + 1000 * \
         (SELECT count(*) FROM reservations earlier WHERE earlier.id < reservations.id)";
    plant(&app, &[one_after_another, FREE_EVERY_SOLD_SEAT]).await;
    let store = app.store().await;
    for (at_most, expected) in [(1, vec![1, 1, 1, 0]), (2, vec![2, 1]), (4, vec![3])] {
        let (mut all, mut sizes) = (BTreeSet::new(), Vec::new());
        let mut after = Timestamp::from_unix_ms(0);
        loop {
            let (found, last) = store.paid_without_seat(after, at_most).await.unwrap();
            sizes.push(found.len());
            all.extend(found);
            let Some(last) = last else { break };
            after = last;
        }
        assert_eq!((sizes, all.len()), (expected, 3), "{at_most} at most");
    }
    store.close().await;
}

/// The look costs what it looks at, and not what the tables hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_reads_by_indexes() {
    let app = TestApp::small(&[]).await;
    let mut connection = connection(&app).await;
    for (statement, expected) in [
        (
            NTH_PAID,
            vec!["SEARCH reservations USING COVERING INDEX reservations_expiry (status=? AND expires_at_ms>?)"],
        ),
        (
            PAID_WITHOUT_SEAT,
            vec![
                "SEARCH r USING INDEX reservations_expiry (status=? AND expires_at_ms>? AND expires_at_ms<?)",
                "SEARCH s USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        ),
    ] {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
            .bind(0)
            .bind(1)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
        assert_eq!(steps, expected, "{statement}");
    }
}
