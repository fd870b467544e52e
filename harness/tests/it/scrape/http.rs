//! The service's page, from a socket that answers as it is told to.

use soundcheck::scrape::service::ServiceSource;
use soundcheck::scrape::{ScrapeError, Source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one request with these bytes; the URL to ask.
async fn answers(answer: impl Into<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let answer = answer.into();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = socket.read(&mut request).await.unwrap();
        // The client may hang up before everything is sent.
        let _ = socket.write_all(&answer).await;
    });
    url
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn scraped(url: &str) -> Result<Vec<soundcheck::scrape::Sample>, ScrapeError> {
    ServiceSource::new(url).unwrap().scrape().await
}

#[tokio::test]
async fn a_page_becomes_samples() {
    let page = "# TYPE up gauge\nup 1\nrequests{route=\"/v1/schedules/{id}/seats\"} 5\n";
    let samples = scraped(&answers(ok(page)).await).await.unwrap();
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[1].labels["route"], "/v1/schedules/{id}/seats");
}

#[track_caller]
fn check(error: &ScrapeError, expected: &[&str]) {
    let text = error.chain();
    for part in expected {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    // Each cause once.
    assert_eq!(text.matches("127.0.0.1").count(), 1, "{text}");
}

#[tokio::test]
async fn what_is_no_page_of_metrics_is_named() {
    let url = answers(ok("<!doctype html>\n")).await;
    check(
        &scraped(&url).await.unwrap_err(),
        &[&url, "check that it is the address", "line 1"],
    );
    let url = answers("HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n").await;
    check(&scraped(&url).await.unwrap_err(), &[&url, "status 302"]);
    let url = answers("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nup 1\n").await;
    check(&scraped(&url).await.unwrap_err(), &[&url]);
    let url = answers(ok(&"# a comment\n".repeat(2 << 20))).await;
    check(&scraped(&url).await.unwrap_err(), &["more than 16777216 bytes"]);
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    drop(listener);
    check(&scraped(&url).await.unwrap_err(), &["asking http://127.0.0.1"]);
}
