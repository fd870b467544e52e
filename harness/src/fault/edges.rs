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

/// Proxies, bound and perhaps joined to their servers; by default none.
#[derive(Debug, Default)]
pub struct Edges {
    proxies: BTreeMap<Component, Arc<Proxy>>,
    /// The URLs through the proxies, once they are joined.
    through: BTreeMap<Component, String>,
    /// What is reached past the proxies, and why.
    past: BTreeMap<Component, &'static str>,
}

/// How a component is reached.
enum Way {
    Through(String),
    Past(&'static str),
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
            past: BTreeMap::new(),
        })
    }

    /// What the broker must advertise: for [`crate::stack::StackOptions::kafka_advertised`].
    pub fn kafka_advertised(&self) -> Option<SocketAddr> {
        self.proxies.get(&Component::Kafka).map(|proxy| proxy.address())
    }

    /// Joins the proxies to the servers of `stack`, and returns the endpoints that lead through them. The same stack may
    /// be joined again.
    ///
    /// # Errors
    /// A server's name cannot be looked up, or the proxies are joined to another.
    pub async fn join(&mut self, stack: &dyn Stack, namespace: &str) -> Result<Endpoints, FaultError> {
        let servers = stack.upstream_endpoints(namespace);
        let mut endpoints = stack.service_endpoints(namespace);
        for component in Component::ALL {
            if endpoints.url(component).is_none() {
                continue;
            }
            match self.lead(component, servers.url(component)).await? {
                Way::Through(url) => {
                    self.through.insert(component, url.clone());
                    endpoints.set_url(component, url);
                }
                Way::Past(why) => {
                    self.past.insert(component, why);
                }
            }
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

    /// The proxies that stand in front of a server.
    pub fn joined(&self) -> impl Iterator<Item = (Component, Arc<Proxy>)> {
        let through = self.through.keys();
        through.filter_map(|component| Some((*component, Arc::clone(self.proxies.get(component)?))))
    }

    /// What the service reaches past every proxy, and why no proxy can stand there.
    pub fn past(&self) -> impl Iterator<Item = (Component, &'static str)> {
        self.past.iter().map(|(component, why)| (*component, *why))
    }

    async fn lead(&self, component: Component, url: Option<&str>) -> Result<Way, FaultError> {
        let (url, address) = match reachable(url) {
            Ok(found) => found,
            Err(why) => return Ok(Way::Past(why)),
        };
        let Some(proxy) = self.proxies.get(&component) else {
            return Ok(Way::Past("it has no proxy"));
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
        Ok(Way::Through(with_address(url, &proxy.address().to_string())))
    }
}

/// A server's URL and its address, or why no proxy can stand in front of it.
fn reachable(url: Option<&str>) -> Result<(&str, String), &'static str> {
    let url = url.ok_or("its brokers send clients to addresses of their own")?;
    // The name in the certificate is the server's; behind a proxy it would be another's.
    if url.starts_with("rediss:") || url.to_ascii_lowercase().contains("verify_identity") {
        return Err("its certificate is checked against the server's own name");
    }
    match address_of(url) {
        Some(address) => Ok((url, address)),
        None if url.starts_with("sqlite:") => Err("it is a file"),
        None => Err("it has more than one address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_led_through_a_proxy_says_why() {
        assert_eq!(reachable(Some("redis://h")), Ok(("redis://h", "h:6379".to_owned())));
        for (url, why) in [
            (None, "addresses of their own"),
            (Some("sqlite:///tmp/a.db"), "a file"),
            (Some("a:1,b:2"), "more than one"),
            (Some("rediss://h:1"), "certificate"),
            (Some("mysql://root@h:1/?ssl-mode=VERIFY_IDENTITY"), "certificate"),
        ] {
            let said = reachable(url).unwrap_err();
            assert!(said.contains(why), "{url:?}: {said}");
        }
    }
}
