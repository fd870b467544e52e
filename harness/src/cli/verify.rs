//! `soundcheck verify RUN`: judges the invariants of a recording anew, from its files alone.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::exit::{Exit, Failure, OrExit};
use super::stdout;
use crate::recording::Recording;
use crate::verdict::ledger::{self, Finding, LedgerReport, Overall, Step, VariantLedger, Verdict};

/// Arguments of `soundcheck verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a recording.
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `soundcheck verify`: 0 when every invariant holds, 5 when one is broken, 4 when nobody can say.
///
/// # Errors
/// A recording that cannot be read: damaged, edited, newer, or none at all.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let recording = Recording::open(&args.run).or_exit(Exit::Usage)?;
    let report = ledger::verify(&recording).or_exit(Exit::Usage)?;
    if args.json {
        stdout::line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        let notes = [recording.notes(), recording.derived_notes()].concat();
        stdout::put(&text(&report, &notes))?;
    }
    Ok(match report.overall() {
        Overall::Valid => Exit::Pass,
        Overall::Invalid => Exit::Broken,
        Overall::Unknown => Exit::Unknown,
    })
}

/// The report for a terminal; `notes` are about the recording as a whole.
fn text(report: &LedgerReport, notes: &[String]) -> String {
    let mut out = String::new();
    for note in notes {
        line(&mut out, &format!("note: {note}"));
    }
    for variant in &report.variants {
        tell_variant(&mut out, variant, notes);
    }
    line(
        &mut out,
        match report.overall() {
            Overall::Valid => "valid: every invariant that was put to the test holds",
            Overall::Invalid => "invalid: an invariant is broken",
            Overall::Unknown => "unknown: there is too little evidence",
        },
    );
    out
}

fn tell_variant(out: &mut String, variant: &VariantLedger, notes: &[String]) {
    line(
        out,
        &format!(
            "{}: {} operations, {} unsettled",
            variant.name, variant.operations, variant.unsettled
        ),
    );
    for finding in &variant.findings {
        tell_finding(out, finding);
    }
    for doubt in variant.doubts.iter().filter(|doubt| !notes.contains(doubt)) {
        line(out, &format!("  doubt: {doubt}"));
    }
}

fn tell_finding(out: &mut String, finding: &Finding) {
    let word = match &finding.verdict {
        Verdict::Valid => "valid",
        Verdict::Invalid { .. } => "INVALID",
        Verdict::Unknown { exercised: true, .. } => "unknown",
        Verdict::Unknown { exercised: false, .. } => "not tried",
    };
    let basis = if finding.basis.is_empty() {
        String::new()
    } else {
        format!(" ({})", finding.basis)
    };
    line(
        out,
        &format!(
            "  {:<4}{word:<11}{}{basis}",
            finding.invariant.id(),
            finding.invariant.promise()
        ),
    );
    match &finding.verdict {
        Verdict::Valid => {}
        Verdict::Unknown { reason, .. } => line(out, &format!("      {reason}")),
        Verdict::Invalid { reason, witness } => {
            line(out, &format!("      {reason}"));
            for step in witness {
                line(out, &format!("      {}", tell_step(step)));
            }
        }
    }
}

fn tell_step(step: &Step) -> String {
    match step.during {
        Some((invoked, returned)) => {
            format!(
                "{:9.3} s to {:9.3} s  {}",
                invoked.as_secs_f64(),
                returned.as_secs_f64(),
                step.text
            )
        }
        None => format!("in the end               {}", step.text),
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::recording::history::{IdemKey, OpKind, Operation, Settled, Uid};
    use crate::recording::model::{Environment, Manifest, Variant};
    use crate::recording::{RecordingWriter, RunClock, environment};
    use crate::units::Nanos;
    use crate::verdict::ledger::Invariant;

    fn record(dir: &Path, operations: &[Operation]) {
        let clock = RunClock::start().anchor();
        let mut manifest = Manifest::new("run", environment::tool(), 1, Environment::default(), clock);
        manifest.variants.push(Variant::named("base"));
        let writer = RecordingWriter::create(dir, &manifest).unwrap();
        let seat = writer.history().name("A1");
        for op in operations {
            writer.history().record(&Operation { seat, ..*op });
        }
        writer.close().unwrap();
    }

    fn exit_of(dir: &Path) -> Exit {
        let args = Args {
            run: dir.to_owned(),
            json: true,
        };
        run(&args).unwrap_or_else(|failure| failure.exit)
    }

    #[test]
    fn the_exit_code_tells_valid_broken_unknown_and_unreadable_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(exit_of(dir.path()), Exit::Usage, "no recording");
        record(dir.path(), &[]);
        assert_eq!(exit_of(dir.path()), Exit::Unknown, "nothing was done");
        std::fs::write(dir.path().join("events.jsonl"), "{}\n").unwrap();
        assert_eq!(exit_of(dir.path()), Exit::Usage, "edited");

        // One key, two answers: no final state is needed to see that.
        let dir = tempfile::tempdir().unwrap();
        let answer = |reservation| Operation {
            key: IdemKey(1),
            object: Uid::from_halves(reservation, 1),
            ..Operation::new(OpKind::Hold, 1, Nanos(reservation), Nanos(reservation + 1), Settled::Ok)
        };
        record(dir.path(), &[answer(1), answer(2)]);
        assert_eq!(exit_of(dir.path()), Exit::Broken);
    }

    #[test]
    fn a_terminal_shows_verdicts_reasons_and_witnesses() {
        let finding = |invariant, verdict, basis: &str| Finding {
            invariant,
            verdict,
            basis: basis.to_owned(),
        };
        let sold_twice = Verdict::Invalid {
            reason: "seat A1 was sold twice".to_owned(),
            witness: vec![
                Step {
                    during: Some((Nanos(1_000_000_000), Nanos(1_004_500_000))),
                    operation: Some(7),
                    text: "client 3: hold, seat A1 → ok (201)".to_owned(),
                },
                Step {
                    during: None,
                    operation: None,
                    text: "seat a1: sold by nobody".to_owned(),
                },
            ],
        };
        let unknown = |exercised| Verdict::Unknown {
            reason: "nobody looked".to_owned(),
            exercised,
        };
        let report = LedgerReport {
            variants: vec![VariantLedger {
                variant: 0,
                name: "base".to_owned(),
                operations: 12,
                unsettled: 1,
                findings: vec![
                    finding(Invariant::SeatSoldOnce, sold_twice, "2 holds"),
                    finding(Invariant::Money, Verdict::Valid, "3 users"),
                    finding(Invariant::Queue, unknown(true), ""),
                    finding(Invariant::Staleness, unknown(false), ""),
                ],
                doubts: vec!["cut off".to_owned(), "no fault was seen".to_owned()],
            }],
        };
        insta::assert_snapshot!(text(&report, &["cut off".to_owned()]), @r"
        note: cut off
        base: 12 operations, 1 unsettled
          I1  INVALID    a seat is sold once, and no two holds of it overlap (2 holds)
              seat A1 was sold twice
                  1.000 s to     1.004 s  client 3: hold, seat A1 → ok (201)
              in the end               seat a1: sold by nobody
          I2  valid      every balance is what it began with, plus charges, minus payments (3 users)
          I5  unknown    the queue keeps its order, its capacity and everyone in it
              nobody looked
          I8  not tried  the seat map shows a seat once, and never one that is gone for longer than promised
              nobody looked
          doubt: no fault was seen
        invalid: an invariant is broken
        ");
    }
}
