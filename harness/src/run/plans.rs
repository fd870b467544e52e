//! The plan of the seat map, under each index: explained from the statement that the service really executed.

use std::path::Path;
use std::time::Duration;

use super::arm::LiveArm;
use super::bench::Bench;
use super::error::RunError;
use crate::analysis::plan::PlanNode;
use crate::recording::event::{NoteLevel, What};
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::ScrapeError;
use crate::scrape::mysql_plan::MySqlPlans;
use crate::scrape::sqlite_plan::{Parameter, SqlitePlans};
use crate::stack::StackKind;

/// Long enough to see the seat map under load, short against a probe.
const WINDOW: Duration = Duration::from_millis(300);
/// SQLite shows nobody what it executed, so the statement is the one that the service's documentation names.
const SEAT_MAP: &str = "SELECT id, number, price FROM seats WHERE schedule_id = ? AND status = 0 ORDER BY number";

/// A statement and its plan, and what it took where the engine counts that.
#[derive(Debug)]
pub(super) struct Seen {
    statement: String,
    digest: Option<String>,
    text: String,
    vm_steps: Option<u64>,
}

/// Looks at the plan while the arm is under load. What cannot be seen is a note in the recording, not an error: the
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
    let direct = bench.stack.direct_endpoints(&arm.namespace);
    let seen = match direct.database_url.strip_prefix("sqlite://") {
        Some(file) => sqlite(Path::new(file)).await.map(Some),
        // Watching statements switches the server's general log on and empties it: only where the server is ours.
        None if bench.stack.kind() == StackKind::Containers => mysql(&direct.database_url, &arm.namespace).await,
        None => Ok(None),
    };
    match seen {
        Ok(Some(seen)) => {
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
        Ok(None) => {
            recording.note(
                clock.now(),
                NoteLevel::Warning,
                format!(
                    "{}: the seat map was not seen being executed, so there is no plan of it",
                    arm.name
                ),
            )?;
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

async fn mysql(url: &str, schema: &str) -> Result<Option<Seen>, ScrapeError> {
    let plans = MySqlPlans::new(url, schema)?;
    let executed = plans.capture(WINDOW).await?;
    let seat_map = executed.iter().find(|executed| {
        let text = executed.digest_text.to_ascii_lowercase();
        text.contains("`seats`")
            && text.contains("`number`")
            && text.contains("`schedule_id`")
            && text.contains("order by")
    });
    let Some(seat_map) = seat_map else { return Ok(None) };
    let explained = plans.explain(seat_map).await?;
    Ok(Some(Seen {
        statement: explained.statement,
        digest: explained.is_executed_digest.then_some(explained.digest_text),
        text: explained.text,
        vm_steps: None,
    }))
}

async fn sqlite(file: &Path) -> Result<Seen, ScrapeError> {
    let mut plans = SqlitePlans::open(file).await?;
    let explained = plans.explain(SEAT_MAP, &[Parameter::Integer(1)]).await?;
    let mut text = String::new();
    explained.plan.walk(0, &mut |depth, node: &PlanNode| {
        text.push_str(&format!("{}-> {}\n", "    ".repeat(depth), node.operation));
    });
    Ok(Seen {
        statement: explained.statement,
        digest: None,
        text,
        vm_steps: Some(explained.vm_steps),
    })
}
