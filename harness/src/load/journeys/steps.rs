//! The steps between admission and payment.

use serde_json::json;
use uuid::Uuid;

use super::super::catalogue::ConcertDate;
use super::super::client::Call;
use super::super::outcome::Ending;
use super::super::replies::{Charged, Dates, Done, Held, Paid, SeatMap};
use super::super::session::{About, Session, pick};
use super::queue::Visit;
use crate::recording::Endpoint;
use crate::recording::history::Uid;

/// Reads the dates of a concert and chooses one that has seats left; `None` when none has. Who has a date in mind takes
/// that one or none.
pub(super) async fn choose_date(session: &mut Session<'_>, visit: &Visit) -> Result<Option<Uuid>, Ending> {
    let (skew, row) = (session.skew, session.row());
    let concert = session
        .ground
        .choose_concert(&mut session.choices, skew.concerts, row.concert);
    let Some(concert) = concert else { return Ok(None) };
    let call = Call::get(format!("/v1/concerts/{}/schedules", concert.concert_id)).token(&visit.token);
    let dates: Dates = session.ask(Endpoint::Schedules, call, About::default()).await?;
    if let Some(wanted) = row.schedule {
        let wanted = concert.schedules.get(wanted.get() as usize - 1);
        // The page shows the first dates only; one that it does not show may well have seats.
        let is_sold_out = |date: &&ConcertDate| {
            let shown = dates
                .schedules
                .iter()
                .find(|shown| shown.schedule_id == date.schedule_id);
            shown.is_some_and(|shown| shown.seats_left == 0)
        };
        return Ok(wanted.filter(|date| !is_sold_out(date)).map(|date| date.schedule_id));
    }
    let open: Vec<Uuid> = dates
        .schedules
        .iter()
        .filter(|date| date.seats_left > 0)
        .map(|date| date.schedule_id)
        .collect();
    Ok(pick(&mut session.choices, open.len(), skew.schedules).map(|place| open[place]))
}

/// Reads the seat map of a date and chooses a seat; `None` when none is left. Who has a seat in mind takes that one or
/// none.
pub(super) async fn choose_seat(
    session: &mut Session<'_>,
    user: Uuid,
    token: &str,
    schedule: Uuid,
) -> Result<Option<Uuid>, Ending> {
    let call = Call::get(format!("/v1/schedules/{schedule}/seats")).token(token);
    let map: SeatMap = session.ask(Endpoint::Seats, call, About::default()).await?;
    let skew = session.skew.seats;
    let seen = match session.row().seat {
        Some(wanted) => map.seats.iter().find(|seat| seat.number == Some(wanted.get())),
        None => pick(&mut session.choices, map.seats.len(), skew).map(|place| &map.seats[place]),
    };
    let chosen = seen.map(|seat| seat.seat_id);
    // A map without the wanted seat has shown others.
    let shown = chosen.or_else(|| map.seats.first().map(|seat| seat.seat_id));
    session.note_map(user, schedule, &map, shown);
    Ok(chosen)
}

/// Holds a seat.
pub(super) async fn hold(
    session: &mut Session<'_>,
    user: Uuid,
    token: &str,
    schedule: Uuid,
    seat: Uuid,
) -> Result<Held, Ending> {
    let key = session.new_key();
    let call = Call::post("/v1/reservations", json!({ "seat_id": seat }))
        .token(token)
        .key(key);
    let about = About {
        user: Some(user),
        seat: Some(seat),
        schedule: Some(schedule),
        ..About::default()
    };
    session.ask(Endpoint::Hold, call, about).await
}

/// Gives a held seat back.
pub(super) async fn cancel(
    session: &mut Session<'_>,
    user: Uuid,
    token: &str,
    seat: Uuid,
    held: &Held,
) -> Result<(), Ending> {
    let call = Call::delete(format!("/v1/reservations/{}", held.reservation_id)).token(token);
    let object = Uid::from(held.reservation_id);
    let about = About {
        user: Some(user),
        seat: Some(seat),
        object,
        ..About::default()
    };
    session.ask::<Done>(Endpoint::Cancel, call, about).await.map(|_| ())
}

/// Pays for a held seat under a key that the caller keeps for a further try.
pub(super) async fn pay(
    session: &mut Session<'_>,
    visit: &Visit,
    seat: Uuid,
    held: &Held,
    key: u64,
) -> Result<(), Ending> {
    let body = json!({ "reservation_id": held.reservation_id });
    let call = Call::post("/v1/payments", body).token(&visit.token).key(key);
    let object = Uid::from(held.reservation_id);
    let about = About {
        user: Some(visit.user),
        seat: Some(seat),
        object,
        amount: Some(held.amount),
        ..About::default()
    };
    session.ask::<Paid>(Endpoint::Pay, call, about).await.map(|_| ())
}

/// Puts money into the user's account.
pub(super) async fn charge(session: &mut Session<'_>, visit: &Visit, amount: i64) -> Result<(), Ending> {
    let key = session.new_key();
    let path = format!("/v1/users/{}/balance/charges", visit.user);
    let call = Call::post(path, json!({ "amount": amount }))
        .token(&visit.token)
        .key(key);
    let about = About {
        user: Some(visit.user),
        amount: Some(amount),
        ..About::default()
    };
    session.ask::<Charged>(Endpoint::Charge, call, about).await.map(|_| ())
}
