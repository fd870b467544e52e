//! Journeys of users who were admitted before the run: they drive one endpoint directly, for experiments.

use super::super::session::Session;
use super::{End, steps};
use crate::recording::Outcome;

/// One seat map.
pub(super) async fn seat_map(session: &mut Session<'_>) -> End {
    let skew = session.skew;
    let date = session
        .ground
        .choose_date(&mut session.choices, skew.concerts, skew.schedules);
    let (Some(schedule), Some(admitted)) = (date, session.ground.next_admitted()) else {
        return Ok(Outcome::SoldOut);
    };
    let seat = steps::choose_seat(session, admitted.user, &admitted.token, schedule).await?;
    // An empty map is an answer like any other here: the read is what is measured.
    let _seat = seat;
    Ok(Outcome::Ok)
}

/// One hold, and its cancellation.
pub(super) async fn hold_cycle(session: &mut Session<'_>) -> End {
    let skew = session.skew;
    let seat = session
        .ground
        .choose_seat(&mut session.choices, skew.schedules, skew.seats);
    let (Some((schedule, seat)), Some(admitted)) = (seat, session.ground.next_admitted()) else {
        return Ok(Outcome::SoldOut);
    };
    let held = steps::hold(session, admitted.user, &admitted.token, schedule, seat).await?;
    session.think().await;
    steps::cancel(session, admitted.user, &admitted.token, seat, &held).await?;
    Ok(Outcome::Won)
}
