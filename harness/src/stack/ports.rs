//! Host ports: kept for a server that restarts, or chosen for a container.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use rand::Rng;
use testcontainers::bollard::models::HostConfig;
use tokio::net::TcpSocket;

/// Below the kernel's own range for outgoing connections, see [`reserve`].
const PORTS: RangeInclusive<u16> = 20_000..=32_000;
const N_ATTEMPTS: usize = 200;

/// Where the host ports of containers come from.
#[derive(Clone)]
pub struct Ports(Arc<dyn Fn() -> std::io::Result<u16> + Send + Sync>);

impl Ports {
    /// Asks `choose` for every port. Between its answer and the use of the port somebody else may take it.
    pub fn new(choose: impl Fn() -> std::io::Result<u16> + Send + Sync + 'static) -> Self {
        Self(Arc::new(choose))
    }

    pub(super) fn choose(&self) -> std::io::Result<u16> {
        (self.0)()
    }
}

impl Default for Ports {
    /// Any that is free, by [`choose()`].
    fn default() -> Self {
        Self::new(choose)
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}

/// A port on the loopback interface that nobody else is given by [`reserve`] or [`choose`], in whichever process, until
/// this is dropped.
///
/// Who knows its address can listen there, again and again: servers bind with `SO_REUSEADDR`, and this socket never
/// listens. Elsewhere than on Linux that would keep them away, and the port is only chosen.
#[derive(Debug)]
pub struct Reserved {
    address: SocketAddr,
    _bound: Option<TcpSocket>,
}

impl Reserved {
    /// Where to listen.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    fn bind(port: u16) -> std::io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = TcpSocket::new_v4()?;
        // First without `SO_REUSEADDR`, which fails where anybody is bound; then with it, which lets a server in.
        socket.bind(address)?;
        socket.set_reuseaddr(true)?;
        Ok(Self {
            address,
            _bound: cfg!(target_os = "linux").then_some(socket),
        })
    }
}

/// Keeps a port that is free right now.
///
/// Not one that the kernel hands out: from its range a client that keeps dialling a stopped broker gets, sooner or
/// later, that very port as its own, connects to itself, and keeps the broker from coming back.
///
/// # Errors
/// None was free in many attempts.
pub fn reserve() -> std::io::Result<Reserved> {
    let first_of_kernel = kernel_range_start().unwrap_or(u16::MAX);
    let last = (*PORTS.end()).min(first_of_kernel.saturating_sub(1));
    let range = if last > *PORTS.start() + 1_000 {
        *PORTS.start()..=last
    } else {
        1_024..=u16::MAX
    };
    let mut generator = rand::rng();
    for _ in 0..N_ATTEMPTS {
        if let Ok(reserved) = Reserved::bind(generator.random_range(range.clone())) {
            return Ok(reserved);
        }
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::AddrInUse,
        format!("no free port between {} and {}", range.start(), range.end()),
    ))
}

/// A port as by [`reserve`] that is not kept: for servers that may bind without `SO_REUSEADDR`, as a container's might.
///
/// # Errors
/// None was free in many attempts.
pub fn choose() -> std::io::Result<u16> {
    reserve().map(|reserved| reserved.address.port())
}

fn kernel_range_start() -> Option<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// Publishes a container's ports on the loopback interface: by default they are open to the whole network, and the
/// servers here ask nobody for a password.
pub fn for_this_machine_alone(host: &mut HostConfig) {
    let ports = host.port_bindings.iter_mut().flat_map(|ports| ports.values_mut());
    for binding in ports.flatten().flatten() {
        binding.host_ip = Some("127.0.0.1".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that binds as servers do, and not as a chooser does.
    fn listen(port: u16) -> std::net::TcpListener {
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap()
    }

    #[test]
    fn a_server_comes_and_goes_where_a_port_is_reserved_and_nobody_else_gets_it() {
        let reserved = reserve().unwrap();
        let port = reserved.address().port();
        for _ in 0..2 {
            assert!(Reserved::bind(port).is_err(), "free while the server is away");
            let server = listen(port);
            let mut client = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
            let (mut served, _) = server.accept().unwrap();
            std::io::Write::write_all(&mut served, b"here").unwrap();
            drop((served, server));
            let mut said = String::new();
            std::io::Read::read_to_string(&mut client, &mut said).unwrap();
            assert_eq!(said, "here");
        }
        // Let go while somebody listens, it is still taken.
        let server = listen(port);
        drop(reserved);
        assert!(Reserved::bind(port).is_err(), "free while a server listens");
        drop(server);
    }

    /// A child that is just being born has a copy of every socket, and keeps it until its program begins.
    #[test]
    fn a_copy_of_a_socket_that_reserved_a_port_keeps_no_server_away() {
        let reserved = reserve().unwrap();
        let copy = reserved._bound.as_ref().map(|socket| rustix::io::dup(socket).unwrap());
        let port = reserved.address().port();
        drop(reserved);
        drop((listen(port), copy));
    }

    #[test]
    fn a_chosen_port_can_be_bound_and_is_not_the_kernels() {
        let port = choose().unwrap();
        drop(listen(port));
        if let Some(start) = kernel_range_start().filter(|start| *start > 22_000) {
            assert!(port < start, "{port} is from the range that starts at {start}");
        }
    }
}
