//! `--live`: one local page that shows a run while it goes on. It needs nothing from outside: the page is embedded, and
//! the seconds come as server-sent events.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use futures::{Stream, StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::run::{Moment, Observer};

const PAGE: &str = include_str!("live.html");
/// Two hours; of a longer run, somebody who comes late sees the end.
const MOST_SECONDS: usize = 7_200;
/// A page goes by itself when it has heard that the run is over.
const LAST_WORD: Duration = Duration::from_secs(1);
/// A page that falls behind by more than this begins anew.
const BEHIND: usize = 256;

/// What has happened, and who is told of the rest.
#[derive(Debug)]
struct Shared {
    /// As they are sent.
    told: Mutex<Vec<Told>>,
    news: broadcast::Sender<Told>,
}

/// One server-sent event: its kind, and JSON.
#[derive(Clone, Debug)]
struct Told {
    kind: &'static str,
    data: String,
}

/// A page that is being served until it is dropped.
#[derive(Debug)]
pub(super) struct LivePage {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl LivePage {
    /// Serves the page of a run called `title` on a free port of this machine alone.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub(super) async fn serve(title: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen on 127.0.0.1 for the live page")?;
        let address = listener.local_addr()?;
        let (news, _) = broadcast::channel(BEHIND);
        let shared = Arc::new(Shared {
            told: Mutex::default(),
            news,
        });
        let this = Arc::clone(&shared);
        let routes = Router::new()
            .route("/", get(page))
            .route("/events", get(events))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::warn!(%error, "the live page ended");
            }
        });
        this.tell("title", &title);
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Tells `observer` and the page.
    pub(super) fn beside(&self, observer: Observer) -> Observer {
        let shared = Arc::clone(&self.shared);
        observer.and(move |moment| match moment {
            Moment::Step { label, .. } => shared.tell("step", &label),
            Moment::Second(second) => shared.tell("second", &second),
            Moment::Detail(_) => {}
        })
    }

    /// Tells that the run is over and what is left of it in `folder`, and waits a moment until pages have taken that.
    pub(super) async fn end(self, folder: &Path, has_report: bool) {
        self.shared.tell("end", &last_word(folder, has_report));
        let until = Instant::now() + LAST_WORD;
        while self.shared.news.receiver_count() > 0 && Instant::now() < until {
            tokio::time::sleep(LAST_WORD / 50).await;
        }
    }
}

/// Promises no report where there is none.
fn last_word(folder: &Path, has_report: bool) -> String {
    let at = folder.display();
    if has_report {
        format!("ended; its report is in {at}")
    } else if folder.exists() {
        format!("ended without a report; what was measured is kept in {at}")
    } else {
        "ended without a report, before anything was measured".to_owned()
    }
}

impl Drop for LivePage {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn tell(&self, kind: &'static str, data: &impl serde::Serialize) {
        let data = match serde_json::to_string(data) {
            Ok(data) => data,
            Err(error) => {
                tracing::warn!(%error, kind, "a moment of the run could not be shown");
                return;
            }
        };
        let news = Told { kind, data };
        // Under the lock, so that nobody who comes now misses it or sees it twice.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST_SECONDS {
            // The title stays.
            told.drain(1..=MOST_SECONDS / 10);
        }
        told.push(news.clone());
        // An error means that nobody watches.
        let _ = self.news.send(news);
    }

    /// What was told so far, and what will be.
    fn follow(&self) -> (Vec<Told>, broadcast::Receiver<Told>) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        (told.clone(), self.news.subscribe())
    }
}

async fn page() -> impl IntoResponse {
    // Nothing but what is in the page itself.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    let headers = [(CONTENT_SECURITY_POLICY, policy), (CACHE_CONTROL, "no-store")];
    (headers, Html(PAGE))
}

async fn events(State(shared): State<Arc<Shared>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (told, news) = shared.follow();
    // Who has fallen behind is cut off; the browser comes again by itself, and gets everything.
    let news = stream::unfold(news, |mut news| async move {
        let told = news.recv().await.ok()?;
        Some((told, news))
    });
    let all = stream::iter(told).chain(news);
    Sse::new(all.map(|told| Ok(Event::default().event(told.kind).data(told.data)))).keep_alive(KeepAlive::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_late_sees_what_was_and_what_comes() {
        let page = LivePage::serve("smoke").await.unwrap();
        let html = reqwest::get(page.url()).await.unwrap();
        assert!(html.headers().contains_key("content-security-policy"));
        let html = html.text().await.unwrap();
        for outside in ["http://", "https://", "src=", "@import"] {
            assert!(!html.contains(outside), "the page asks for something: {outside}");
        }
        let observer = page.beside(Observer::silent());
        observer.tell(Moment::Step {
            label: "warm-up".to_owned(),
            estimate: Duration::ZERO,
        });
        let mut answer = reqwest::get(format!("{}events", page.url())).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let ending = tokio::spawn(async move { page.end(Path::new("reports/x"), true).await });
        let mut seen = String::new();
        while !seen.contains("reports/x") {
            let chunk = answer.chunk().await.unwrap().unwrap();
            seen.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        drop(answer);
        ending.await.unwrap();
        assert_eq!(
            seen,
            "event: title\ndata: \"smoke\"\n\nevent: step\ndata: \"warm-up\"\n\nevent: end\ndata: \"ended; its report is in reports/x\"\n\n"
        );
    }

    #[test]
    fn no_report_is_promised_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let kept = last_word(folder.path(), false);
        assert!(
            kept.starts_with("ended without a report; what was measured is kept in "),
            "{kept}"
        );
        let nothing = last_word(&folder.path().join("never-made"), false);
        assert_eq!(nothing, "ended without a report, before anything was measured");
    }
}
