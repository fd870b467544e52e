//! Which exit code an error of the layers below leads to. What is not named here is a bug until somebody names it.
//!
//! A fault that cannot be injected, healed or seen to be healed is a stack that is not available: what was broken may
//! still be, and nothing that is measured on it next would mean anything.

use super::exit::{Exit, Failure};
use crate::fault::FaultError;
use crate::fault::proxy::ProxyError;
use crate::load::{CatalogueError, LoadError};
use crate::recording::RecordError;
use crate::report::ReportError;
use crate::run::RunError;
use crate::scrape::poll::PollError;
use crate::stack::StackError;
use crate::target::TargetError;

/// The service's own codes, which are the tool's.
const SERVICE_USAGE: i32 = Exit::Usage as i32;
const SERVICE_AWAY: i32 = Exit::NoStack as i32;

impl Failure {
    /// No stack.
    pub(super) fn of_stack(error: StackError) -> Self {
        Self::new(stack(&error), error)
    }

    /// A command of the service, or its start.
    pub(super) fn of_target(error: TargetError) -> Self {
        Self::new(target(&error), error)
    }

    /// A fault, or the proxies for it.
    pub(super) fn of_fault(error: FaultError) -> Self {
        Self::new(fault(&error), error)
    }

    /// A run that did not come to its end.
    pub(super) fn of_run(error: RunError) -> Self {
        Self::new(run(&error), error)
    }

    /// A recording that was not written.
    pub(super) fn of_record(error: RecordError) -> Self {
        Self::new(record(&error), error)
    }

    /// A report that was not written.
    pub(super) fn of_report(error: ReportError) -> Self {
        let exit = match &error {
            ReportError::Write { .. } => Exit::Unknown,
            _ => Exit::Bug,
        };
        Self::new(exit, error)
    }
}

fn run(error: &RunError) -> Exit {
    match error {
        RunError::Interrupted(_) => Exit::Interrupted,
        RunError::Stack(error) => stack(error),
        RunError::Target { source, .. } => target(source),
        RunError::Record(error) | RunError::Poll(PollError::Record { source: error, .. }) => record(error),
        RunError::Fault { source, .. } => source.downcast_ref().map_or(Exit::Bug, fault),
        // A service that answers nothing says nothing about itself, and no more does a run whose files are cut off.
        RunError::NothingBorne { .. }
        | RunError::UnequalData { .. }
        | RunError::Load(LoadError::Prepare(_))
        | RunError::File { .. }
        | RunError::Catalogue {
            source: CatalogueError::Read { .. },
            ..
        } => Exit::Unknown,
        RunError::Load(LoadError::Limit(_)) => Exit::Usage,
        _ => Exit::Bug,
    }
}

fn target(error: &TargetError) -> Exit {
    match error {
        TargetError::Failed { status, .. } | TargetError::Ended { status, .. } => match status.code() {
            Some(SERVICE_USAGE) => Exit::Usage,
            Some(SERVICE_AWAY) => Exit::NoStack,
            _ => Exit::Bug,
        },
        TargetError::File { .. } => Exit::Unknown,
        TargetError::Spawn { .. } => Exit::Usage,
        _ => Exit::Bug,
    }
}

/// A run that its disk cut off is void.
fn record(error: &RecordError) -> Exit {
    match error {
        RecordError::DiskFull(_) | RecordError::Write { .. } | RecordError::Read { .. } => Exit::Unknown,
        RecordError::Occupied(_) => Exit::Usage,
        _ => Exit::Bug,
    }
}

/// A wrong address is wrong usage; with several errors, only when none is of another sort.
fn stack(error: &StackError) -> Exit {
    match error {
        StackError::MissingUrl { .. } | StackError::BadUrl { .. } | StackError::Folder { .. } => Exit::Usage,
        StackError::Several(errors) if errors.iter().all(|error| stack(error) == Exit::Usage) => Exit::Usage,
        _ => Exit::NoStack,
    }
}

fn fault(error: &FaultError) -> Exit {
    match error {
        FaultError::NotHere { .. } | FaultError::Proxy(ProxyError::Bind(_) | ProxyError::Port { .. }) => Exit::Usage,
        FaultError::Daemon { .. }
        | FaultError::Database { .. }
        | FaultError::MockBroker { .. }
        | FaultError::Address { .. }
        | FaultError::StillBroken { .. } => Exit::NoStack,
        FaultError::Service { source, .. } => target(source),
        _ => Exit::Bug,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;
    use crate::stack::Component;
    use crate::stack::error::ProbeFailure;

    fn ended(code: i32) -> RunError {
        RunError::Target {
            variant: "off".to_owned(),
            source: TargetError::Ended {
                // What a process returns stands in the second byte of how it ended.
                status: ExitStatus::from_raw(code << 8),
                log: String::new(),
            },
        }
    }

    fn of_fault(error: FaultError) -> RunError {
        RunError::Fault {
            fault: "mysql.pause".to_owned(),
            source: Box::new(error),
        }
    }

    #[test]
    fn what_ended_a_run_decides_the_code() {
        let full = || RecordError::DiskFull("x".into());
        let still_broken = FaultError::StillBroken {
            target: "container x".to_owned(),
            source: None,
        };
        let not_here = FaultError::NotHere {
            fault: "mysql.pause",
            needs: "a container",
        };
        let poll = PollError::Record {
            source_name: "redis".to_owned(),
            source: full(),
        };
        let silent = RunError::NothingBorne {
            variant: "off".to_owned(),
            log: "off.log".into(),
        };
        for (error, exit) in [
            (ended(2), Exit::Usage),
            (ended(6), Exit::NoStack),
            (ended(101), Exit::Bug),
            (RunError::Record(full()), Exit::Unknown),
            (RunError::Record(RecordError::Occupied("x".into())), Exit::Usage),
            (RunError::Record(RecordError::Tag("a,b".to_owned())), Exit::Bug),
            (RunError::Poll(poll), Exit::Unknown),
            (of_fault(still_broken), Exit::NoStack),
            (of_fault(not_here), Exit::Usage),
            (of_fault(FaultError::Name("`".to_owned())), Exit::Bug),
            (silent, Exit::Unknown),
            (RunError::Interrupted("x".into()), Exit::Interrupted),
        ] {
            assert_eq!(run(&error), exit, "{error}");
        }
    }

    #[test]
    fn a_wrong_address_is_usage_and_a_server_that_is_away_is_not() {
        let refused = || StackError::Probe {
            component: Component::Redis,
            address: "redis://h:1".to_owned(),
            what: ProbeFailure::Refused,
            source: None,
        };
        let missing = || StackError::MissingUrl {
            option: "--mysql URL",
            variable: "SOUNDCHECK_MYSQL_URL",
        };
        assert_eq!(stack(&refused()), Exit::NoStack);
        assert_eq!(stack(&StackError::Several(vec![missing(), missing()])), Exit::Usage);
        assert_eq!(stack(&StackError::Several(vec![missing(), refused()])), Exit::NoStack);
        assert_eq!(run(&RunError::Stack(missing())), Exit::Usage);
    }
}
