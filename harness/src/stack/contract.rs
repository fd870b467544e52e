//! What every stack offers.

use std::fmt::Debug;

use futures::future::BoxFuture;

use super::component::{Component, Endpoints, EngineInfo, StackKind};
use super::embedded::MockBroker;
use super::error::StackError;
use crate::daemon::Daemon;

/// A container of a stack, for faults.
#[derive(Clone, Debug)]
pub struct ContainerHandle {
    pub daemon: Daemon,
    pub component: Component,
    /// Its name at the daemon.
    pub name: String,
    /// Where the harness asks whether it works.
    pub address: String,
}

/// Running components, and who removes them.
///
/// Dropping a stack removes it as well, but cannot tell whether that worked: call [`Stack::close`].
pub trait Stack: Debug + Send + Sync {
    /// Which kind.
    fn kind(&self) -> StackKind;

    /// What to give to the service for its `namespace`. Only the embedded stack tells namespaces apart here, by file;
    /// on the others the service itself does, by schema and prefix.
    fn service_endpoints(&self, namespace: &str) -> Endpoints;

    /// The servers themselves, for a proxy to stand in front of: at these addresses, and no broker where clients would
    /// be sent past the proxy.
    fn upstream_endpoints(&self, namespace: &str) -> Endpoints;

    /// How the harness reaches the same components: past every proxy, and as an administrator.
    fn direct_endpoints(&self, namespace: &str) -> Endpoints;

    /// Engines, versions and image digests, for the manifest.
    fn engines(&self) -> &[EngineInfo];

    /// The container of a component, where it is ours.
    fn container(&self, component: Component) -> Option<ContainerHandle>;

    /// The mock broker, on the embedded stack.
    fn mock_broker(&self) -> Option<MockBroker>;

    /// Removes what a namespace left: schema, keys and topics, or the file. One that never was is no error.
    fn remove_namespace<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<(), StackError>>;

    /// Removes everything that opening the stack created.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), StackError>>;
}
