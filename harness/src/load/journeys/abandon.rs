//! Abandon: token, wait, dates, seats, hold, then leave without paying. The seat comes back when the hold expires.

use super::super::session::Session;
use super::queue::{self, Visit};
use super::{End, steps};
use crate::recording::Outcome;

pub(super) async fn run(session: &mut Session<'_>) -> End {
    let mut visit = queue::enter(session).await?;
    let end = inside(session, &mut visit).await;
    queue::go(session, &visit, end).await
}

async fn inside(session: &mut Session<'_>, visit: &mut Visit) -> End {
    if !queue::wait(session, visit).await? {
        return Ok(Outcome::NotAdmitted);
    }
    let Some(schedule) = steps::choose_date(session, visit).await? else {
        return Ok(Outcome::SoldOut);
    };
    let Some(seat) = steps::choose_seat(session, visit.user, &visit.token, schedule).await? else {
        return Ok(Outcome::SoldOut);
    };
    session.think().await;
    steps::hold(session, visit.user, &visit.token, schedule, seat).await?;
    Ok(Outcome::Ok)
}
