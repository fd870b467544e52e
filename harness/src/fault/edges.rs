//! The proxies of one service: one on every networked edge that can have one.
//!
//! They bind before the stack starts, since a broker advertises its proxy's address. What cannot be led through a
//! proxy is left as it is: a file, and brokers that somebody else configured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::contract::FaultError;
use super::edge::{EdgeFault, EdgeTrouble};
use super::proxy::Proxy;
use crate::stack::component::{address_of, with_address};
use crate::stack::{Component, Endpoints, Stack};

/// Proxies, bound and perhaps joined to their servers.
#[derive(Debug)]
pub struct Edges {
    proxies: BTreeMap<Component, Arc<Proxy>>,
    /// The URLs through the proxies, once they are joined.
    through: BTreeMap<Component, String>,
}

impl Edges {
    /// Binds a proxy for every component.
    ///
    /// # Errors
    /// No port is free.
    pub async fn bind(seed: u64) -> Result<Self, FaultError> {
        let mut proxies = BTreeMap::new();
        for (component, salt) in Component::ALL.into_iter().zip(0..) {
            // Far apart, so that no link of one proxy has the luck of another's.
            let proxy = Proxy::bind(seed.wrapping_add(salt << 48)).await?;
            proxies.insert(component, Arc::new(proxy));
        }
        Ok(Self {
            proxies,
            through: BTreeMap::new(),
        })
    }

    /// What the broker must advertise: for [`crate::stack::StackOptions::kafka_advertised`].
    pub fn kafka_advertised(&self) -> Option<SocketAddr> {
        self.proxies.get(&Component::Kafka).map(|proxy| proxy.address())
    }

    /// Joins the proxies to the servers of `stack`, and returns the endpoints that lead through them.
    ///
    /// # Errors
    /// A server's name cannot be looked up, or the proxies are joined already.
    pub async fn join(&mut self, stack: &dyn Stack, namespace: &str) -> Result<Endpoints, FaultError> {
        let servers = stack.upstream_endpoints(namespace);
        let mut endpoints = stack.service_endpoints(namespace);
        if let Some(url) = self.lead(Component::Database, Some(&servers.database_url)).await? {
            endpoints.database_url = url;
        }
        if let Some(url) = self.lead(Component::Redis, servers.redis_url.as_deref()).await? {
            endpoints.redis_url = Some(url);
        }
        if let Some(brokers) = self.lead(Component::Kafka, servers.kafka_brokers.as_deref()).await? {
            endpoints.kafka_brokers = Some(brokers);
        }
        Ok(endpoints)
    }

    /// Trouble on the way to a component; `None` where no proxy stands.
    pub fn fault(&self, component: Component, trouble: EdgeTrouble) -> Option<EdgeFault> {
        Some(EdgeFault {
            component,
            proxy: Arc::clone(self.proxies.get(&component)?),
            address: self.through.get(&component)?.clone(),
            trouble,
        })
    }

    /// The proxy in front of a component.
    pub fn proxy(&self, component: Component) -> Option<&Proxy> {
        self.proxies.get(&component).map(Arc::as_ref)
    }

    async fn lead(&mut self, component: Component, url: Option<&str>) -> Result<Option<String>, FaultError> {
        let (Some(url), Some(proxy)) = (url, self.proxies.get(&component)) else {
            return Ok(None);
        };
        let Some(address) = address_of(url) else {
            return Ok(None);
        };
        let not_found = |source| FaultError::Address {
            address: address.clone(),
            source,
        };
        let mut found = tokio::net::lookup_host(&address)
            .await
            .map_err(|error| not_found(Some(error)))?;
        // The proxy speaks to one address; a name's first IPv4 one, since servers listen there more often.
        let all: Vec<SocketAddr> = found.by_ref().collect();
        let server = all
            .iter()
            .find(|address| address.is_ipv4())
            .or(all.first())
            .ok_or_else(|| not_found(None))?;
        proxy.set_upstream(*server)?;
        let url = with_address(url, &proxy.address().to_string());
        self.through.insert(component, url.clone());
        Ok(Some(url))
    }
}
