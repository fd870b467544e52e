//! A running proxy, as its owner sees it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::conditions::{Conditions, Direction, Reception};
use super::listener::{self, Command};
use crate::stack::ports::{self, Reserved};
use crate::units::Bytes;

/// A proxy; dropping it closes the port and ends its links.
#[derive(Debug)]
pub struct Proxy {
    /// Ours also while it is closed.
    port: Reserved,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    listener: tokio::task::JoinHandle<()>,
}

/// What links and listener see of the proxy.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seed: u64,
    upstream: OnceLock<SocketAddr>,
    to_server: watch::Sender<Conditions>,
    to_client: watch::Sender<Conditions>,
    /// Grows with every reset; links of an earlier value end.
    pub(super) resets: watch::Sender<u64>,
    n_links: AtomicU64,
    n_links_open: AtomicU64,
    pub(super) n_bytes_to_server: AtomicU64,
    pub(super) n_bytes_to_client: AtomicU64,
}

/// What has gone through a proxy: the proof that traffic does not pass beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traffic {
    pub n_links: u64,
    pub n_links_open: u64,
    pub to_server: Bytes,
    pub to_client: Bytes,
}

/// Why a proxy does not do as it is told.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No port.
    #[error("cannot open a port for a proxy")]
    Bind(#[source] std::io::Error),
    /// The port cannot be closed, filled or opened again.
    #[error("the proxy's port {address} cannot be changed")]
    Port {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The proxy's task is gone.
    #[error("the proxy at {address} has ended")]
    Ended { address: SocketAddr },
    /// There is one already.
    #[error("the proxy at {address} has a server already")]
    HasUpstream { address: SocketAddr },
}

impl Proxy {
    /// Opens a port on the loopback interface. The server may be named later: whoever advertises the proxy's address
    /// has to start first.
    ///
    /// # Errors
    /// No port is free.
    pub async fn bind(seed: u64) -> Result<Self, ProxyError> {
        let port = ports::reserve().map_err(ProxyError::Bind)?;
        let address = port.address();
        let listener = listener::open(address).map_err(ProxyError::Bind)?;
        let shared = Arc::new(Shared {
            seed,
            upstream: OnceLock::new(),
            to_server: watch::Sender::default(),
            to_client: watch::Sender::default(),
            resets: watch::Sender::default(),
            n_links: AtomicU64::new(0),
            n_links_open: AtomicU64::new(0),
            n_bytes_to_server: AtomicU64::new(0),
            n_bytes_to_client: AtomicU64::new(0),
        });
        let (commands, received) = mpsc::channel(1);
        let listener = tokio::spawn(listener::run(listener, address, Arc::clone(&shared), received));
        Ok(Self {
            port,
            shared,
            commands,
            listener,
        })
    }

    /// Names the server. Naming the same one again changes nothing.
    ///
    /// # Errors
    /// Another was named before.
    pub fn set_upstream(&self, server: SocketAddr) -> Result<(), ProxyError> {
        if *self.shared.upstream.get_or_init(|| server) == server {
            Ok(())
        } else {
            Err(ProxyError::HasUpstream {
                address: self.address(),
            })
        }
    }

    /// Where to connect instead of to the server.
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Sets what a direction suffers, on live links at once.
    pub fn set(&self, direction: Direction, conditions: Conditions) {
        self.shared.conditions(direction).send_replace(conditions);
    }

    /// Sets how new connections are met, and returns when they are. Live links go on.
    ///
    /// # Errors
    /// The port cannot be changed.
    pub async fn set_reception(&self, reception: Reception) -> Result<(), ProxyError> {
        let ended = || ProxyError::Ended {
            address: self.address(),
        };
        let (done, answer) = oneshot::channel();
        self.commands
            .send(Command { reception, done })
            .await
            .map_err(|_gone| ended())?;
        let result = answer.await.map_err(|_gone| ended())?;
        result.map_err(|source| ProxyError::Port {
            address: self.address(),
            source,
        })
    }

    /// Resets every live link, both ends.
    pub fn reset_links(&self) {
        self.shared.resets.send_modify(|generation| *generation += 1);
    }

    /// Makes everything as if there were no proxy.
    ///
    /// # Errors
    /// The port cannot be opened again.
    pub async fn heal(&self) -> Result<(), ProxyError> {
        for direction in Direction::BOTH {
            self.set(direction, Conditions::default());
        }
        self.set_reception(Reception::Accept).await
    }

    /// What has gone through so far.
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            n_links: read(&self.shared.n_links),
            n_links_open: read(&self.shared.n_links_open),
            to_server: Bytes(read(&self.shared.n_bytes_to_server)),
            to_client: Bytes(read(&self.shared.n_bytes_to_client)),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.reset_links();
    }
}

impl Shared {
    pub(super) const fn conditions(&self, direction: Direction) -> &watch::Sender<Conditions> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(super) async fn connect(&self) -> std::io::Result<TcpStream> {
        let upstream = self.upstream.get().ok_or(std::io::ErrorKind::NotConnected)?;
        TcpStream::connect(upstream).await
    }

    /// Counts a link and returns its number.
    pub(super) fn begin_link(&self) -> u64 {
        self.n_links_open.fetch_add(1, Ordering::Relaxed);
        self.n_links.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn end_link(&self) {
        self.n_links_open.fetch_sub(1, Ordering::Relaxed);
    }
}
