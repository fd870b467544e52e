//! The service as a process: its commands, its ready line, its end, its crashes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::app::of_kind;
use crate::scenarios::Client;
use crate::spawning::spawn;

/// A folder with a configuration, a database and a catalogue.
pub(crate) struct Site {
    folder: TempDir,
}

/// A running service; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) client: Client,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is no failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "database:\n  url: sqlite://{}\ntoken.secret: only for these tests\nlisten: 127.0.0.1:0\nlogging.level: off\n",
            folder.path().join("booking.db").display()
        );
        std::fs::write(folder.path().join("service.yaml"), config).unwrap();
        Self { folder }
    }

    pub(crate) fn seeded(seats: &str) -> Self {
        let site = Self::new();
        site.succeed(&["migrate"]);
        let shape = [
            "--users",
            "40",
            "--concerts",
            "1",
            "--schedules-per-concert",
            "1",
            "--seats-per-schedule",
            seats,
        ];
        let catalogue = site.path("catalogue.json");
        site.succeed(&[&["seed", "--seed", "9", "--catalogue", &catalogue], &shape[..]].concat());
        site
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_booking-service"));
        command.args(arguments).arg("--config").arg(self.path("service.yaml"));
        command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        spawn(&mut self.command(arguments)).wait_with_output().unwrap()
    }

    fn succeed(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[track_caller]
    fn fail(&self, arguments: &[&str], exit_code: i32, words: &[&str]) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit_code), "{said}");
        for word in words {
            assert!(said.contains(word), "no `{word}` in: {said}");
        }
    }

    pub(crate) fn start(&self, prepare: impl FnOnce(&mut Command)) -> Process {
        // The first line of standard output is the ready line then.
        let mut command = self.command(&["serve", "--set", "logging.to=stderr"]);
        command.stderr(Stdio::inherit());
        prepare(&mut command);
        let mut child = spawn(&mut command);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (ready["ready"].as_bool(), ready["pid"].as_u64()),
            (Some(true), Some(child.id().into()))
        );
        assert!(ready["version"].is_string());
        let client = Client::new(&format!("http://{}", ready["address"].as_str().unwrap()));
        Process { child, client }
    }

    fn catalogue(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("catalogue.json")).unwrap()).unwrap()
    }

    pub(crate) fn users(&self) -> Vec<String> {
        let users = &self.catalogue()["users"];
        users
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user.as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn schedule(&self) -> String {
        self.catalogue()["concerts"][0]["schedules"][0]["schedule_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn audit(&self) -> Vec<Value> {
        let text = self.succeed(&["audit"]);
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

impl Process {
    /// One that has not said yet where it serves.
    pub(crate) fn starting(child: Child) -> Self {
        let client = Client::new("http://nowhere.invalid");
        Self { child, client }
    }

    pub(crate) fn ended(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the service does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let mut kill = spawn(Command::new("kill").args([name, &pid]));
        assert!(kill.wait().unwrap().success());
    }
}

#[test]
fn the_same_seed_gives_the_same_catalogue() {
    let (one, other) = (Site::seeded("50").catalogue(), Site::seeded("50").catalogue());
    assert_eq!(one, other);
    assert_eq!(one["totals"]["seats"], 50);
    assert!(one["data_hash"].as_str().unwrap().starts_with("sha256:"));
    assert_ne!(one["data_hash"], Site::seeded("51").catalogue()["data_hash"]);
}

#[test]
fn wrong_configuration_is_told_at_once_and_in_full() {
    let site = Site::new();
    let pool = [
        "serve",
        "--set",
        "pool.size=0",
        "--set",
        "lockin=none",
        "--set",
        "cache.ttl=5",
    ];
    let words = [
        "--set pool.size: `pool.size` must be",
        "did you mean `locking`?",
        "a duration with a unit",
    ];
    site.fail(&pool, 2, &words);
    std::fs::write(site.path("service.yaml"), "database: [").unwrap();
    site.fail(&["migrate"], 2, &["service.yaml: not YAML"]);
    std::fs::remove_file(site.path("service.yaml")).unwrap();
    site.fail(&["audit"], 2, &["cannot read", "service.yaml"]);
}

#[test]
fn what_is_missing_or_in_the_way_is_named_with_its_remedy() {
    let site = Site::new();
    site.fail(
        &["serve"],
        2,
        &["cannot use the database", "run `service migrate` first"],
    );
    site.succeed(&["migrate"]);
    site.succeed(&["migrate"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen={}", taken.local_addr().unwrap());
    site.fail(
        &["serve", "--set", &listen],
        2,
        &["cannot listen on 127.0.0.1", "port 0 for a free one"],
    );
    let away = [
        "serve",
        "--set",
        "database.url=mysql://root@127.0.0.1:1",
        "--set",
        "redis.url=redis://127.0.0.1:1",
    ];
    site.fail(&away, 6, &["cannot reach the database, MySQL at 127.0.0.1:1"]);
    let onto_full_disk = ["seed", "--users", "1", "--concerts", "1", "--catalogue", "/dev/full"];
    let words = ["cannot write the catalogue /dev/full", "No space left on device"];
    site.fail(&onto_full_disk, 2, &words);
    site.fail(&["seed", "--users", "1"], 2, &["holds data already"]);
    site.fail(&["seed", "--skew", "9"], 2, &["--skew must be from 0 to 3"]);
    site.fail(
        &["seed", "--catalogue", "/nowhere/c.json"],
        2,
        &["cannot write the catalogue /nowhere/c.json"],
    );
    assert!(!Path::new("/nowhere").exists());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let audit = spawn(site.command(&["audit"]).stdout(full)).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&audit.stderr);
    assert_eq!(audit.status.code(), Some(2), "{said}");
    assert!(
        said.contains("cannot write the audit: No space left on device"),
        "{said}"
    );
}

/// A start that may be the second one changes nothing of what the first has made, and takes no half for the whole.
#[test]
fn what_is_seeded_already_is_left_as_it_is_if_that_was_asked() {
    let site = Site::new();
    site.succeed(&["migrate"]);
    let catalogue = site.path("catalogue.json");
    let again = |users: &'static str| {
        let seed = ["seed", "--if-empty", "--catalogue", &catalogue];
        [&seed[..], &["--users", users, "--concerts", "1"]].concat()
    };
    site.succeed(&again("3"));
    let first = site.catalogue();
    assert_eq!(first["users"].as_array().unwrap().len(), 3);
    site.succeed(&again("4"));
    assert_eq!(site.catalogue(), first);
    assert_eq!(of_kind(&site.audit(), "user").count(), 3);

    let whole = std::fs::read(&catalogue).unwrap();
    std::fs::write(&catalogue, &whole[..whole.len() / 2]).unwrap();
    let words = [
        "the database holds data",
        "catalogue.json is no whole catalogue",
        "remove this one first",
    ];
    site.fail(&again("3"), 2, &words);
    assert_eq!(std::fs::read(&catalogue).unwrap().len(), whole.len() / 2);
    std::fs::remove_file(&catalogue).unwrap();
    site.fail(&again("3"), 2, &words);
    site.fail(&["seed", "--if-empty"], 2, &["--catalogue"]);
}

#[test]
fn each_index_can_be_put_on() {
    let site = Site::seeded("50");
    for index in ["none", "status-schedule", "covering", "schedule-status"] {
        site.succeed(&["index", index]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_until_it_is_told_to_stop() {
    let site = Site::seeded("50");
    let mut process = site.start(|_| {});
    assert!(process.client.balance(&site.users()[0]).await > 0);
    process.signal("-TERM");
    assert!(process.ended().success());
}

/// What an image's health check asks: 0 only from an instance that can do its work.
#[tokio::test(flavor = "multi_thread")]
async fn its_health_can_be_asked_without_a_client() {
    let site = Site::seeded("50");
    site.fail(&["health"], 2, &["`listen` asks for any free port"]);
    let mut process = site.start(|_| {});
    let port = process.client.url("").rsplit_once(':').unwrap().1.to_owned();
    // As in a container, where it listens on every address.
    for address in ["127.0.0.1", "0.0.0.0"] {
        site.succeed(&["health", "--set", &format!("listen={address}:{port}")]);
    }
    let listen = format!("listen=127.0.0.1:{port}");
    process.signal("-TERM");
    assert!(process.ended().success());
    site.fail(&["health", "--set", &listen], 6, &["no service answers at 127.0.0.1"]);

    // One that answers, and has lost what it needs.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen={}", other.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = other.accept().unwrap();
        let mut request = [0; 1024];
        let n_bytes = stream.read(&mut request).unwrap();
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n{\"ready\":false,\"away\":[\"queue\"]}";
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..n_bytes]).into_owned()
    });
    site.fail(
        &["health", "--set", &listen],
        6,
        &["is not ready: HTTP/1.1 503", "queue"],
    );
    assert!(answering.join().unwrap().starts_with("GET /health/ready HTTP/1.1\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_its_starter_has_gone() {
    let site = Site::seeded("50");
    let mut process = site.start(|command| {
        command.arg("--stdin-guard").stdin(Stdio::piped());
    });
    assert!(process.client.balance(&site.users()[0]).await > 0);
    drop(process.child.stdin.take());
    assert!(process.ended().success());
}

/// What a client may rely on after a crash between commit and answer: the same key gives the answer that was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_commit_and_answer_is_found_out_by_the_key() {
    let site = Site::seeded("50");
    let (user, schedule) = (&site.users()[0], site.schedule());
    let process = site.start(|_| {});
    let token = process.client.admitted(user).await;
    let seat = process.client.free_seats(&token, &schedule).await.remove(0);
    drop(process);

    let mut crashing = site.start(|command| {
        command.env("FAILPOINTS", "hold-after-commit=return");
    });
    let request = crashing.client.http().post(crashing.client.url("/v1/reservations"));
    let request = request.header("queue-token", &token).header("idempotency-key", "crash");
    let body = serde_json::json!({ "seat_id": seat });
    assert!(request.json(&body).send().await.is_err(), "the answer was lost");
    assert!(!crashing.ended().success());

    let process = site.start(|_| {});
    let held = process.client.hold(&token, &seat, "crash").await.expect(201, "");
    assert_eq!(process.client.hold(&token, &seat, "crash").await, held);
    process
        .client
        .pay(&token, &held.text("reservation_id"), "crash")
        .await
        .expect(200, "");
    assert_eq!(of_kind(&site.audit(), "reservation").count(), 1);
}

/// The deadline passes between the commit and the answer: 504, the work is not undone, the metrics count it once, and the
/// key tells what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_during_the_work_is_told_as_such_and_the_key_gives_the_answer() {
    let site = Site::seeded("50");
    let (user, schedule) = (&site.users()[0], site.schedule());
    let process = site.start(|command| {
        // Well after the deadline of two seconds, and once alone.
        let late = ["hold", "pay", "charge"].map(|change| format!("{change}-after-commit=1*sleep(4000)"));
        command.env("FAILPOINTS", late.join(";"));
    });
    let client = &process.client;
    let token = client.admitted(user).await;
    let seat = client.free_seats(&token, &schedule).await.remove(0);
    let begun = Instant::now();
    let late = client.hold(&token, &seat, "late").await.expect(504, "deadline");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(late.body["type"], "urn:booking:problem:deadline");
    assert_eq!(late.body["title"], "Gateway Timeout");
    let detail = "the deadline passed; the request may have taken effect, ask again with the same idempotency key";
    assert_eq!(late.body["detail"], detail);
    let counted = |route: &'static str| client.metric("booking_http_deadline_exceeded_total", route);
    assert_eq!(counted(r#"route="/v1/reservations""#).await, Some(1.0));
    assert_eq!(counted("").await, Some(1.0));

    // The connection that was delayed with it is the only writer's.
    let held = || async { client.hold(&token, &seat, "late").await };
    client
        .until("the key has its answer", || async { held().await.status == 201 })
        .await;
    let reservation = held().await.expect(201, "").text("reservation_id");
    let paid = || client.pay(&token, &reservation, "late");
    paid().await.expect(504, "deadline");
    client
        .until("the payment has its answer", || async { paid().await.status == 200 })
        .await;
    let charged = || client.charge(user, 5, "late");
    charged().await.expect(504, "deadline");
    client
        .until("the charge has its answer", || async { charged().await.status == 200 })
        .await;
    for (name, done) in [
        ("booking_reservations_total", "held"),
        ("booking_payments_total", "paid"),
        ("booking_charges_total", "charged"),
    ] {
        let label = format!(r#"outcome="{done}""#);
        let n = || client.metric(name, &label);
        // The work that nobody waits for any more ends a moment after the key has its answer.
        client
            .until("the change is counted", || async { n().await == Some(1.0) })
            .await;
    }
    assert_eq!(of_kind(&site.audit(), "reservation").count(), 1);
}
