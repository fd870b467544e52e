//! The servers of a stack, for what is done to namespaces on them.

use super::component::{Component, Endpoints, StackKind};
use super::contract::Stack;
use super::error::StackError;
use crate::namespace::{self, NamespaceError, Server, Servers};
use crate::watchdog::{Entry, Undo, Watchdog};

impl Endpoints {
    /// The servers themselves; a database in a file is none.
    pub fn servers(&self) -> Servers {
        Servers {
            mysql: Some(self.database_url.clone()).filter(|url| url.starts_with("mysql:")),
            redis: self.redis_url.clone(),
            kafka: self.kafka_brokers.clone(),
        }
    }
}

impl From<NamespaceError> for StackError {
    fn from(error: NamespaceError) -> Self {
        Self::Namespace {
            component: match error.server {
                Server::MySql => Component::Database,
                Server::Redis => Component::Redis,
                Server::Kafka => Component::Kafka,
            },
            namespace: error.namespace,
            source: error.source,
        }
    }
}

/// Removes `namespace` wherever `endpoints` lead.
///
/// # Errors
/// A component refuses, or the name is none that could stand in a statement.
pub(super) async fn remove(endpoints: &Endpoints, namespace: &str) -> Result<(), StackError> {
    Ok(namespace::remove(&endpoints.servers(), namespace).await?)
}

/// A namespace of ours on a stack. One that is dropped without [`Self::remove`] is removed when this process ends, however
/// it does: with the stack where that is ours, and by the watchdog from servers that stay.
#[derive(Debug)]
pub struct NamespaceGuard {
    name: String,
    entry: Option<Entry>,
}

impl NamespaceGuard {
    /// To be called before anything of that name is created.
    ///
    /// # Errors
    /// The watchdog is gone.
    pub fn new(stack: &dyn Stack, name: &str, watchdog: &Watchdog) -> Result<Self, StackError> {
        let undo = || Undo::RemoveNamespace {
            servers: stack.direct_endpoints(name).servers(),
            namespace: name.to_owned(),
        };
        let is_to_stay = stack.kind() == StackKind::External;
        Ok(Self {
            name: name.to_owned(),
            entry: is_to_stay.then(|| watchdog.register(undo())).transpose()?,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes what was created.
    ///
    /// # Errors
    /// A component refuses; the watchdog will try once more.
    pub async fn remove(self, stack: &dyn Stack) -> Result<(), StackError> {
        stack.remove_namespace(&self.name).await?;
        Ok(self.entry.map_or(Ok(()), Entry::forget)?)
    }
}
