//! Book: token, wait, dates, seats, hold, pay. Won when the seat is paid for.

use super::super::session::Session;
use super::queue::{self, Visit};
use super::{End, steps};
use crate::recording::Outcome;
use crate::recording::history::Code;

pub(super) async fn run(session: &mut Session<'_>) -> End {
    let mut visit = queue::enter(session).await?;
    let end = inside(session, &mut visit).await;
    if matches!(end, Ok(Outcome::Won)) {
        // Paying has used the token up.
        return end;
    }
    queue::go(session, &visit, end).await
}

async fn inside(session: &mut Session<'_>, visit: &mut Visit) -> End {
    if !queue::wait(session, visit).await? {
        return Ok(Outcome::NotAdmitted);
    }
    let Some(schedule) = steps::choose_date(session, visit).await? else {
        return Ok(Outcome::SoldOut);
    };
    session.think().await;
    let Some(seat) = steps::choose_seat(session, visit.user, &visit.token, schedule).await? else {
        return Ok(Outcome::SoldOut);
    };
    session.think().await;
    let held = steps::hold(session, visit.user, &visit.token, schedule, seat).await?;
    session.think().await;
    let key = session.new_key();
    match steps::pay(session, visit, seat, &held, key).await {
        Ok(()) => Ok(Outcome::Won),
        Err(ending) if ending.code == Code::InsufficientBalance && session.context.scenario.tops_up => {
            steps::charge(session, visit, held.amount).await?;
            // The same payment as before, so under the same key: a refusal has left no trace.
            steps::pay(session, visit, seat, &held, key).await?;
            Ok(Outcome::Won)
        }
        Err(ending) => Err(ending),
    }
}
