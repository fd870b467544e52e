//! The service's own metrics, over HTTP.

use super::parse::parse;
use super::poll::Source;
use super::{Sample, ScrapeError};

/// A page of metrics at a URL.
#[derive(Debug)]
pub struct ServiceSource {
    client: reqwest::Client,
    url: String,
}

impl ServiceSource {
    /// `url` is the whole address of the page, such as `http://127.0.0.1:8080/metrics`.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(url: &str) -> Result<Self, ScrapeError> {
        let client = reqwest::Client::builder()
            // A proxy of the user's, or a page that a redirect leads to, is not the service.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|source| ScrapeError::Request {
                url: url.to_owned(),
                source,
            })?;
        Ok(Self {
            client,
            url: url.to_owned(),
        })
    }

    /// Asks, and returns when the head of the answer is there.
    pub(super) async fn ask(&self) -> Result<reqwest::Response, ScrapeError> {
        let response = self
            .client
            .get(&self.url)
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(ScrapeError::Status {
                url: self.url.clone(),
                status: response.status().as_u16(),
            })
        }
    }

    /// The page that an answer brings.
    pub(super) async fn page(&self, mut response: reqwest::Response) -> Result<String, ScrapeError> {
        const LIMIT_BYTES: usize = 16 << 20;
        let mut page = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if page.len() + chunk.len() > LIMIT_BYTES {
                return Err(ScrapeError::TooLarge {
                    url: self.url.clone(),
                    limit_bytes: LIMIT_BYTES,
                });
            }
            page.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&page).into_owned())
    }

    fn failed(&self, source: reqwest::Error) -> ScrapeError {
        ScrapeError::Request {
            url: self.url.clone(),
            source: source.without_url(),
        }
    }
}

impl Source for ServiceSource {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        let response = self.ask().await?;
        parse(&self.page(response).await?).map_err(|source| ScrapeError::Parse {
            url: self.url.clone(),
            source,
        })
    }
}
