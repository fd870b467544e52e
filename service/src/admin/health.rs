//! `service health`: asks the instance of this configuration whether it is ready, so that an image needs no client of
//! its own for its health check.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::config::Config;

/// Longer than the service itself waits for what it needs before it says that it is not ready.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// A status line and a short body; what is longer is not ours to read to its end.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Why the instance is not well.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nobody answers.
    #[error("no service answers at {address}; is it running, and is `listen` the one it was started with?")]
    Silent {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// It answers, and says that something it needs is away.
    #[error("the service at {address} is not ready: {answer}")]
    NotReady { address: SocketAddr, answer: String },
    /// A free port was asked for, and only the ready line names it.
    #[error("`listen` asks for any free port, so nobody knows where to ask; set it to the port of the ready line")]
    AnyPort,
}

/// Asks once.
///
/// # Errors
/// When no instance answers, or when it is not ready.
pub fn run(config: &Config) -> Result<(), HealthError> {
    if config.listen.port() == 0 {
        return Err(HealthError::AnyPort);
    }
    let address = reachable(config.listen);
    let answer = ask(address).map_err(|source| HealthError::Silent { address, source })?;
    let status_line = answer.lines().next().unwrap_or_default();
    if status_line.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let answer = format!("{status_line} {body}").trim().to_owned();
    Err(HealthError::NotReady { address, answer })
}

/// Who listens on every address is reached at the machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// One request by hand: a client would weigh more than this service.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWERS_WITHIN)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    stream.set_write_timeout(Some(ANSWERS_WITHIN))?;
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    if answer.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listen: &str, expected: &str) {
        assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
    }

    #[test]
    fn every_address_is_reached_at_the_machine_s_own() {
        check("0.0.0.0:8080", "127.0.0.1:8080");
        check("[::]:8080", "[::1]:8080");
        check("192.0.2.7:80", "192.0.2.7:80");
    }
}
