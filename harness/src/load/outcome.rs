//! From an exchange to its outcome: what the user got, under which code, and whether the operation happened.

use super::client::{Answer, Failure, MAX_BODY_BYTES};
use crate::recording::history::{Code, Settled};
use crate::recording::{Endpoint, Outcome};

/// Begins the cause of a request for which this machine had no descriptor or port left.
pub const NO_SOCKET: &str = "no socket left on this machine";

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) code: Code,
    pub(crate) settled: Settled,
    /// 0 when no answer came.
    pub(crate) status: u16,
    /// For the count of causes; empty for what needs none.
    pub(crate) cause: String,
}

impl Ending {
    /// The ending of an exchange whose answer, if a success, could be read.
    pub(crate) fn of(endpoint: Endpoint, result: &Result<Answer, Failure>) -> Self {
        match result {
            Ok(answer) if answer.is_success() => {
                let outcome = match endpoint {
                    Endpoint::Hold | Endpoint::Pay => Outcome::Won,
                    _ => Outcome::Ok,
                };
                Self {
                    outcome,
                    code: Code::None,
                    settled: Settled::Ok,
                    status: answer.status,
                    cause: String::new(),
                }
            }
            Ok(answer) => Self::of_refusal(answer.status, answer.problem_code()),
            Err(failure) => Self::of_failure(failure),
        }
    }

    /// A success whose body is not what it should be: it may well have happened.
    pub(crate) fn unreadable(status: u16, why: &str) -> Self {
        Self {
            outcome: Outcome::Error,
            code: Code::Unreadable,
            settled: Settled::Info,
            status,
            cause: format!("{status} with an unreadable body: {why}"),
        }
    }

    fn of_refusal(status: u16, problem: Option<String>) -> Self {
        let code = problem.as_deref().map_or(Code::None, Code::of);
        let outcome = match (status, code) {
            (409, Code::SeatTaken | Code::Conflict) => Outcome::Conflict,
            (401, Code::TokenGone) | (403, Code::NotAdmitted) => Outcome::NotAdmitted,
            // A refusal that names no code did not come from the service's rules.
            (400..=499, _) if problem.is_some() => Outcome::Refused,
            _ => Outcome::Error,
        };
        // Shedding happens before any work is done; any other failure of the server may have come after it.
        let settled = if status >= 500 && code != Code::Overloaded {
            Settled::Info
        } else {
            Settled::Fail
        };
        let cause = match (&problem, outcome) {
            (_, Outcome::Conflict | Outcome::NotAdmitted) => String::new(),
            (Some(problem), _) => format!("{status} {problem}"),
            (None, _) => format!("{status} without a problem's code"),
        };
        Self {
            outcome,
            code,
            settled,
            status,
            cause,
        }
    }

    fn of_failure(failure: &Failure) -> Self {
        let (code, settled, cause) = match failure {
            Failure::TimeOut => (Code::TimeOut, Settled::Info, "no answer in time".to_owned()),
            // Without a connection nothing was sent, and so nothing has happened.
            Failure::Refused => (
                Code::ConnectionRefused,
                Settled::Fail,
                "connection refused: nobody listens there".to_owned(),
            ),
            Failure::NoSocket(why) => (Code::Unreachable, Settled::Fail, format!("{NO_SOCKET}: {why}")),
            Failure::Unreachable(why) => (Code::Unreachable, Settled::Fail, format!("no connection: {why}")),
            Failure::Tls(why) => (Code::Tls, Settled::Fail, format!("no secure connection (TLS): {why}")),
            Failure::Reset => (Code::Reset, Settled::Info, "connection reset".to_owned()),
            Failure::NoHttp(why) => (Code::NoHttp, Settled::Info, format!("no HTTP: {why}")),
            Failure::Broken(why) => (Code::Broken, Settled::Info, format!("broken off: {why}")),
            Failure::TooLong => (
                Code::TooLong,
                Settled::Info,
                format!("an answer longer than {} MiB", MAX_BODY_BYTES >> 20),
            ),
        };
        let outcome = match failure {
            Failure::TimeOut => Outcome::TimeOut,
            _ => Outcome::Lost,
        };
        Self {
            outcome,
            code,
            settled,
            status: 0,
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(endpoint: Endpoint, status: u16, body: &str, outcome: Outcome, settled: Settled) {
        let answer = Answer {
            status,
            body: body.as_bytes().to_vec(),
        };
        let ending = Ending::of(endpoint, &Ok(answer));
        assert_eq!(
            (ending.outcome, ending.settled),
            (outcome, settled),
            "{status} {body}: {ending:?}"
        );
    }

    fn problem(code: &str) -> String {
        format!(r#"{{"type":"about:blank","status":400,"code":"{code}","title":"x"}}"#)
    }

    #[test]
    fn answers_are_typed_by_status_and_code() {
        use Outcome::{Conflict, Error, NotAdmitted, Ok, Refused, Won};
        check(Endpoint::Hold, 201, "{}", Won, Settled::Ok);
        check(Endpoint::Pay, 200, "{}", Won, Settled::Ok);
        check(Endpoint::Seats, 200, "{}", Ok, Settled::Ok);
        check(Endpoint::Hold, 409, &problem("seat-taken"), Conflict, Settled::Fail);
        check(Endpoint::Hold, 409, &problem("conflict"), Conflict, Settled::Fail);
        check(Endpoint::Pay, 409, &problem("expired"), Refused, Settled::Fail);
        check(
            Endpoint::Pay,
            402,
            &problem("insufficient-balance"),
            Refused,
            Settled::Fail,
        );
        check(
            Endpoint::Hold,
            403,
            &problem("not-admitted"),
            NotAdmitted,
            Settled::Fail,
        );
        check(
            Endpoint::QueuePosition,
            401,
            &problem("token-gone"),
            NotAdmitted,
            Settled::Fail,
        );
        check(Endpoint::Hold, 401, &problem("token-invalid"), Refused, Settled::Fail);
        check(
            Endpoint::Hold,
            422,
            &problem("idempotency-mismatch"),
            Refused,
            Settled::Fail,
        );
        check(Endpoint::Hold, 503, &problem("overloaded"), Error, Settled::Fail);
        check(Endpoint::Hold, 503, "busy", Error, Settled::Info);
        check(Endpoint::Pay, 500, &problem("internal"), Error, Settled::Info);
        check(Endpoint::Pay, 504, &problem("deadline"), Error, Settled::Info);
        check(Endpoint::Seats, 404, "<html>", Error, Settled::Fail);
        check(Endpoint::Seats, 302, "", Error, Settled::Fail);
    }

    #[test]
    fn what_never_arrived_certainly_failed_and_what_broke_may_have_happened() {
        let ending = |failure| Ending::of(Endpoint::Pay, &Err(failure));
        let unreachable = ending(Failure::Unreachable("connection refused".to_owned()));
        assert_eq!(
            (unreachable.outcome, unreachable.settled),
            (Outcome::Lost, Settled::Fail)
        );
        for never in [Failure::Refused, Failure::Tls("no trust".to_owned())] {
            assert_eq!(ending(never.clone()).settled, Settled::Fail, "{never:?}");
        }
        for perhaps in [Failure::Reset, Failure::NoHttp("SSH".to_owned()), Failure::TooLong] {
            assert_eq!(ending(perhaps.clone()).settled, Settled::Info, "{perhaps:?}");
        }
        let broken = ending(Failure::Broken("reset".to_owned()));
        assert_eq!((broken.outcome, broken.settled), (Outcome::Lost, Settled::Info));
        let time_out = ending(Failure::TimeOut);
        assert_eq!((time_out.outcome, time_out.settled), (Outcome::TimeOut, Settled::Info));
        assert_eq!(ending(Failure::TooLong).outcome, Outcome::Lost);
    }
}
