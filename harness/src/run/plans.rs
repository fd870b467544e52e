//! The plan of the seat map, under each index: explained from the statement that the service really executed.

use std::path::Path;
use std::time::{Duration, Instant};

use super::arm::LiveArm;
use super::bench::Bench;
use super::error::RunError;
use crate::analysis::digest::is_seat_map;
use crate::analysis::plan::PlanNode;
use crate::plan::INDEXES;
use crate::recording::event::{NoteLevel, What};
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::ScrapeError;
use crate::scrape::mysql_plan::MySqlPlans;
use crate::scrape::sqlite_plan::SqlitePlans;
use crate::stack::StackKind;
use crate::units::Bytes;

const TABLE: &str = "seats";

/// Long enough to see the seat map under load, short against a probe.
const WINDOW: Duration = Duration::from_millis(300);
/// The load lasts longer; what it has not executed by then it does not execute.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

const NOT_OURS: &str = "nobody looked for a plan of the seat map: that takes the server's general log, which is switched on only on a server that was started for this run";
const NOT_EXECUTED: &str = "the seat map was not seen being executed, so there is no plan of it";

/// What came of looking for the seat map's statement: that, or why there is no plan of it.
type Look = Result<Seen, &'static str>;

/// A statement and its plan, and what it took where the engine counts that.
#[derive(Debug)]
pub(super) struct Seen {
    statement: String,
    digest: Option<String>,
    text: String,
    vm_steps: Option<u64>,
}

/// The level of logging at which the service tells its statements: for a launch of which nothing is measured.
pub(super) const TELLING: &str = "info,sqlx::query=debug";

/// Looks at the plan while the arm is under load and tells its statements. What cannot be seen is a note in the recording, not an error: the
/// measurements stand without it, and the report says that the plan is missing.
///
/// # Errors
/// When the recording cannot be written.
pub(super) async fn record(
    bench: &Bench<'_>,
    arm: &LiveArm,
    recording: &RecordingWriter,
    clock: RunClock,
) -> Result<(), RunError> {
    let direct = bench.stack.direct_endpoints(arm.namespace());
    let seen = match direct.database_url.strip_prefix("sqlite://") {
        Some(file) => sqlite(Path::new(file), arm).await,
        // Watching statements switches the server's general log on and empties it: only where the server is ours.
        None if bench.stack.kind() == StackKind::Containers => mysql(&direct.database_url, arm.namespace()).await,
        None => Ok(Err(NOT_OURS)),
    };
    match seen {
        Ok(Ok(seen)) => {
            let what = What::Plan {
                variant: arm.place,
                statement: seen.statement,
                digest: seen.digest,
                text: seen.text,
            };
            recording.event(clock.now(), what)?;
            if let Some(steps) = seen.vm_steps {
                let name = "virtual-machine steps of one seat map".to_owned();
                let what = What::Fact {
                    variant: Some(arm.place),
                    name,
                    value: steps as f64,
                    unit: "steps".to_owned(),
                };
                recording.event(clock.now(), what)?;
            }
        }
        Ok(Err(why)) => {
            recording.note(clock.now(), NoteLevel::Warning, format!("{}: {why}", arm.name))?;
        }
        Err(error) => {
            recording.note(
                clock.now(),
                NoteLevel::Warning,
                format!("{}: no plan of the seat map: {}", arm.name, error.chain()),
            )?;
        }
    }
    Ok(())
}

/// Writes down how much the indexes of the seats take. What cannot be read is a note, as with plans.
///
/// # Errors
/// When the recording cannot be written.
pub(super) async fn record_size(
    bench: &Bench<'_>,
    arm: &LiveArm,
    recording: &RecordingWriter,
    clock: RunClock,
) -> Result<(), RunError> {
    let direct = bench.stack.direct_endpoints(arm.namespace());
    let size = match direct.database_url.strip_prefix("sqlite://") {
        Some(file) => match SqlitePlans::open(Path::new(file)).await {
            Ok(mut plans) => plans.index_bytes(TABLE).await.map(Some),
            Err(error) => Err(error),
        },
        None => match MySqlPlans::new(&direct.database_url, arm.namespace()) {
            Ok(plans) => plans.index_bytes(TABLE).await,
            Err(error) => Err(error),
        },
    };
    match size {
        Ok(size) => recording.event(
            clock.now(),
            What::Size {
                variant: arm.place,
                of: INDEXES.to_owned(),
                rows: None,
                size: size.map(Bytes),
            },
        )?,
        Err(error) => {
            let text = format!("{}: the size of its indexes is unknown: {}", arm.name, error.chain());
            recording.note(clock.now(), NoteLevel::Warning, text)?;
        }
    }
    Ok(())
}

async fn mysql(url: &str, schema: &str) -> Result<Look, ScrapeError> {
    let plans = MySqlPlans::new(url, schema)?;
    let executed = plans.capture(WINDOW).await?;
    let seat_map = executed.iter().find(|executed| is_seat_map(&executed.digest_text));
    let Some(seat_map) = seat_map else {
        return Ok(Err(NOT_EXECUTED));
    };
    let explained = plans.explain(seat_map).await?;
    Ok(Ok(Seen {
        statement: explained.statement,
        digest: explained.is_executed_digest.then_some(explained.digest_text),
        text: explained.text,
        vm_steps: None,
    }))
}

/// SQLite shows nobody what it executed, but the service tells its log when it is asked to.
async fn sqlite(file: &Path, arm: &LiveArm) -> Result<Look, ScrapeError> {
    let deadline = Instant::now() + TOLD_WITHIN;
    let statement = loop {
        let path = arm.log();
        let log = tokio::fs::read_to_string(&path).await;
        let log = log.map_err(|source| ScrapeError::Read {
            path: path.display().to_string(),
            source,
        })?;
        if let Some(statement) = log.lines().filter_map(logged_statement).find(|text| is_seat_map(text)) {
            break statement;
        }
        if Instant::now() >= deadline {
            return Ok(Err(NOT_EXECUTED));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let mut plans = SqlitePlans::open(file).await?;
    let Some(schedule) = plans.value_of(TABLE, "schedule_id").await? else {
        return Ok(Err(NOT_EXECUTED));
    };
    let explained = plans.explain(&statement, &[schedule]).await?;
    let mut text = String::new();
    explained.plan.walk(0, &mut |depth, node: &PlanNode| {
        text.push_str(&format!("{}-> {}\n", "    ".repeat(depth), node.operation));
    });
    Ok(Ok(Seen {
        digest: Some(explained.statement.clone()),
        statement: explained.statement,
        text,
        vm_steps: Some(explained.vm_steps),
    }))
}

/// The statement in a line of the service's log, with its parameters as `?`. Short ones stand in the summary alone.
fn logged_statement(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line.get("target")?.as_str()? != "sqlx::query" {
        return None;
    }
    let field = |name: &str| line.get(name).and_then(serde_json::Value::as_str).map(str::trim);
    field("db.statement")
        .filter(|text| !text.is_empty())
        .or_else(|| field("summary"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_nobody_looked_into_is_not_one_that_executed_nothing() {
        assert!(NOT_OURS.starts_with("nobody looked for a plan"));
        assert!(NOT_EXECUTED.contains("not seen being executed"));
    }

    #[test]
    fn statements_are_found_among_the_lines_of_a_log() {
        let long = r#"{"level":"DEBUG","target":"sqlx::query","summary":"SELECT id, number, price …","db.statement":"\n\nSELECT id, number, price FROM seats WHERE schedule_id = ? AND status = 0 ORDER BY number\n","rows_returned":200}"#;
        let found = logged_statement(long).unwrap();
        assert_eq!(
            found,
            "SELECT id, number, price FROM seats WHERE schedule_id = ? AND status = 0 ORDER BY number"
        );
        let short = r#"{"target":"sqlx::query","summary":"COMMIT","db.statement":""}"#;
        assert_eq!(logged_statement(short).as_deref(), Some("COMMIT"));
        assert_eq!(logged_statement(r#"{"target":"request","summary":"x"}"#), None);
        assert_eq!(logged_statement("not json"), None);
    }
}
