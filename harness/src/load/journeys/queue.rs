//! The waiting room: come in, wait until let through, go.

use serde_json::json;
use uuid::Uuid;

use super::super::client::Call;
use super::super::outcome::Ending;
use super::super::replies::{Done, Entered, Place};
use super::super::session::{About, Session};
use super::End;
use crate::recording::Endpoint;
use crate::recording::history::{Code, Uid};

/// A user with a place in the queue.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) user: Uuid,
    pub(super) token: String,
    pub(super) is_active: bool,
}

/// Takes a place.
pub(super) async fn enter(session: &mut Session<'_>) -> Result<Visit, Ending> {
    let (skew, wanted) = (session.skew.users, session.row().user);
    let user = session
        .ground
        .choose_user(session.number(), &mut session.choices, skew, wanted);
    let call = Call::post("/v1/queue/tokens", json!({ "user_id": user }));
    let about = About {
        user: Some(user),
        ..About::default()
    };
    let entered: Entered = session.ask(Endpoint::QueueEnter, call, about).await?;
    Ok(Visit {
        user,
        is_active: entered.is_active(),
        token: entered.token,
    })
}

/// Looks at the place once; whether the user is let through now.
pub(super) async fn look(session: &mut Session<'_>, visit: &mut Visit) -> Result<bool, Ending> {
    let call = Call::get("/v1/queue/token").token(&visit.token);
    let about = About {
        user: Some(visit.user),
        object: Uid::of(&visit.token),
        ..About::default()
    };
    let place: Place = session.ask(Endpoint::QueuePosition, call, about).await?;
    visit.is_active = place.is_active();
    Ok(visit.is_active)
}

/// Waits until let through; `false` when patience ends first.
///
/// A look that fails does not end the wait: the page looks again at its next turn, as pages do. That is no retry, each
/// look is a sample of its own. If the last look before patience ends failed, so has the journey.
pub(super) async fn wait(session: &mut Session<'_>, visit: &mut Visit) -> Result<bool, Ending> {
    let clock = session.context.recorder.clock();
    let until = clock.now().plus(session.context.scenario.timeouts.admission);
    while !visit.is_active {
        session.wait(session.context.scenario.poll).await;
        let look = look(session, visit).await;
        let is_over = clock.now() >= until;
        match look {
            Ok(is_active) if is_over => return Ok(is_active),
            Ok(_) => (),
            // A refusal is the last word; a failure is one only when there is no time left.
            Err(ending) if is_over || ending.outcome.is_served() => return Err(ending),
            Err(_) => (),
        }
    }
    Ok(true)
}

/// Gives the place up as a step of the journey.
pub(super) async fn leave(session: &mut Session<'_>, visit: &Visit) -> Result<(), Ending> {
    let call = Call::delete("/v1/queue/token").token(&visit.token);
    let about = About {
        user: Some(visit.user),
        object: Uid::of(&visit.token),
        ..About::default()
    };
    session.ask::<Done>(Endpoint::QueueLeave, call, about).await.map(|_| ())
}

/// Ends a journey whose aim is reached or lost: gives the place up, so that the next can have it. The journey's time
/// and outcome are settled before; the request itself is measured like any other.
pub(super) async fn go(session: &mut Session<'_>, visit: &Visit, end: End) -> End {
    session.is_over(match &end {
        Ok(outcome) => *outcome,
        Err(ending) => ending.outcome,
    });
    let has_place = match &end {
        Ok(_) => true,
        // Who got no answer at all does not trouble the service further.
        Err(ending) => ending.status != 0 && ending.code != Code::TokenGone,
    };
    if has_place {
        // How leaving ended is in the samples; the journey was over before.
        let _left = leave(session, visit).await;
    }
    end
}
