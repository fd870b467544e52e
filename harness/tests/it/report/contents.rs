//! What a recording, and the report on it, must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use soundcheck::plan::{ExperimentPlan, offered_fact};
use soundcheck::recording::Recording;
use soundcheck::recording::event::{Event, FaultStep, What};
use soundcheck::report::{Block, Cell, Document, Table, kinds};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    MySql,
    Sqlite,
}

/// A recording read back.
struct Read {
    events: Vec<Event>,
    document: Document,
    plan: String,
    names: Vec<String>,
}

impl Read {
    fn of(folder: &Path) -> Self {
        let recording = Recording::open(folder).unwrap();
        assert!(recording.is_complete(), "{:?}", recording.notes());
        assert!(
            recording.manifest().tool.commit.is_some(),
            "nobody knows which build this was"
        );
        let manifest = recording.manifest();
        for place in 0..u16::try_from(manifest.variants.len()).unwrap() {
            let data = manifest.datasets.iter().filter(|data| data.variants.contains(&place));
            let hashes: Vec<&str> = data.map(|data| data.hash.as_str()).collect();
            assert!(
                matches!(hashes[..], [hash] if hash.starts_with("sha256:")),
                "{place}: {hashes:?}"
            );
        }
        let names = manifest.variants.iter().map(|variant| variant.name.clone());
        let document = kinds::document(&recording).unwrap();
        let generator = &document.badges.generator.detail;
        assert!(
            generator.contains("lateness p99 ") && !generator.contains("n/a"),
            "{generator}"
        );
        Self {
            events: recording.events().unwrap(),
            document,
            plan: recording.plan().unwrap().unwrap(),
            names: names.collect(),
        }
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.document.sections.iter().flat_map(|section| &section.blocks)
    }

    #[track_caller]
    fn table(&self, caption: &str) -> &Table {
        table(self.blocks(), caption)
    }

    /// Among what got worse.
    #[track_caller]
    fn worse(&self, caption: &str) -> &Table {
        table(self.document.got_worse.blocks().iter(), caption)
    }
}

#[track_caller]
fn table<'a>(mut blocks: impl Iterator<Item = &'a Block>, caption: &str) -> &'a Table {
    let found = blocks.find_map(|block| match block {
        Block::Table(table) if table.caption.contains(caption) => Some(table),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no table `{caption}`"))
}

/// The numbers of a column by the text of another.
#[track_caller]
fn column(table: &Table, keys: &str, values: &str) -> BTreeMap<String, Option<f64>> {
    let place = |title: &str| {
        let found = table.columns.iter().position(|column| column.title == title);
        found.unwrap_or_else(|| panic!("no column `{title}` in `{}`", table.caption))
    };
    let (key, value) = (place(keys), place(values));
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.to_plain(),
        other => panic!("{other:?} is no text"),
    };
    let number = |cell: &Cell| match cell {
        Cell::Number(number) => *number,
        other => panic!("{other:?} is no number"),
    };
    table
        .rows
        .iter()
        .map(|row| (text(&row[key]), number(&row[value])))
        .collect()
}

/// At least twelve blocks over three launches, every variant once in each, at the share of the slowest that was planned.
fn check_design(read: &Read) {
    let plan: ExperimentPlan = serde_yaml::from_str(&read.plan).unwrap();
    for group in &plan.groups {
        let place = |name: &str| read.names.iter().position(|known| known == name).unwrap();
        let own: BTreeSet<usize> = group.arms.iter().map(|arm| place(&arm.name)).collect();
        let mut blocks: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
        let mut launches = BTreeSet::new();
        let mut orders = BTreeSet::new();
        for event in &read.events {
            if let What::Slice(slice) = &event.what
                && own.contains(&usize::from(slice.variant))
            {
                assert!(blocks.entry(slice.block).or_default().insert(slice.variant.into()));
                launches.insert(slice.launch);
                orders.insert((slice.variant, slice.order));
            }
        }
        assert!(blocks.len() >= 12 && launches.len() >= 3, "{}", group.name);
        assert!(blocks.values().all(|variants| *variants == own), "{}", group.name);
        assert!(orders.len() > own.len(), "{}: the order never changes", group.name);

        let borne = read.events.iter().filter_map(|event| match &event.what {
            What::Probe { variant, achieved, .. } if own.contains(&usize::from(*variant)) => {
                achieved.map(|rate| rate.0)
            }
            _ => None,
        });
        let slowest = borne.fold(f64::INFINITY, f64::min);
        let offered = read.events.iter().find_map(|event| match &event.what {
            What::Fact { name, value, .. } if *name == offered_fact(&group.name) => Some(*value),
            _ => None,
        });
        assert!(
            (offered.unwrap() / slowest - plan.load.0 / 100.0).abs() < 1e-9,
            "{}",
            group.name
        );
    }
    // Each effect stands with its evidence or says what is missing.
    assert!(!read.document.effects.is_empty());
    for effect in &read.document.effects {
        assert!(effect.estimate.is_some() != effect.withheld.is_some(), "{effect:?}");
        assert!(effect.rounds >= Some(12) && effect.launches >= Some(3), "{effect:?}");
    }
}

/// Every write, the tail and the memory of every variant stand among what got worse, whatever they say.
fn check_costs(read: &Read) {
    let plan: ExperimentPlan = serde_yaml::from_str(&read.plan).unwrap();
    let items: Vec<String> = read
        .document
        .got_worse
        .blocks()
        .iter()
        .filter_map(|block| match block {
            Block::List { items, .. } => Some(items.iter().map(|item| item.to_plain())),
            _ => None,
        })
        .flatten()
        .collect();
    let memory = column(read.worse("Memory of the service"), "Variant", "Resident");
    for group in &plan.groups {
        let baseline = &group.arms[0].name;
        for arm in &group.arms {
            assert!(memory[&arm.name].is_some_and(|bytes| bytes > 1e6), "{memory:?}");
        }
        for arm in group.arms[1..].iter().filter(|arm| !arm.is_control()) {
            for of in ["hold p50", "hold p95", "cancel p50", "cancel p95", "seat map p99"] {
                let line = format!("{of}, {} against {baseline}: ", arm.name);
                assert!(items.iter().any(|item| item.starts_with(&line)), "{line}: {items:#?}");
            }
        }
    }
    // What only advises decides nothing.
    let tails: Vec<&String> = items.iter().filter(|item| item.contains(" p99, ")).collect();
    assert!(tails.iter().all(|item| item.ends_with("; advisory")), "{tails:#?}");
}

/// What the report does not answer, it says so.
fn check_not_tried(read: &Read, wanted: &[&str]) {
    let section = read
        .document
        .sections
        .iter()
        .find(|section| section.title == "Not tried here");
    let text = section
        .unwrap()
        .blocks
        .iter()
        .fold(String::new(), |text, block| match block {
            Block::List { items, .. } => items.iter().fold(text, |text, item| text + &item.to_plain() + "\n"),
            _ => text,
        });
    for part in wanted {
        assert!(text.contains(part), "{part}: {text}");
    }
}

pub(crate) fn check_cache(folder: &Path, engine: Engine) {
    let read = Read::of(folder);
    check_design(&read);
    check_costs(&read);
    check_not_tried(&read, &["stampede", "expires", "cold", "sold out", "Redis"]);
    let stale = read.table("For how long seats");
    for (name, looked_at) in column(stale, "Variant", "Seats looked at") {
        assert!(
            looked_at.is_some_and(|seats| seats > 0.0),
            "{name}: no seat map was sampled"
        );
    }
    let most = column(stale, "Variant", "At most");
    let promised = column(stale, "Variant", "Promised");
    for (name, most) in &most {
        assert!(most.unwrap() <= promised[name].unwrap(), "{name}: {most:?}");
    }
    let table = read.table("From the service's own counters");
    let hits = column(table, "Variant", "Hit ratio");
    let from_cache = column(table, "Variant", "From the cache");
    let reads = column(table, "Variant", "Reads per seat map");
    let counted = column(table, "Variant", "Counted by the server");
    let cached: &[&str] = match engine {
        Engine::MySql => &["redis", "tiered"],
        Engine::Sqlite => &["local"],
    };
    for name in cached {
        assert!(hits[*name].unwrap() > 0.0, "{name}: {hits:?}");
        assert!(reads[*name].unwrap() < reads["off"].unwrap(), "{name}: {reads:?}");
    }
    // Without a cache there is nothing to count: either both columns say so, or both say that there was no hit.
    assert_eq!(hits["off"], from_cache["off"]);
    let loaders = column(table, "Variant", "Loaders of one key at once, mean");
    let evictions = column(table, "Variant", "Evictions");
    for name in cached {
        assert!(loaders[*name].is_some_and(|mean| mean >= 1.0), "{name}: {loaders:?}");
        assert!(evictions[*name].is_some(), "{name}: {evictions:?}");
    }
    assert!(hits["off"].is_none_or(|ratio| ratio == 0.0), "{hits:?}");
    let redis = read.document.got_worse.blocks().iter().find_map(|block| match block {
        Block::Paragraph(text) => {
            Some(text.to_plain()).filter(|text| text.starts_with("Redis, which all variants share"))
        }
        _ => None,
    });
    assert_eq!(redis.is_some(), engine == Engine::MySql, "{redis:?}");
    assert!(redis.is_none_or(|text| !text.contains("n/a")));
    // Requests under way at an edge are counted on one side of it alone.
    assert!((reads["off"].unwrap() - 1.0).abs() < 0.1, "{reads:?}");
    assert!(
        counted
            .values()
            .all(|count| count.is_some() == (engine == Engine::MySql)),
        "{counted:?}"
    );
}

pub(crate) fn check_index(folder: &Path, engine: Engine) {
    let read = Read::of(folder);
    check_design(&read);
    check_costs(&read);
    check_not_tried(&read, &["cold buffer pool", "distributions", "refuses"]);
    let diffs: Vec<_> = read
        .blocks()
        .filter_map(|block| match block {
            Block::PlanDiff(diff) => Some(diff),
            _ => None,
        })
        .collect();
    let after: Vec<&str> = diffs.iter().map(|diff| diff.after_name.as_str()).collect();
    assert_eq!(after, ["status-schedule", "schedule-status", "covering"]);
    for diff in diffs {
        assert!(diff.digest.is_some(), "{diff:?}");
        let all = |lines: &[soundcheck::report::PlanLine]| {
            lines
                .iter()
                .map(|line| line.step.to_ascii_lowercase())
                .collect::<Vec<_>>()
                .join("\n")
        };
        let (before, after) = (all(&diff.before), all(&diff.after));
        assert!(before.contains("scan") && !before.contains("index"), "{before}");
        assert!(after.contains("index") && !after.contains("table scan"), "{after}");
    }
    let sizes = read.worse("Size of the indexes");
    for (index, more) in column(sizes, "Index", "More than without") {
        assert_eq!(more.unwrap() > 0.0, index != "none", "{index}: {more:?}");
    }
    let table = read.table("From the statement's own counters");
    let (evidence, most_with, least_without) = match engine {
        Engine::MySql => ("Examined per returned", 3.0, 5.0),
        Engine::Sqlite => ("Steps of one seat map", 20_000.0, 30_000.0),
    };
    let work = column(table, "Index", evidence);
    for (index, value) in &work {
        let value = value.unwrap_or_else(|| panic!("{index}: {work:?}"));
        if index.starts_with("none") {
            assert!(value >= least_without, "{work:?}");
        } else {
            assert!(value <= most_with, "{work:?}");
        }
    }
}

pub(crate) fn check_incident(folder: &Path, engine: Engine) {
    let read = Read::of(folder);
    let steps: Vec<FaultStep> = read
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Fault { name, step, .. } => {
                let expected = match engine {
                    Engine::MySql => "mysql.pause",
                    Engine::Sqlite => "database.lock",
                };
                assert_eq!(name, expected);
                Some(*step)
            }
            _ => None,
        })
        .collect();
    for step in [FaultStep::Injected, FaultStep::Healed, FaultStep::Verified] {
        assert!(steps.contains(&step), "{steps:?}");
    }
    let moments = read.table("Moments and durations");
    for row in &moments.rows {
        let [Cell::Text(what), Cell::Text(value), ..] = row.as_slice() else {
            panic!("{row:?}");
        };
        assert!(
            !value.to_plain().contains("n/a"),
            "{}: {}",
            what.to_plain(),
            value.to_plain()
        );
    }
    let seconds = |wanted: &str| -> f64 {
        let of_row = |row: &Vec<Cell>| match row.as_slice() {
            [Cell::Text(what), Cell::Text(value), ..] if what.to_plain() == wanted => Some(value.to_plain()),
            _ => None,
        };
        let text = moments.rows.iter().find_map(of_row).unwrap();
        text.strip_suffix(" s").unwrap().parse().unwrap()
    };
    // From the heal, and not from the end of the load, behind which the run waits for the last hold to end.
    let consistent = seconds("Time to consistency");
    assert_eq!(consistent, seconds("Tickets caught up").max(seconds("Holds caught up")));
    assert!((0.0..15.0).contains(&consistent), "{consistent}");
    // Ten seconds as planned, less the time that it takes to inject, and the time that it takes to heal.
    let lasted = read.document.title.rsplit(" for ").next().unwrap();
    let lasted: f64 = lasted.strip_suffix(" s").unwrap().parse().unwrap();
    assert!((9.0..20.0).contains(&lasted), "{}", read.document.title);
    let radius = read.table("Requests by endpoint");
    let during = column(radius, "Endpoint", "Failed during");
    assert!(
        during.values().any(|share| share.is_some_and(|share| share > 0.0)),
        "{during:?}"
    );
    let log = fs::read_to_string(folder.join("slowest.ndjson")).unwrap();
    check_slowest(read.table("The slowest requests"), &log);
    let books: Vec<_> = read
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Accounting { counts, .. } => Some(*counts),
            _ => None,
        })
        .collect();
    assert!(books.iter().all(|counts| counts.imbalances().is_empty()));
    assert!(books.iter().map(|counts| counts.scheduled).sum::<u64>() > 100);
}

/// Each is found by its trace. Who waited for a database that did not answer leads them, for as long as the service allows.
fn check_slowest(slowest: &Table, log: &str) {
    let rows = slowest.rows.iter().map(|row| match row.as_slice() {
        [
            _,
            Cell::Text(outcome),
            Cell::Number(Some(_)),
            Cell::Number(Some(took)),
            Cell::Text(trace),
            Cell::Text(span),
        ] => (outcome.to_plain(), *took, trace.to_plain(), span.to_plain()),
        _ => panic!("{row:?}"),
    });
    let rows: Vec<(String, f64, String, String)> = rows.collect();
    assert!(rows.is_sorted_by(|a, b| a.1 >= b.1), "{rows:?}");
    for (_, _, trace, span) in &rows {
        let is_id = |id: &str, digits| id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_id(trace, 32) && is_id(span, 16), "{rows:?}");
        assert!(log.contains(trace), "the service's log says nothing of {trace}: {log}");
    }
    let (outcome, took, ..) = &rows[0];
    let was_not_served = matches!(outcome.as_str(), "error" | "time-out");
    assert!(was_not_served && (1.0..10.0).contains(took), "{rows:?}");
}
