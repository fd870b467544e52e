//! The faults of drills, by name, on the stack at hand.

use super::container::{ContainerFault, ContainerTrouble};
use super::contract::{Fault, FaultError};
use super::sqlite::SqliteLock;
use crate::plan::DrillFault;
use crate::stack::{Component, Stack};

/// The fault of a drill on this stack.
///
/// # Errors
/// When the stack has nothing to break in this way.
pub fn of(fault: DrillFault, stack: &dyn Stack, namespace: &str) -> Result<Box<dyn Fault>, FaultError> {
    let url = stack.direct_endpoints(namespace).database_url;
    match fault {
        DrillFault::MysqlPause => {
            let container = stack.container(Component::Database).ok_or(FaultError::NotHere {
                fault: fault.name(),
                needs: "a MySQL container of its own",
            })?;
            Ok(Box::new(ContainerFault {
                container,
                trouble: ContainerTrouble::Pause,
            }))
        }
        DrillFault::DatabaseLock if url.starts_with("sqlite:") => Ok(Box::new(SqliteLock { url })),
        DrillFault::DatabaseLock => Err(FaultError::NotHere {
            fault: fault.name(),
            needs: "an SQLite file",
        }),
    }
}
