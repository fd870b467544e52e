//! A payment against the end of its hold, in both orders and at once: whichever comes first stands, and the other
//! changes nothing.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::audit;
use super::client::{Client, fresh_key};
use super::lcg::Lcg;

/// The hold ends first. The sweeper must come too late for it: the claim itself must do.
pub async fn expiry_first(client: &Client, users: [&str; 2], seat: &str, hold_ttl: Duration) {
    let (token, other) = (client.admitted(users[0]).await, client.admitted(users[1]).await);
    let held = client.hold(&token, seat, &fresh_key()).await.expect(201, "");
    let reservation = held.text("reservation_id");
    client.hold(&other, seat, &fresh_key()).await.expect(409, "seat-taken");
    client.shift_clock(hold_ttl + Duration::from_millis(1)).await;
    assert_eq!(client.reservation(&token, &reservation).await.text("status"), "expired");
    let before = client.balance(users[0]).await;
    client
        .pay(&token, &reservation, &fresh_key())
        .await
        .expect(409, "expired");
    client.cancel(&token, &reservation).await.expect(409, "expired");
    assert_eq!(client.balance(users[0]).await, before);
    let claimed = client.hold(&other, seat, &fresh_key()).await.expect(201, "");
    client
        .pay(&other, &claimed.text("reservation_id"), &fresh_key())
        .await
        .expect(200, "");
    client
        .pay(&token, &reservation, &fresh_key())
        .await
        .expect(409, "expired");
    assert_eq!(client.balance(users[0]).await, before);
}

/// The payment is first: the seat outlives the hold, however often the sweeper comes by.
pub async fn payment_first(client: &Client, user: &str, schedule: &str, seat: &str, hold_ttl: Duration) {
    let token = client.admitted(user).await;
    let held = client.hold(&token, seat, &fresh_key()).await.expect(201, "");
    let reservation = held.text("reservation_id");
    client.pay(&token, &reservation, &fresh_key()).await.expect(200, "");
    client.shift_clock(hold_ttl + Duration::from_secs(10)).await;
    let n_rounds = || client.metric("booking_sweep_duration_seconds_count", "");
    let before = n_rounds().await.unwrap();
    client
        .until("three rounds of the sweeper", || async {
            n_rounds().await.unwrap() > before + 3.0
        })
        .await;
    assert_eq!(client.reservation(&token, &reservation).await.text("status"), "paid");
    let token = client.admitted(user).await;
    assert!(!client.free_seats(&token, schedule).await.contains(&seat.to_owned()));
    assert_eq!(client.metric("booking_seats_oversold_total", "").await, Some(0.0));
}

/// What came of a race.
#[derive(Debug, Default)]
pub struct Race {
    /// Reservations that were paid.
    pub paid: Vec<String>,
    /// Reservations that expired.
    pub expired: Vec<String>,
    /// Reservations of users who had a seat as soon as another's hold of it was over, and gave it back.
    pub given_back: Vec<String>,
}

/// Each side must have won so often, or nothing was raced.
const OFTEN: usize = 10;
/// Seats of one round. Few, so that the seats last.
const SEATS_AT_ONCE: usize = 10;
const WITHIN: Duration = Duration::from_secs(120);

/// Holds of `hold_ttl`, each paid for around the moment of its end, while somebody else reaches for the same seat and
/// the sweeper looks all the time. Goes on until each side has won often.
pub async fn race(client: &Client, users: &[String], schedule: &str, hold_ttl: Duration, seed: u64) -> Race {
    let mut random = Lcg(seed);
    let mut race = Race::default();
    // Nobody may fail for want of money: that is another story.
    join_all(users.iter().map(|user| async {
        client.charge(user, 100_000_000, &fresh_key()).await.expect(200, "");
    }))
    .await;
    let began = Instant::now();
    // When to act, in percent of the life of a hold. How long a request takes depends on the machine, so whoever falls
    // behind is helped.
    let mut earliest_percent = 75;
    while race.paid.len() < OFTEN || race.expired.len() < OFTEN || race.given_back.len() < OFTEN {
        assert!(began.elapsed() < WITHIN, "one side never wins: {race:?}");
        let token = client.admitted(&users[0]).await;
        let seats = client.free_seats(&token, schedule).await;
        assert!(!seats.is_empty(), "sold out before each side has won: {race:?}");
        let mut late = || hold_ttl * u32::try_from(earliest_percent + random.below(40)).unwrap() / 100;
        // A pair of users for each seat.
        let pairs = seats.iter().zip(users.chunks_exact(2)).take(SEATS_AT_ONCE);
        let bouts: Vec<_> = pairs
            .map(|(seat, pair)| bout(client, [&pair[0], &pair[1]], seat, [late(), late()]))
            .collect();
        for bout in join_all(bouts).await {
            race.paid.extend(bout.paid);
            race.expired.extend(bout.expired);
            race.given_back.extend(bout.given_back);
        }
        if race.paid.len() < race.expired.len() {
            earliest_percent = (earliest_percent - 5).max(10);
        } else {
            earliest_percent = (earliest_percent + 5).min(100);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let n_expired = race.expired.len() as f64;
    let swept = || client.metric("booking_reservations_total", "expired");
    client
        .until("every hold that was not paid is swept", || async {
            swept().await == Some(n_expired)
        })
        .await;
    assert_eq!(client.metric("booking_seats_oversold_total", "").await, Some(0.0));
    race
}

/// The first user pays late; the second one reaches for the seat at about the same moment, and gives it back.
async fn bout(client: &Client, users: [&str; 2], seat: &str, late: [Duration; 2]) -> Race {
    let mut came_of_it = Race::default();
    let [token, rival] = [client.admitted(users[0]).await, client.admitted(users[1]).await];
    let held = client.hold(&token, seat, &fresh_key()).await;
    if held.code() == "seat-taken" {
        // The map is allowed to be a moment old.
        return came_of_it;
    }
    let reservation = held.expect(201, "").text("reservation_id");
    let answered = tokio::time::Instant::now();
    let pays = async {
        tokio::time::sleep_until(answered + late[0]).await;
        pay(client, &token, &reservation).await
    };
    let reaches = async {
        tokio::time::sleep_until(answered + late[1]).await;
        let held = client.hold(&rival, seat, &fresh_key()).await;
        if held.status == 409 {
            return None;
        }
        let reservation = held.expect(201, "").text("reservation_id");
        let cancelled = client.cancel(&rival, &reservation).await;
        assert!(
            cancelled.status == 204 || cancelled.code() == "expired",
            "{cancelled:?}"
        );
        Some((reservation, cancelled.status == 204))
    };
    let (is_paid, claimed) = futures::join!(pays, reaches);
    let fate = if is_paid {
        &mut came_of_it.paid
    } else {
        &mut came_of_it.expired
    };
    fate.push(reservation);
    match claimed {
        Some((reservation, true)) => came_of_it.given_back.push(reservation),
        Some((reservation, false)) => came_of_it.expired.push(reservation),
        None => {}
    }
    came_of_it
}

/// Pays; false when the hold was over. In the way of others is no answer to stay with.
async fn pay(client: &Client, token: &str, reservation: &str) -> bool {
    let key = fresh_key();
    loop {
        let paid = client.pay(token, reservation, &key).await;
        match (paid.status, paid.code()) {
            (200, _) => return true,
            (409, "expired") => return false,
            (409, "conflict") => {}
            _ => panic!("{paid:?}"),
        }
    }
}

/// How many holds the two sweepers find.
const N_HOLDS: usize = 40;

/// Two instances sweep what both of them see: each hold is ended once, by one of them, without trouble for the other.
/// Returns the reservations.
pub async fn two_sweepers(clients: &[Client; 2], users: &[String], seats: &[String]) -> Vec<String> {
    let holds = users.iter().zip(seats).take(N_HOLDS).enumerate();
    let held = join_all(holds.map(|(n, (user, seat))| async move {
        let client = &clients[n % 2];
        let token = client.admitted(user).await;
        let held = client.hold(&token, seat, &fresh_key()).await.expect(201, "");
        held.text("reservation_id")
    }))
    .await;
    assert_eq!(held.len(), N_HOLDS, "too few users or seats to mean anything");
    let count = async |client: &Client, name: &str, with: &str| client.metric(name, with).await.unwrap_or_default();
    let n_ended = async || {
        let [one, other] = clients;
        count(one, "booking_reservations_total", "expired").await
            + count(other, "booking_reservations_total", "expired").await
    };
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let n_held = N_HOLDS as f64;
    clients[0]
        .until("every hold is ended", || async { n_ended().await >= n_held })
        .await;
    for client in clients {
        let n_rounds = async || count(client, "booking_sweep_duration_seconds_count", "").await;
        let before = n_rounds().await;
        client
            .until("three more rounds of each sweeper", || async {
                n_rounds().await > before + 3.0
            })
            .await;
        let n_errors = count(client, "booking_database_errors_total", "expire").await;
        assert_eq!(n_errors, 0.0, "a sweeper was in the way of the other");
    }
    assert_eq!(n_ended().await, n_held, "each is ended once");
    held
}

/// The final state after [`race`] or [`two_sweepers`].
pub fn everything_has_one_fate(audit: &[serde_json::Value], race: &Race) {
    audit::paid_for_exactly(audit, &race.paid);
    audit::ended_unpaid_exactly(audit, &race.expired, &race.given_back);
    audit::money_adds_up(audit);
}
