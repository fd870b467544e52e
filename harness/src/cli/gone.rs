//! Why a run ended early: by an error of its own, or since a part of the stack is not there any more.

use futures::future::join_all;

use super::exit::{Exit, Failure};
use crate::run::RunError;
use crate::stack::{Component, Stack, StackError, StackKind, probe};

/// The run's error was only how it showed.
#[derive(Debug, thiserror::Error)]
#[error("a part of the stack has gone, which showed as: {shown}; what is away is")]
struct Gone {
    shown: String,
    #[source]
    part: StackError,
}

/// The failure that an error of a run is. Unless the error names a server itself, all are asked whether they are still
/// there: without them no other answer would be the whole truth.
pub(super) async fn failure(stack: &dyn Stack, error: RunError) -> Failure {
    let shown = error.to_string();
    let names_it = matches!(error, RunError::Stack(_));
    let failure = Failure::of_run(error);
    if names_it || !matches!(failure.exit, Exit::Bug | Exit::Unknown | Exit::NoStack) {
        return failure;
    }
    match away(stack).await {
        Some(part) => Failure::new(Exit::NoStack, Gone { shown, part }),
        None => failure,
    }
}

/// The first server that does not answer as it did at the start. What is embedded cannot go while this process is there.
async fn away(stack: &dyn Stack) -> Option<StackError> {
    if stack.kind() == StackKind::Embedded {
        return None;
    }
    let endpoints = stack.direct_endpoints("");
    let asked = Component::ALL.into_iter().filter_map(|component| {
        let url = endpoints.url(component)?;
        Some(probe::probe(component, url, probe::ANSWER_WITHIN))
    });
    join_all(asked).await.into_iter().find_map(Result::err)
}
