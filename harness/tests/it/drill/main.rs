//! Drills as a person starts them, on servers that are the tool's own and on servers that are somebody else's; and what
//! the service says of itself when a server is away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tool.rs"]
#[allow(dead_code, reason = "each binary uses what it needs")]
mod tool;

mod external;
mod own_containers;
mod readiness;

use soundcheck::analysis::ways::{Way, ways};
use soundcheck::recording::event::FaultStep;
use soundcheck::recording::{Recording, What};
use soundcheck::verdict::ledger::{self, Overall};
use tokio::sync::Mutex;

/// Held while a report is made: two at once on two cores would measure each other.
static MEASURING: Mutex<()> = Mutex::const_new(());

/// Pass, an objective missed, or unknown: what a busy machine may make of a run that was carried out.
const CARRIED_OUT: [Option<i32>; 3] = [Some(0), Some(3), Some(4)];

/// The fault of a recording was injected, healed and seen to be healed.
#[track_caller]
fn check_fault(recording: &Recording, expected: &str) {
    let steps: Vec<FaultStep> = recording
        .events()
        .unwrap()
        .into_iter()
        .filter_map(|event| match event.what {
            What::Fault { name, step, .. } => {
                assert_eq!(name, expected);
                Some(step)
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        steps,
        [
            FaultStep::Injecting,
            FaultStep::Injected,
            FaultStep::Healing,
            FaultStep::Healed,
            FaultStep::Verified
        ]
    );
}

/// The ways of a recording, each with traffic in both directions; no invariant is broken.
#[track_caller]
fn check_ways(recording: &Recording, servers: &[&str]) -> Vec<Way> {
    let overall = ledger::verify(recording).unwrap().overall();
    assert_ne!(overall, Overall::Invalid);
    let fault = soundcheck::analysis::timeline::fault_window(&recording.events().unwrap());
    let ways = ways(&recording.series().unwrap(), fault);
    let names: Vec<&str> = ways.iter().map(|way| way.server.as_str()).collect();
    assert_eq!(names, servers);
    for way in &ways {
        let told = [way.connections, way.bytes_to_server, way.bytes_to_service];
        assert!(told.into_iter().all(|n| n.is_some_and(|n| n > 0.0)), "{way:?}");
    }
    let report = std::fs::read_to_string(recording.dir().join("report.md")).unwrap();
    assert!(report.contains("## Which way it went"), "{report}");
    for server in servers {
        assert!(report.contains(&format!("| {server} |")), "{report}");
    }
    ways
}
