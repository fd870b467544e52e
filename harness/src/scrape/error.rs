//! Why a scrape gave nothing. The text becomes the reason of a gap, so it names the thing that did not answer.

use std::time::Duration;

use super::parse::ParseError;
use crate::causes;

/// A scrape that failed.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    #[error("no answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    #[error("the poller was {} ms late, so this moment was not scraped", .0.as_millis())]
    Late(Duration),
    #[error("asking {url}")]
    Request {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{url} answered with status {status}; check that it is the address of metrics")]
    Status { url: String, status: u16 },
    #[error("{url} sent more than {limit_bytes} bytes")]
    TooLarge { url: String, limit_bytes: usize },
    #[error("reading what {url} sent; check that it is the address of metrics")]
    Parse {
        url: String,
        #[source]
        source: ParseError,
    },
    #[error("understanding the address of {server}")]
    Address {
        server: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("connecting to {server}")]
    Connect {
        server: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("asking {server} for {what}")]
    Ask {
        server: &'static str,
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the question to {server} before is still unanswered")]
    Busy { server: &'static str },
    #[error("reading {path}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} does not have the expected form")]
    Form { path: String },
    #[error("process {pid} has ended")]
    Ended { pid: u32 },
}

impl ScrapeError {
    /// The error with its causes in one line.
    pub fn chain(&self) -> String {
        causes::chain(self)
    }
}
