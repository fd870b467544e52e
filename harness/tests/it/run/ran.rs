//! A run that has come to its own end, and what all of them have in common.

use std::collections::BTreeMap;
use std::path::PathBuf;

use soundcheck::analysis::cuts;
use soundcheck::analysis::ended::Ended as Row;
use soundcheck::recording::event::{Accounting, Edge};
use soundcheck::recording::{Endpoint, Operation, RecordError, Recording, What};
use soundcheck::units::Nanos;
use soundcheck::verdict::ledger::{self, LedgerReport, Overall};
use soundcheck::verdict::validity::{Validity, validity};
use tokio::sync::{Mutex, MutexGuard};

use crate::EMBEDDED;
use crate::tool::{Ended, Tool};

/// Held while load is offered: two at once on two cores would measure each other.
static MEASURING: Mutex<()> = Mutex::const_new(());

/// The step that follows the load: from there on a run waits until holds have expired, and measures nothing.
pub(crate) const LOAD_IS_OVER: &str = "waiting for outbox and holds to end";

/// What a busy machine may do to a run; nothing else may make it unknown.
const OUT_OF_PACE: [&str; 6] = [
    "arrivals started late",
    "visits of virtual users started late",
    "were dropped",
    "the lag of what was sent has a p99 of",
    // Of scrapes: one that fails in another way is no matter of pace.
    " failed: no answer within ",
    " failed: the poller was ",
];

/// Waits for a turn to measure.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    MEASURING.blocking_lock()
}

/// A run that has ended, and its recording.
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    pub(crate) recording: Recording,
    /// Holds the folders.
    _tool: Tool,
}

/// Runs what is named on an embedded stack, with nothing measured beside it.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Ran {
    let turn = turn();
    let tool = Tool::start(&[&["run"][..], arguments, &EMBEDDED].concat());
    Ran::wait(tool, turn)
}

impl Ran {
    /// Waits for the end; the turn is over when the load is.
    #[track_caller]
    pub(crate) fn wait(mut tool: Tool, turn: MutexGuard<'_, ()>) -> Self {
        tool.until("the end of the load", |tool| {
            tool.said().iter().any(|line| line.contains(LOAD_IS_OVER)).then_some(())
        });
        drop(turn);
        let ended = tool.end();
        assert_eq!(tool.left_behind(), [] as [PathBuf; 0], "{ended:#?}");
        let recording = tool.read("run");
        assert!(recording.is_complete(), "{:?}", recording.notes());
        Self {
            ended,
            recording,
            _tool: tool,
        }
    }

    /// The books balance and every invariant holds, however fast or slow it was.
    #[track_caller]
    pub(crate) fn check_books_and_ledger(&self) {
        assert_eq!(self.books().imbalances(), [] as [String; 0]);
        let ledger = self.ledger();
        assert_eq!(ledger.overall(), Overall::Valid, "{ledger:#?}");
    }

    /// Held to nothing, it passed; or a busy machine kept it from carrying a claim, which its report says.
    #[track_caller]
    pub(crate) fn check_pass_or_out_of_pace(&self) {
        let Validity { doubts, lag, .. } = validity(&self.recording).unwrap();
        let doubts = [doubts, lag].concat();
        let code = if doubts.is_empty() { 0 } else { 4 };
        assert_eq!(self.ended.code, Some(code), "{doubts:#?}\n{:#?}", self.ended);
        for doubt in &doubts {
            let is_pace = OUT_OF_PACE.iter().any(|words| doubt.contains(words));
            assert!(is_pace, "{doubt}");
        }
        if let Some(doubt) = doubts.first() {
            assert!(self.report().contains("The run cannot carry a claim: "), "{doubt}");
        }
    }

    /// Each of these stands in the report.
    #[track_caller]
    pub(crate) fn check_report(&self, parts: &[&str]) {
        let report = self.report();
        for part in parts {
            assert!(report.contains(part), "no `{part}` in {report}");
        }
    }

    pub(crate) fn report(&self) -> String {
        std::fs::read_to_string(self.recording.dir().join("report.md")).unwrap()
    }

    pub(crate) fn books(&self) -> Accounting {
        let events = self.recording.events().unwrap().into_iter();
        let mut books = events.filter_map(|event| match event.what {
            What::Accounting { counts, .. } => Some(counts),
            _ => None,
        });
        let only = books.next().unwrap();
        assert_eq!(books.next(), None, "one service has one account");
        only
    }

    pub(crate) fn ledger(&self) -> LedgerReport {
        ledger::verify(&self.recording).unwrap()
    }

    /// When a stage began and ended.
    pub(crate) fn stage(&self, wanted: &str) -> (Nanos, Nanos) {
        let events = self.recording.events().unwrap();
        let at = |wanted_edge| {
            let found = events.iter().find(
                |event| matches!(&event.what, What::Phase { name, edge } if name == wanted && *edge == wanted_edge),
            );
            found.unwrap_or_else(|| panic!("{wanted} has no {wanted_edge:?}")).t
        };
        (at(Edge::Begin), at(Edge::End))
    }

    /// What ended, by what it was.
    pub(crate) fn rows(&self) -> BTreeMap<Endpoint, Row> {
        let mut rows: BTreeMap<Endpoint, Row> = BTreeMap::new();
        let read = cuts::each::<RecordError>(&self.recording, |cut| {
            for (endpoint, row) in cut.by(|tag| Some(tag.endpoint)) {
                rows.entry(endpoint).or_default().join(&row);
            }
            Ok(())
        });
        read.unwrap();
        rows
    }

    /// The history.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        let history = self.recording.history().unwrap();
        history.scan(|_, op| operations.push(*op)).unwrap();
        operations
    }
}
