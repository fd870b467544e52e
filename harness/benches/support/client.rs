//! HTTP/1.1 over one kept connection: requests are bytes that the caller has made, answers are a status and a body.
//!
//! On a small machine the client shares the cores with what it measures, so it does nothing that is not needed: no
//! header is kept, nothing is copied twice, and a body is read to its end but not looked at.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The head of every answer of the service fits several times.
const FIRST_READ_BYTES: usize = 64 * 1024;

/// A connection that stays open between requests.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was read; grows to the largest answer.
    buffer: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects to `HOST:PORT`.
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; FIRST_READ_BYTES],
        })
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let mut n_read = 0;
        let (status, body_start, end) = loop {
            n_read += self.read_to(n_read).await?;
            if let Some(head) = head(&self.buffer[..n_read])? {
                break head;
            }
            if n_read == self.buffer.len() {
                return Err(unusable("the head of an answer is too long"));
            }
        };
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while n_read < end {
            n_read += self.read_to(n_read).await?;
        }
        if n_read > end {
            return Err(unusable("an answer came that nobody asked for"));
        }
        Ok(Answer {
            status,
            body: &self.buffer[body_start..end],
        })
    }

    async fn read_to(&mut self, start: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[start..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        }
    }
}

/// Status, start of the body and end of the answer, once the head is complete.
fn head(bytes: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let Some(length) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..length]).map_err(|_| unusable("a head is no text"))?;
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| unusable("not HTTP/1.1"))?;
    let body_start = length + 4;
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    });
    let n_body: usize = match length {
        Some(length) => length.parse().map_err(|_| unusable("a length is no number"))?,
        None if status == 204 => 0,
        None => return Err(unusable("an answer has no length")),
    };
    Ok(Some((status, body_start, body_start + n_body)))
}

fn unusable(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The bytes of a GET.
pub(crate) fn get(path: &str, token: Option<&str>) -> Vec<u8> {
    let token = token.map_or_else(String::new, |token| format!("queue-token: {token}\r\n"));
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{token}\r\n").into_bytes()
}

/// The bytes of a POST of JSON.
pub(crate) fn post(path: &str, token: Option<&str>, key: Option<&str>, body: &str) -> Vec<u8> {
    let token = token.map_or_else(String::new, |token| format!("queue-token: {token}\r\n"));
    let key = key.map_or_else(String::new, |key| format!("idempotency-key: {key}\r\n"));
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{token}{key}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
