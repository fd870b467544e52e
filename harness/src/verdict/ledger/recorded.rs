//! The whole way: a simulated run written as a recording, read back and judged.

use std::fmt::Write as _;
use std::path::Path;

use super::finding::{Invariant, Overall, Verdict};
use super::judge::{staleness, verify};
use super::simulation::{Defect, Evidence, Size, ZERO_MS, simulate};
use crate::recording::audit::*;
use crate::recording::event::What;
use crate::recording::history::{Name, Operation};
use crate::recording::model::{ClockAnchor, Environment, Manifest, Tool, Variant};
use crate::recording::{Recording, RecordingWriter};
use crate::units::Nanos;

const SIZE: Size = Size {
    clients: 10,
    seats: 12,
    capacity: 4,
    steps: 1_200,
};

/// The id behind a simulated number.
fn id(name: Name) -> String {
    format!("id-{}", name.0)
}

fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
}

fn lower(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// The final state as the service prints it.
fn print(audit: &Audit) -> String {
    let mut out = String::new();
    let mut line = |value: serde_json::Value| writeln!(out, "{value}").unwrap();
    use serde_json::json;
    for row in &audit.users {
        line(json!({"kind": "user", "user_id": id(row.user), "initial": row.initial, "balance": row.balance}));
    }
    for row in &audit.ledger {
        line(json!({
            "kind": "ledger", "user_id": id(row.user), "entry": lower(row.entry), "amount": row.amount,
            "reservation_id": row.reservation.map(|id| id.to_string()), "idem_key": row.key.map(|key| key.to_string()),
        }));
    }
    for row in &audit.seats {
        line(json!({
            "kind": "seat", "seat_id": id(row.seat), "price": row.price, "status": lower(row.status),
            "reservation_id": row.reservation.map(|id| id.to_string()), "held_until": row.held_until_ms.map(moment),
        }));
    }
    for row in &audit.reservations {
        line(json!({
            "kind": "reservation", "reservation_id": row.reservation.to_string(), "user_id": id(row.user),
            "seat_id": id(row.seat), "status": lower(row.status), "amount": row.amount,
            "created_at": moment(row.created_ms), "expires_at": moment(row.expires_ms),
            "idem_key": row.key.map(|key| key.to_string()),
        }));
    }
    for row in &audit.payments {
        line(json!({
            "kind": "payment", "reservation_id": row.reservation.to_string(), "status": lower(row.status),
            "amount": row.amount, "completed_at": row.completed_ms.map(moment),
        }));
    }
    for row in &audit.outbox {
        line(json!({
            "kind": "outbox", "event_id": row.event.to_string(), "shard": row.shard, "seq": row.seq,
            "reservation_id": row.reservation.to_string(), "published": row.published,
        }));
    }
    for event in &audit.processed {
        line(json!({"kind": "processed", "event_id": event.to_string()}));
    }
    for row in &audit.tickets {
        line(json!({
            "kind": "ticket", "reservation_id": row.reservation.to_string(), "event_id": row.event.to_string(),
        }));
    }
    line(json!({"kind": "summary", "reservations": audit.reservations.len()}));
    out
}

fn record(dir: &Path, evidence: &Evidence, close: bool) -> Recording {
    let tool = Tool {
        version: "0.1.0".to_owned(),
        commit: None,
    };
    let anchor = ClockAnchor {
        unix_ns: ZERO_MS * 1_000_000,
        offsets: Vec::new(),
    };
    let mut manifest = Manifest::new("run", tool, 1, Environment::default(), anchor);
    manifest.variants.push(Variant {
        rules: evidence.rules.clone(),
        ..Variant::named("base")
    });
    let writer = RecordingWriter::create(dir, &manifest).unwrap();
    let history = writer.history();
    let name = |number: Name| number.some().map_or(Name::NONE, |number| history.name(&id(number)));
    for op in &evidence.operations {
        history.record(&Operation {
            user: name(op.user),
            seat: name(op.seat),
            ..*op
        });
    }
    let end = evidence.harness.audited.unwrap();
    let dead_letters = What::DeadLetters {
        variant: 0,
        listed: Vec::new(),
    };
    let drained = What::Drained {
        variant: 0,
        pending: Some(0),
        waited: Nanos(0),
    };
    let audited = What::FinalAudit {
        variant: 0,
        error: None,
    };
    for what in [drained, dead_letters, audited] {
        writer.event(end, what).unwrap();
    }
    writer.audit(0, &mut print(&evidence.audit).as_bytes()).unwrap();
    writer.flush().unwrap();
    if close {
        writer.close().unwrap();
    }
    Recording::open(dir).unwrap()
}

#[test]
fn a_clean_run_is_valid_from_its_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let evidence = simulate(1, SIZE, Defect::None);
    let recording = record(dir.path(), &evidence, true);
    let report = verify(&recording).unwrap();
    assert_eq!(report.overall(), Overall::Valid, "{report:#?}");
    assert_eq!(report.variants[0].operations, evidence.operations.len() as u64);
    let read = staleness(&recording).unwrap();
    assert_eq!(read.len(), 1, "one variant");
    assert!(!read[0].is_empty());
}

#[test]
fn a_broken_run_shows_a_witness_that_a_person_can_follow() {
    let dir = tempfile::tempdir().unwrap();
    let recording = record(dir.path(), &simulate(2, SIZE, Defect::Oversell), true);
    let report = verify(&recording).unwrap();
    assert_eq!(report.overall(), Overall::Invalid);
    let (variant, finding) = report.broken().next().unwrap();
    assert_eq!((variant, finding.invariant), ("base", Invariant::SeatSoldOnce));
    let Verdict::Invalid { reason, witness } = &finding.verdict else {
        panic!("{finding:?}")
    };
    assert!(reason.contains("seat id-10"), "the id that the service knows: {reason}");
    assert!((2..=5).contains(&witness.len()), "{witness:#?}");
    assert!(
        witness
            .windows(2)
            .all(|pair| pair[1].during.is_none() || pair[0].during <= pair[1].during)
    );
    assert!(
        witness[0].text.contains("for user id-") && witness[0].text.contains("hold, seat id-10"),
        "{witness:#?}"
    );
}

#[test]
fn an_incomplete_recording_accuses_nobody_by_its_history() {
    let dir = tempfile::tempdir().unwrap();
    let recording = record(dir.path(), &simulate(2, SIZE, Defect::Oversell), false);
    let report = verify(&recording).unwrap();
    let sold_once = &report.variants[0].findings[0];
    assert!(
        matches!(&sold_once.verdict, Verdict::Unknown { reason, .. } if reason.contains("incomplete")),
        "{sold_once:?}"
    );
    let clean = tempfile::tempdir().unwrap();
    let recording = record(clean.path(), &simulate(1, SIZE, Defect::None), false);
    assert_eq!(
        verify(&recording).unwrap().overall(),
        Overall::Unknown,
        "what was not closed may say too little"
    );
}

/// However much of the history or of the final state is left, verifying ends, and accuses nobody who was innocent.
#[test]
fn a_recording_cut_anywhere_accuses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let small = Size { steps: 150, ..SIZE };
    record(dir.path(), &simulate(3, small, Defect::None), true);
    for name in ["history.000.bin", "history.names", "audit.0.ndjson", "events.jsonl"] {
        let path = dir.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(37) {
            std::fs::write(&path, &whole[..length]).unwrap();
            let report = verify(&Recording::open(dir.path()).unwrap()).unwrap();
            assert_eq!(
                report.overall(),
                Overall::Unknown,
                "{name} cut at {length}: {report:#?}"
            );
        }
        std::fs::write(&path, whole).unwrap();
    }
}
