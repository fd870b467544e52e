//! I10, planted: server errors with and without an excuse.

use super::case::*;
const WHICH: Invariant = Invariant::Contention;

fn status(status: u16) -> Case {
    let mut case = Case::new();
    let op = case.hold(ANNA, Uid::NONE, 1_000, 1_010);
    (op.settled, op.status) = (Settled::Info, status);
    case
}

#[test]
fn a_server_error_needs_a_fault_to_explain_it() {
    status(500).convicts(WHICH, "1 operations met a server error", &[0]);
    for explained in [503, 504, 409, 0] {
        status(explained).acquits(WHICH);
    }
    let fault = |from, until| {
        let mut case = status(500);
        case.harness.faults.push(FaultWindow {
            name: "container.pause".to_owned(),
            target: "mysql".to_owned(),
            from: ms(from),
            until,
        });
        case
    };
    fault(1_005, Some(ms(2_000))).acquits(WHICH);
    fault(0, None).acquits(WHICH);
    fault(1_011, Some(ms(2_000))).convicts(WHICH, "server error", &[0]);
}
