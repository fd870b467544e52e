//! The generator's machine runs out of descriptors in the middle of the load: what was never sent is told apart from what
//! the service failed at.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use soundcheck::recording::history::{Code, OpKind, Settled};
use soundcheck::recording::{Operation, Recording, What};

use crate::EMBEDDED;
use crate::ran::{Ran, turn};
use crate::tool::Tool;

/// A few who need next to no connection, and then many at once who need one each.
const SCENARIO: &str = "name: crowded\narrivals: even\nusers: 5\nthink: {from: 200ms, to: 200ms}\ntops-up: true\n\
                        stages: [{name: few, for: 3s, rate: 5/s}, {name: many, for: 2s, virtual-users: 40}]\n\
                        journeys: {browse: 50%, book: 50%}\n\
                        data: {users: 500, concerts: 2, schedules-per-concert: 2, seats-per-schedule: 50}\n";
/// Beside those that are open already: for what the tool reads about itself every second.
const SPARE: u64 = 4;
/// Enough to see that it is no accident.
const FEWEST_UNSENT: u64 = 10;

#[test]
fn requests_without_a_descriptor_were_never_sent_and_leave_no_claim() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crowded.yaml");
    std::fs::write(&file, SCENARIO).unwrap();
    let turn = turn();
    let mut tool = Tool::start(&[&["run", file.to_str().unwrap()][..], &EMBEDDED].concat());
    let pid = Pid::from_raw(tool.pid().cast_signed()).unwrap();
    let step = |tool: &mut Tool, step: &str| {
        tool.until(step, |tool| {
            tool.said().iter().any(|line| line.contains(step)).then_some(())
        });
    };
    step(&mut tool, "crowded: few");
    let open = std::fs::read_dir(format!("/proc/{}/fd", tool.pid())).unwrap().count() as u64;
    let few = Rlimit {
        current: Some(open + SPARE),
        // Inherited from here.
        ..getrlimit(Resource::Nofile)
    };
    let before = prlimit(Some(pid), Resource::Nofile, few).unwrap();
    // The tool's own files need descriptors as well: no longer than that.
    tool.until("a history of requests without a descriptor", |tool| {
        (unsent_so_far(tool) > FEWEST_UNSENT).then_some(())
    });
    prlimit(Some(pid), Resource::Nofile, before).unwrap();
    let ran = Ran::wait(tool, turn);
    assert_eq!(ran.ended.code, Some(4), "{:#?}", ran.ended);
    ran.check_books_and_ledger();

    let events = ran.recording.events().unwrap();
    let unsent = events.iter().find_map(|event| match &event.what {
        What::OutOfSockets { requests, reason } => Some((*requests, reason.clone())),
        _ => None,
    });
    let (unsent, reason) = unsent.expect("nothing was unsent");
    assert!(
        unsent > FEWEST_UNSENT && reason.contains("Too many open files"),
        "{unsent}: {reason}"
    );
    ran.check_report(&[
        &format!("{unsent} requests were never sent, since the generator's machine had no socket left"),
        "take fewer users, or raise `ulimit -n` and net.ipv4.ip_local_port_range",
    ]);
    // Each of them has certainly not happened.
    let operations = ran.operations();
    let (mut n_unsent, mut n_entered) = (0, 0);
    for op in operations.iter().filter(|op| op.kind == OpKind::QueueEnter) {
        n_entered += u64::from(op.is_ok());
        if op.code == Code::Unreachable {
            assert_eq!(op.settled, Settled::Fail, "{op:?}");
            n_unsent += 1;
        }
    }
    assert!(n_unsent > FEWEST_UNSENT && n_unsent <= unsent, "{n_unsent} of {unsent}");
    // Those who had a connection were served all the while.
    assert!(n_entered > 3, "{n_entered}");
    assert!(ran.books().failed >= n_unsent, "{:?}", ran.books());
}

/// Visits that the history tells of by now as never sent. It is written second by second, and read while it is.
fn unsent_so_far(tool: &Tool) -> u64 {
    let history = tool
        .recording("run")
        .and_then(|dir| Recording::open(&dir).ok()?.history().ok());
    let mut n_unsent = 0;
    if let Some(history) = history {
        let mut count =
            |op: &Operation| n_unsent += u64::from(op.kind == OpKind::QueueEnter && op.code == Code::Unreachable);
        history.scan(|_, op| count(op)).unwrap();
    }
    n_unsent
}
