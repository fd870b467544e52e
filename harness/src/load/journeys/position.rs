//! Position: take a place and look at it a few times, as people do who keep a page open; then leave.

use super::super::session::Session;
use super::End;
use super::queue::{self, Visit};
use crate::recording::Outcome;

/// Looks at the place.
const LOOKS: u32 = 3;

pub(super) async fn run(session: &mut Session<'_>) -> End {
    let mut visit = queue::enter(session).await?;
    let end = inside(session, &mut visit).await;
    queue::go(session, &visit, end).await
}

async fn inside(session: &mut Session<'_>, visit: &mut Visit) -> End {
    for look in 0..LOOKS {
        if look > 0 {
            session.wait(session.context.scenario.poll).await;
        }
        queue::look(session, visit).await?;
    }
    Ok(Outcome::Ok)
}
