//! One visit from the queue to the receipt, and the ways in which it ends otherwise.

use super::client::{Client, fresh_key};

/// Token, dates, seats, hold, payment; every answer as the interface says.
pub async fn whole_visit(client: &Client, user: &str, concert: &str) {
    let entered = client.enter(user).await.expect(201, "");
    let token = client.admitted(user).await;
    assert_eq!(entered.text("token"), token, "asking again returns the same place");

    let dates = client.schedules(&token, concert, "?limit=1").await.expect(200, "");
    let first = &dates.body["schedules"][0];
    let schedule = first["schedule_id"].as_str().unwrap();
    let left_before = first["seats_left"].as_i64().unwrap();
    let map = client.seats(&token, schedule).await.expect(200, "");
    let seats = map.body["seats"].as_array().unwrap();
    assert_eq!(i64::try_from(seats.len()).unwrap(), left_before);
    let (seat, price) = (
        seats[0]["seat_id"].as_str().unwrap(),
        seats[0]["price"].as_i64().unwrap(),
    );

    let held = client.hold(&token, seat, &fresh_key()).await.expect(201, "");
    assert_eq!((held.number("amount"), held.text("seat_id").as_str()), (price, seat));
    let reservation = held.text("reservation_id");
    let shown = client.reservation(&token, &reservation).await.expect(200, "");
    assert_eq!(shown.text("status"), "pending");
    let free = client.free_seats(&token, schedule).await;
    assert!(!free.contains(&seat.to_owned()), "one's own hold shows at once");
    let dates = client.schedules(&token, concert, "?limit=1").await.expect(200, "");
    assert_eq!(dates.body["schedules"][0]["seats_left"].as_i64(), Some(left_before - 1));

    let before = client.balance(user).await;
    let paid = client.pay(&token, &reservation, &fresh_key()).await.expect(200, "");
    assert_eq!(paid.number("balance"), before - price);
    assert_eq!(paid.text("payment_id"), held.text("payment_id"));
    assert_eq!(client.reservation(&token, &reservation).await.text("status"), "paid");
    client.cancel(&token, &reservation).await.expect(409, "already-paid");
    client.place(&token).await.expect(401, "token-gone");
    client.seats(&token, schedule).await.expect(401, "token-gone");
}

/// A cancelled seat is on sale at once, for anybody; cancelling twice is no failure.
pub async fn cancel(client: &Client, users: [&str; 2], schedule: &str) {
    let token = client.admitted(users[0]).await;
    let other = client.admitted(users[1]).await;
    let seat = client.free_seats(&token, schedule).await.remove(0);
    let held = client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
    let reservation = held.text("reservation_id");
    client.hold(&other, &seat, &fresh_key()).await.expect(409, "seat-taken");
    client.cancel(&other, &reservation).await.expect(404, "not-found");
    client.reservation(&other, &reservation).await.expect(404, "not-found");
    client
        .pay(&other, &reservation, &fresh_key())
        .await
        .expect(404, "not-found");

    client.cancel(&token, &reservation).await.expect(204, "");
    client.cancel(&token, &reservation).await.expect(204, "");
    assert_eq!(
        client.reservation(&token, &reservation).await.text("status"),
        "cancelled"
    );
    client
        .pay(&token, &reservation, &fresh_key())
        .await
        .expect(409, "cancelled");
    assert!(client.free_seats(&other, schedule).await.contains(&seat));
    client.hold(&other, &seat, &fresh_key()).await.expect(201, "");
}
