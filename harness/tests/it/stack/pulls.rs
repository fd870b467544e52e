//! A pull by the real daemon from a registry of this test, which stops halfway until the progress was told.
//!
//! Daemons take a registry on 127.0.0.1 without TLS. The image holds one file and no program, so that no component
//! starts from it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use soundcheck::daemon::Daemon;
use soundcheck::stack::Component;
use testcontainers::bollard::query_parameters::RemoveImageOptions;

use crate::containers::{image_of, skip};

const REPOSITORY: &str = "soundcheck-test/halting";
/// Of the layer's only file.
const N_BYTES: usize = 4 * 1024 * 1024;
/// Within the time that the tool gives a pull.
const WITHIN: Duration = Duration::from_secs(50);

/// A blob or the manifest, with its media type.
struct Document {
    digest: String,
    media_type: &'static str,
    bytes: Vec<u8>,
}

impl Document {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            digest: digest(&bytes),
            media_type,
            bytes,
        }
    }

    fn reference(&self) -> serde_json::Value {
        json!({ "mediaType": self.media_type, "size": self.bytes.len(), "digest": self.digest })
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

struct Registry {
    port: u16,
    manifest: Document,
    config: Document,
    layer: Document,
    /// Whether the second half of the layer may be sent.
    may_go_on: Mutex<bool>,
    opened: Condvar,
    n_asked: AtomicUsize,
}

impl Registry {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Nobody has this layer yet: what a daemon has, it does not pull.
        let layer = Document::new(
            "application/vnd.docker.image.rootfs.diff.tar",
            archive(&uuid::Uuid::now_v7().to_string()),
        );
        let config = Document::new(
            "application/vnd.docker.container.image.v1+json",
            json!({
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": { "type": "layers", "diff_ids": [layer.digest] },
            })
            .to_string()
            .into_bytes(),
        );
        let manifest = Document::new(
            "application/vnd.docker.distribution.manifest.v2+json",
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": config.reference(),
                "layers": [layer.reference()],
            })
            .to_string()
            .into_bytes(),
        );
        let registry = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            manifest,
            config,
            layer,
            may_go_on: Mutex::new(false),
            opened: Condvar::new(),
            n_asked: AtomicUsize::new(0),
        });
        // Ends with this process.
        let served = Arc::clone(&registry);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let registry = Arc::clone(&served);
                std::thread::spawn(move || registry.serve(connection.unwrap()));
            }
        });
        registry
    }

    fn image(&self) -> String {
        format!("127.0.0.1:{}/{REPOSITORY}:1", self.port)
    }

    fn go_on(&self) {
        *self.may_go_on.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn serve(&self, connection: TcpStream) {
        self.n_asked.fetch_add(1, Ordering::SeqCst);
        let mut lines = BufReader::new(connection.try_clone().unwrap());
        // A daemon tries TLS first, and hangs up when it is not understood.
        let Some(head) = read_head(&mut lines) else { return };
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap_or_default());
        let document = [&self.manifest, &self.config, &self.layer]
            .into_iter()
            .find(|document| path.ends_with(&document.digest))
            .or_else(|| path.ends_with("/manifests/1").then_some(&self.manifest));
        // A client that has gone has seen enough.
        let _gone = match document {
            Some(document) => self.send(connection, method, document),
            None if path == "/v2/" => answer(connection, "200 OK", ""),
            None => answer(connection, "404 Not Found", ""),
        };
    }

    fn send(&self, mut connection: TcpStream, method: &str, document: &Document) -> std::io::Result<()> {
        let headers = format!(
            "Content-Type: {}\r\nDocker-Content-Digest: {}\r\nContent-Length: {}\r\n",
            document.media_type,
            document.digest,
            document.bytes.len()
        );
        head(&mut connection, "200 OK", &headers)?;
        if method == "HEAD" {
            return Ok(());
        }
        let (first, second) = document.bytes.split_at(document.bytes.len() / 2);
        connection.write_all(first)?;
        if document.digest == self.layer.digest {
            let closed = self.may_go_on.lock().unwrap();
            // Whoever waits in vain sees a pull that broke off, and the test fails for that.
            let (_guard, waited) = self.opened.wait_timeout_while(closed, WITHIN, |may| !*may).unwrap();
            if waited.timed_out() {
                return Ok(());
            }
        }
        connection.write_all(second)
    }
}

fn read_head(lines: &mut impl std::io::BufRead) -> Option<String> {
    let mut first = None;
    loop {
        let mut line = Vec::new();
        lines.by_ref().take(4_096).read_until(b'\n', &mut line).ok()?;
        let line = String::from_utf8(line).ok()?;
        if line.trim_end().is_empty() {
            return first;
        }
        if first.is_none() && !line.contains(" HTTP/1.") {
            return None;
        }
        first.get_or_insert(line);
    }
}

fn head(connection: &mut TcpStream, status: &str, headers: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n{headers}\r\n"
    );
    connection.write_all(head.as_bytes())
}

fn answer(mut connection: TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    head(&mut connection, status, &format!("Content-Length: {}\r\n", body.len()))?;
    connection.write_all(body.as_bytes())
}

/// A tar archive of one file, which begins with `text`.
fn archive(text: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, field: &str| header[at..at + field.len()].copy_from_slice(field.as_bytes());
    put(0, "filling");
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{N_BYTES:011o}"));
    put(136, "00000000000");
    // The checksum counts itself as spaces.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let checksum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    let mut contents = vec![0_u8; N_BYTES];
    contents[..text.len()].copy_from_slice(text.as_bytes());
    [&header[..], &contents, &[0; 1_024]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_tells_how_much_has_arrived_and_how_long_it_took() {
    if image_of(Component::Redis).await.is_none() {
        return;
    }
    let registry = Registry::start();
    let image = registry.image();
    let mut up = Command::new(env!("CARGO_BIN_EXE_soundcheck"))
        .args([
            "up",
            "--stack",
            "containers",
            "--no-service",
            "--only",
            "redis",
            "--image",
        ])
        .arg(format!("redis={image}"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(up.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains(" MB of ") {
            registry.go_on();
        }
        lines.push(line);
    }
    let code = up.wait().unwrap().code();
    let daemon = Daemon::connect().await.unwrap();
    let removed = daemon
        .api()
        .remove_image(&image, None::<RemoveImageOptions>, None)
        .await;
    if registry.n_asked.load(Ordering::SeqCst) == 0 {
        // It has a machine of its own, so that 127.0.0.1 is another place.
        skip::<()>("the container daemon does not reach this machine's 127.0.0.1");
        return;
    }
    assert_eq!(code, Some(6), "{lines:#?}");
    removed.unwrap();
    let after = |prefix: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(prefix));
        line.unwrap_or_else(|| panic!("no `{prefix}…` in {lines:#?}"))
            .to_owned()
    };
    assert_eq!(lines[0], format!("redis: pulling {image}"));
    let half: Vec<f64> = lines[1]
        .strip_prefix("redis: ")
        .and_then(|rest| rest.strip_suffix(" MB pulled"))
        .map(|rest| rest.split(" MB of ").map(|number| number.parse().unwrap()).collect())
        .unwrap_or_else(|| panic!("no progress in {lines:#?}"));
    // The second half was not sent before this was told.
    assert!(half[0] > 0.0 && half[0] <= 2.1 && half[1] == 4.2, "{half:?}");
    let took = after(&format!("redis: pulled {image} after "));
    assert!(
        took.strip_suffix(" s").is_some_and(|took| took.parse::<f64>().is_ok()),
        "{took}"
    );
    after(&format!("redis: starting {image}"));
    after("error: redis did not start from ");
}
