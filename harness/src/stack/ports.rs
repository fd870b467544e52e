//! Host ports that stay ours while a container restarts.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::Arc;

use rand::Rng;
use testcontainers::bollard::models::HostConfig;

/// Below the kernel's own range for outgoing connections, see [`choose`].
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

/// A port on the loopback interface that is free right now.
///
/// Not one that the kernel hands out: from its range a client that keeps dialling a stopped broker gets, sooner or
/// later, that very port as its own, connects to itself, and keeps the broker from coming back.
///
/// # Errors
/// None was free in many attempts.
pub fn choose() -> std::io::Result<u16> {
    let first_of_kernel = kernel_range_start().unwrap_or(u16::MAX);
    let last = (*PORTS.end()).min(first_of_kernel.saturating_sub(1));
    let range = if last > *PORTS.start() + 1_000 {
        *PORTS.start()..=last
    } else {
        1_024..=u16::MAX
    };
    let mut generator = rand::rng();
    for _ in 0..N_ATTEMPTS {
        let port = generator.random_range(range.clone());
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::AddrInUse,
        format!("no free port between {} and {}", range.start(), range.end()),
    ))
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
    #[test]
    fn a_chosen_port_can_be_bound_and_is_not_the_kernels() {
        let port = super::choose().unwrap();
        std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        if let Some(start) = super::kernel_range_start().filter(|start| *start > 22_000) {
            assert!(port < start, "{port} is from the range that starts at {start}");
        }
    }
}
