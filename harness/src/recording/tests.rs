//! A whole recording: written, read back, cut, edited, damaged.

use std::fs;
use std::path::Path;

use super::event::{NoteLevel, What};
use super::history::Names;
use super::history::{OpKind, Settled};
use super::model::{ClockAnchor, DataFacts, Environment, Tool, Variant};
use super::sample::{Clock, Endpoint, Outcome, Tag};
use super::store::{EVENTS_FILE, LATENCY_FILE, MANIFEST_FILE, PLAN_FILE, SERIES_FILE};
use super::store::{RecordingWriter, VERDICT_FILE, put_derived};
use super::{Manifest, Operation, RecordError, Recording, SeriesKind};
use crate::units::Nanos;

/// A small recording with something in every file.
fn record(dir: &Path) -> RecordingWriter {
    let tool = Tool {
        version: "0.1.0".to_owned(),
        commit: None,
    };
    let anchor = ClockAnchor {
        unix_ns: 0,
        offsets: Vec::new(),
    };
    let mut manifest = Manifest::new("run", tool, 42, Environment::default(), anchor);
    manifest.variants.push(Variant::named("base"));
    let writer = RecordingWriter::create(dir, &manifest).unwrap();
    writer.put(PLAN_FILE, b"kind: run\n").unwrap();
    let tag = Tag {
        variant: "base".to_owned(),
        endpoint: Endpoint::Hold,
        outcome: Outcome::Won,
        clock: Clock::Service,
    };
    let mut histogram = super::hlog::empty_histogram();
    histogram.record(1_000_000).unwrap();
    for second in 0..3_u64 {
        let t = Nanos(second * 1_000_000_000);
        writer.note(t, NoteLevel::Info, format!("second {second}")).unwrap();
        writer
            .interval(t, std::time::Duration::from_secs(1), &tag, &histogram)
            .unwrap();
        let mut series = writer.series();
        let up = series
            .define("service:base", "up", &Default::default(), SeriesKind::Gauge)
            .unwrap();
        series.sample(t, "service:base", &[(up, 1.0)]).unwrap();
        drop(series);
        let history = writer.history();
        let user = history.name(&format!("user {second}"));
        history.record(&Operation {
            user,
            ..Operation::new(OpKind::Hold, 1, t, t, Settled::Ok)
        });
    }
    writer
        .audit(
            0,
            &mut &b"{\"kind\":\"processed\",\"event_id\":\"e\"}\n{\"kind\":\"summary\"}\n"[..],
        )
        .unwrap();
    writer.flush().unwrap();
    writer
}

/// Reads everything, as `render` and `verify` do.
fn read_all(dir: &Path) -> Result<(Recording, [usize; 5]), RecordError> {
    let recording = Recording::open(dir)?;
    let mut history = recording.history()?;
    let mut operations = 0;
    history.scan(|_, _| operations += 1)?;
    let mut histograms = 0;
    for interval in recording.latency()?.intervals() {
        interval?.histogram()?;
        histograms += 1;
    }
    let series = recording.series()?;
    let points = series.iter().map(|one| series.points(one).count()).sum();
    let audit = recording.audit(0, history.names_mut())?;
    let counts = [
        recording.events()?.len(),
        histograms,
        points,
        operations,
        audit.map_or(0, |audit| audit.processed.len()),
    ];
    Ok((recording, counts))
}

#[test]
fn what_was_written_is_read_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path()).close().unwrap();
    let (recording, counts) = read_all(dir.path()).unwrap();
    assert_eq!(counts, [3, 3, 3, 3, 1]);
    assert!(recording.is_complete());
    assert_eq!(recording.notes(), &[] as &[String]);
    assert_eq!(recording.plan().unwrap().as_deref(), Some("kind: run\n"));
    assert_eq!(recording.manifest().variant_name(0), "base");
    assert!(matches!(&recording.events().unwrap()[2].what, What::Note { text, .. } if text == "second 2"));
    let second = RecordingWriter::create(dir.path(), recording.manifest()).unwrap_err();
    assert!(second.to_string().contains("already holds files"), "{second}");
}

#[test]
fn a_run_that_never_ended_keeps_what_it_flushed_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // Dropping without closing is what a panic does; a kill leaves the same files, since all was flushed.
    drop(record(dir.path()));
    let (recording, counts) = read_all(dir.path()).unwrap();
    assert_eq!(counts, [3, 3, 3, 3, 1]);
    assert!(!recording.is_complete());
    assert!(recording.notes()[0].contains("never closed"), "{:?}", recording.notes());
}

/// Every file that grows, cut at every byte, closed and unclosed: always readable, always said.
#[test]
fn a_recording_cut_at_any_byte_is_read_as_far_as_it_goes() {
    for closed in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let writer = record(dir.path());
        if closed {
            writer.close().unwrap();
        }
        let files = [
            EVENTS_FILE,
            LATENCY_FILE,
            SERIES_FILE,
            "history.names",
            "history.000.bin",
            "audit.0.ndjson",
        ];
        for name in files {
            let path = dir.path().join(name);
            let whole = fs::read(&path).unwrap();
            for length in 0..whole.len() {
                fs::write(&path, &whole[..length]).unwrap();
                let (recording, counts) = read_all(dir.path())
                    .unwrap_or_else(|error| panic!("{name} cut at {length}, closed {closed}: {error}"));
                assert!(!recording.is_complete());
                if closed {
                    let note = recording.notes().iter().find(|note| note.contains(name));
                    assert!(note.is_some(), "{name} cut at {length}: {:?}", recording.notes());
                }
                assert!(
                    counts.iter().filter(|&&count| count < 3).count() <= 2,
                    "only {name} suffers: {counts:?}"
                );
            }
            fs::write(&path, &whole).unwrap();
        }
    }
}

#[test]
fn a_manifest_or_checksums_cut_at_any_byte_are_named() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path()).close().unwrap();
    for name in [MANIFEST_FILE, "checksums.json"] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        // The last byte is a line feed or a bracket; without the former nothing is lost.
        for length in 0..whole.len() - 1 {
            fs::write(&path, &whole[..length]).unwrap();
            let error = Recording::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(name), "{name} cut at {length}: {error}");
        }
        fs::write(&path, &whole).unwrap();
    }
    read_all(dir.path()).unwrap();
}

#[test]
fn a_missing_file_is_said() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path()).close().unwrap();
    fs::remove_file(dir.path().join("audit.0.ndjson")).unwrap();
    let recording = Recording::open(dir.path()).unwrap();
    assert_eq!(recording.notes(), ["audit.0.ndjson is missing"]);
    assert!(recording.audit(0, &mut Names::default()).unwrap().is_none());
    fs::remove_file(dir.path().join(MANIFEST_FILE)).unwrap();
    let error = Recording::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("has no manifest.json"), "{error}");
}

#[test]
fn a_newer_recording_is_refused_with_the_version_to_use() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path()).close().unwrap();
    let newer = "{\"schema_version\": 9, \"tool\": {\"version\": \"7.1.0\"}, \"shape\": \"unheard of\"}";
    fs::write(dir.path().join(MANIFEST_FILE), newer).unwrap();
    let error = Recording::open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("format 9") && error.contains("7.1.0") && error.contains("reads up to format 1"),
        "{error}"
    );
}

/// One changed byte anywhere in what was measured is noticed; in what was derived it is only noted.
#[test]
fn an_edited_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let writer = record(dir.path());
    writer.put("report.md", b"won: 3\n").unwrap();
    writer.close().unwrap();
    put_derived(dir.path(), VERDICT_FILE, b"{}\n").unwrap();
    assert_eq!(Recording::open(dir.path()).unwrap().notes(), &[] as &[String]);

    for name in [
        EVENTS_FILE,
        LATENCY_FILE,
        SERIES_FILE,
        "history.000.bin",
        "audit.0.ndjson",
        PLAN_FILE,
    ] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut edited = whole.clone();
            edited[at] ^= 1;
            fs::write(&path, edited).unwrap();
            let error = Recording::open(dir.path()).unwrap_err();
            assert!(
                matches!(&error, RecordError::Edited { files, .. } if files[0].starts_with(name)),
                "{error}"
            );
        }
        fs::write(&path, whole).unwrap();
    }
    fs::write(dir.path().join("report.md"), "won: 4\n").unwrap();
    let recording = Recording::open(dir.path()).unwrap();
    assert_eq!(recording.notes(), &[] as &[String]);
    let noted = recording.derived_notes();
    assert!(
        noted.len() == 1 && noted[0].contains("report.md was edited"),
        "{noted:?}"
    );
}

/// Without checksums, nothing says what the bytes were; whatever they are, reading ends in a value or an error.
#[test]
fn damage_in_an_unclosed_recording_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    drop(record(dir.path()));
    for name in [
        MANIFEST_FILE,
        EVENTS_FILE,
        LATENCY_FILE,
        SERIES_FILE,
        "history.names",
        "history.000.bin",
    ] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        for (at, flip) in (0..whole.len()).flat_map(|at| [(at, 0x01), (at, 0x80), (at, 0xff)]) {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            fs::write(&path, damaged).unwrap();
            let _either = read_all(dir.path());
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_name_outside_the_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let writer = record(dir.path());
    for name in ["../x", "/etc/x", "", "charts/../../x"] {
        assert!(matches!(writer.put(name, b""), Err(RecordError::Outside(_))), "{name}");
    }
    writer.put("charts/latency.svg", b"<svg/>").unwrap();
}

#[test]
fn data_is_told_by_variant_and_an_older_manifest_with_one_set_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    let writer = record(dir.path());
    let facts = |variants: &[u16], seats| DataFacts {
        variants: variants.to_vec(),
        seed: 1,
        users: 2,
        concerts: 3,
        schedules: 4,
        seats,
        hash: format!("sha256:{seats}"),
    };
    writer
        .update_manifest(|manifest| manifest.datasets = vec![facts(&[0], 10), facts(&[1], 20)])
        .unwrap();
    writer.close().unwrap();
    let recording = Recording::open(dir.path()).unwrap();
    let seats = |variant| recording.manifest().data_of(variant).map(|data| data.seats);
    assert_eq!([seats(0), seats(1), seats(2)], [Some(10), Some(20), None]);

    // As it was written before: one set for whatever there is, without its variants.
    let mut older = serde_json::to_value(recording.manifest()).unwrap();
    older.as_object_mut().unwrap().remove("datasets");
    older["data"] = serde_json::json!({
        "seed": 1, "users": 2, "concerts": 3, "schedules": 4, "seats": 30, "hash": "sha256:30",
    });
    let older: Manifest = serde_json::from_value(older).unwrap();
    assert_eq!(older.data_of(1).map(|data| data.seats), Some(30));
}
