//! The faults of drills, by name, on the stack at hand.

use super::container::{ContainerFault, ContainerTrouble};
use super::contract::{Fault, FaultError};
use super::edge::EdgeTrouble;
use super::edges::Edges;
use super::proxy::{Conditions, Direction, Flow};
use super::sqlite::SqliteLock;
use crate::plan::DrillFault;
use crate::stack::{Component, Stack};

/// How the database of a stack is broken where nobody asks for another fault: the nearest to a server that hangs.
pub fn usual(stack: &dyn Stack) -> DrillFault {
    if stack.container(Component::Database).is_some() {
        DrillFault::MysqlPause
    } else if stack.direct_endpoints("").is_sqlite() {
        DrillFault::DatabaseLock
    } else {
        // The server is somebody else's and is left alone; the way to it is ours.
        DrillFault::MysqlStall
    }
}

/// The fault of a drill on this stack, whose edges are joined.
///
/// # Errors
/// When the stack has nothing to break in this way.
pub fn of(fault: DrillFault, stack: &dyn Stack, edges: &Edges, namespace: &str) -> Result<Box<dyn Fault>, FaultError> {
    let url = stack.direct_endpoints(namespace).database_url;
    let not_here = |needs| FaultError::NotHere {
        fault: fault.name(),
        needs,
    };
    match fault {
        DrillFault::MysqlPause => {
            let container = stack.container(Component::Database);
            Ok(Box::new(ContainerFault {
                container: container.ok_or_else(|| not_here("a MySQL container of its own"))?,
                trouble: ContainerTrouble::Pause,
            }))
        }
        DrillFault::MysqlStall => {
            let stalled = Conditions {
                flow: Flow::Stall,
                ..Conditions::default()
            };
            let both_ways = Direction::BOTH.map(|direction| (direction, stalled.clone()));
            let stall = edges.fault(Component::Database, EdgeTrouble::Conditions(both_ways.into()));
            Ok(Box::new(stall.ok_or_else(|| {
                not_here("a MySQL server in front of which a proxy can stand")
            })?))
        }
        DrillFault::DatabaseLock if url.starts_with("sqlite:") => Ok(Box::new(SqliteLock { url })),
        DrillFault::DatabaseLock => Err(not_here("an SQLite file")),
    }
}
