//! Which exit code an error of the layers below leads to. What is not named here is a bug until somebody names it.

use super::exit::{Exit, Failure};
use crate::load::LoadError;
use crate::recording::RecordError;
use crate::report::ReportError;
use crate::run::RunError;
use crate::scrape::poll::PollError;
use crate::stack::StackError;
use crate::target::TargetError;

impl Failure {
    /// No stack.
    pub(super) fn of_stack(error: StackError) -> Self {
        Self::new(stack(&error), error)
    }

    /// A command of the service, or its start.
    pub(super) fn of_target(error: TargetError) -> Self {
        Self::new(target(&error), error)
    }

    /// A run that did not come to its end.
    pub(super) fn of_run(error: RunError) -> Self {
        Self::new(run(&error), error)
    }

    /// A report that was not written.
    pub(super) fn of_report(error: ReportError) -> Self {
        let exit = match &error {
            ReportError::Write { .. } => Exit::Unknown,
            _ => Exit::Bug,
        };
        Self::new(exit, error)
    }

    /// A recording that was not written.
    pub(super) fn of_record(error: RecordError) -> Self {
        Self::new(record(&error), error)
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

/// The service speaks with the same codes.
fn target(error: &TargetError) -> Exit {
    match error {
        TargetError::Failed { status, .. } | TargetError::Ended { status, .. } => match status.code() {
            Some(2) => Exit::Usage,
            Some(6) => Exit::NoStack,
            _ => Exit::Bug,
        },
        TargetError::File { .. } => Exit::Unknown,
        _ => Exit::Bug,
    }
}

fn run(error: &RunError) -> Exit {
    match error {
        RunError::Interrupted(_) => Exit::Interrupted,
        RunError::Stack(error) => stack(error),
        RunError::Target { source, .. } => target(source),
        RunError::Record(error) | RunError::Poll(PollError::Record { source: error, .. }) => record(error),
        RunError::Load(LoadError::Limit(_)) => Exit::Usage,
        // What the service does not bear says nothing about the tool.
        RunError::Load(LoadError::Prepare(_)) | RunError::File { .. } | RunError::NothingBorne { .. } => Exit::Unknown,
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;
    use crate::stack::Component;
    use crate::stack::error::ProbeFailure;

    fn ended(code: i32) -> RunError {
        RunError::Target {
            variant: "base".to_owned(),
            source: TargetError::Ended {
                // A process's own code stands in the second byte.
                status: ExitStatus::from_raw(code << 8),
                log: String::new(),
            },
        }
    }

    #[test]
    fn each_sort_of_error_has_its_code() {
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
        assert_eq!(run(&ended(2)), Exit::Usage);
        assert_eq!(run(&ended(6)), Exit::NoStack);
        assert_eq!(run(&ended(1)), Exit::Bug);
        assert_eq!(run(&RunError::Record(RecordError::DiskFull("x".into()))), Exit::Unknown);
        let cut_off = PollError::Record {
            source_name: "redis".to_owned(),
            source: RecordError::DiskFull("x".into()),
        };
        assert_eq!(run(&RunError::Poll(cut_off)), Exit::Unknown);
        assert_eq!(run(&RunError::Record(RecordError::Occupied("x".into()))), Exit::Usage);
        assert_eq!(run(&RunError::Record(RecordError::Tag("a,b".to_owned()))), Exit::Bug);
    }
}
