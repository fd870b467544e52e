//! The service as a process: its commands, its ready line, its end, its crashes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::app::of_kind;
use crate::scenarios::Client;
use crate::scenarios::client::fresh_key;

/// A folder with a configuration, a database and a catalogue.
struct Site {
    folder: TempDir,
}

/// A running service; killed when it is dropped.
struct Process {
    child: Child,
    client: Client,
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

    fn seeded(seats: &str) -> Self {
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

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_booking-service"));
        command.args(arguments).arg("--config").arg(self.path("service.yaml"));
        command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
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

    fn start(&self, prepare: impl FnOnce(&mut Command)) -> Process {
        let mut command = self.command(&["serve"]);
        command.stderr(Stdio::inherit());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
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

    fn users(&self) -> Vec<String> {
        let users = &self.catalogue()["users"];
        users
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user.as_str().unwrap().to_owned())
            .collect()
    }

    fn schedule(&self) -> String {
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
    fn ended(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the service does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
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
    let audit = site.command(&["audit"]).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&audit.stderr);
    assert_eq!(audit.status.code(), Some(2), "{said}");
    assert!(
        said.contains("cannot write the audit: No space left on device"),
        "{said}"
    );
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

/// Killed ten times under load: no seat sold twice, no money lost, no event lost, and nothing that was acknowledged is
/// forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_under_load_lose_nothing() {
    let site = Site::seeded("400");
    let (users, schedule) = (Arc::new(site.users()), site.schedule());
    let acknowledged = Arc::new(std::sync::Mutex::new(Vec::new()));
    for round in 0..10 {
        let process = site.start(|command| {
            command.args(["--set", "hold.ttl=1s", "--set", "sweep.interval=20ms"]);
        });
        let n_done = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let (client, users, schedule) = (process.client.clone(), users.clone(), schedule.clone());
                let (n_done, acknowledged) = (n_done.clone(), acknowledged.clone());
                tokio::spawn(async move {
                    for n in 0.. {
                        let user = &users[(worker * 5 + n + round) % users.len()];
                        let Some(paid) = visit(&client, user, &schedule, worker).await else {
                            return;
                        };
                        n_done.fetch_add(1, Ordering::SeqCst);
                        if let Some(reservation) = paid {
                            acknowledged.lock().unwrap().push(reservation);
                        }
                    }
                })
            })
            .collect();
        let deadline = Instant::now() + Duration::from_secs(20);
        while n_done.load(Ordering::SeqCst) < 12 {
            assert!(Instant::now() < deadline, "no progress in round {round}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process.signal("-KILL");
        for worker in workers {
            worker.await.unwrap();
        }
    }
    let audit = site.audit();
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(
        acknowledged.len() >= 20,
        "{} payments are too few to mean anything",
        acknowledged.len()
    );
    check_ledger(&audit, &acknowledged);
}

/// One visit; `None` when the service has gone, the reservation when it was paid.
async fn visit(client: &Client, user: &str, schedule: &str, worker: usize) -> Option<Option<String>> {
    let post = |path: &str, token: &str, body: Value| {
        let request = client.http().post(client.url(path)).header("queue-token", token);
        request.header("idempotency-key", fresh_key()).json(&body)
    };
    async fn json(request: reqwest::RequestBuilder) -> Option<Value> {
        request.send().await.ok()?.json().await.ok()
    }
    let entered = json(post("/v1/queue/tokens", "", serde_json::json!({ "user_id": user }))).await?;
    let token = entered["token"].as_str()?;
    let map = client
        .http()
        .get(client.url(&format!("/v1/schedules/{schedule}/seats")));
    let map = json(map.header("queue-token", token)).await?;
    let seats = map["seats"].as_array()?;
    // Two workers each reach for the same seats, so that some are refused.
    let Some(seat) = seats.get(worker / 2 * 7 % seats.len().max(1)) else {
        return Some(None);
    };
    let held = json(post(
        "/v1/reservations",
        token,
        serde_json::json!({ "seat_id": seat["seat_id"] }),
    ))
    .await?;
    let Some(reservation) = held["reservation_id"].as_str() else {
        return Some(None);
    };
    let paid = json(post(
        "/v1/payments",
        token,
        serde_json::json!({ "reservation_id": reservation }),
    ))
    .await?;
    Some(paid["paid_at"].is_string().then(|| reservation.to_owned()))
}

fn check_ledger(audit: &[Value], acknowledged: &[String]) {
    let field = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let mut paid: Vec<String> = of_kind(audit, "reservation")
        .filter(|line| line["status"] == "paid")
        .map(|line| field(line, "reservation_id"))
        .collect();
    paid.sort();
    for reservation in acknowledged {
        assert!(
            paid.binary_search(reservation).is_ok(),
            "{reservation} was acknowledged and is not paid"
        );
    }
    for (kind, status) in [
        ("seat", Some("sold")),
        ("payment", Some("completed")),
        ("ledger", None),
        ("outbox", None),
    ] {
        let lines = of_kind(audit, kind).filter(|line| status.is_none_or(|status| line["status"] == status));
        let mut owners: Vec<String> = lines.map(|line| field(line, "reservation_id")).collect();
        owners.sort();
        assert_eq!(owners, paid, "one {kind} for each paid reservation");
    }
    for user in of_kind(audit, "user") {
        let spent: i64 = of_kind(audit, "ledger")
            .filter(|line| line["user_id"] == user["user_id"])
            .map(|line| line["amount"].as_i64().unwrap())
            .sum();
        assert_eq!(
            user["initial"].as_i64().unwrap() - spent,
            user["balance"].as_i64().unwrap()
        );
    }
    for seat in of_kind(audit, "seat").filter(|line| line["status"] == "held") {
        let owner = of_kind(audit, "reservation").find(|line| line["reservation_id"] == seat["reservation_id"]);
        assert_eq!(
            owner.unwrap()["status"],
            "pending",
            "a held seat belongs to a pending reservation"
        );
    }
}

/// Headers and bodies show in the log when they are asked for, and what is secret shows never.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_a_line_for_each_request_and_no_secret() {
    let site = Site::seeded("50");
    let log = std::fs::File::create(site.path("log")).unwrap();
    let mut process = site.start(|command| {
        let set = ["logging.level=info", "logging.headers=on", "logging.bodies=on"];
        command
            .args(set.iter().flat_map(|setting| ["--set", setting]))
            .stderr(log);
    });
    let client = process.client.clone();
    let user = &site.users()[0];
    let token = client.admitted(user).await;
    let seat = client.free_seats(&token, &site.schedule()).await.remove(0);
    client.hold(&token, &seat, "a-secret-key").await.expect(201, "");
    client.charge(user, 424_242, "another-key").await.expect(200, "");
    process.signal("-TERM");
    process.ended();
    let text = std::fs::read_to_string(site.path("log")).unwrap();
    for secret in [token.as_str(), "a-secret-key", "424242", "only for these tests"] {
        assert!(!text.contains(secret), "`{secret}` is in the log:\n{text}");
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let hold = lines.iter().find(|line| line["route"] == "/v1/reservations").unwrap();
    assert_eq!(
        (hold["method"].as_str(), hold["status"].as_u64()),
        (Some("POST"), Some(201))
    );
    assert!(hold["duration_ms"].as_f64().unwrap() > 0.0);
    assert!(hold["body"].as_str().unwrap().contains(&seat));
    assert!(hold["headers"].as_str().unwrap().contains("queue-token: ***"));
    for field in ["request_id", "trace_id"] {
        assert!(hold[field].as_str().is_some_and(|id| !id.is_empty()), "{hold}");
    }
}

/// Clients that connect and say nothing take a file each, and nothing from the others.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_do_no_harm() {
    const N_IDLE: usize = 10_000;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = N_IDLE as u64 + 1_000;
    if limit.maximum.is_some_and(|most| most < needed) {
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: 10,000 idle connections need {needed} open files, here: {limit:?}"
        );
        return;
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .unwrap();
    let site = Site::seeded("50");
    let process = site.start(|_| {});
    let address = process.client.url("").replace("http://", "");
    let mut idle = Vec::with_capacity(N_IDLE);
    for _ in 0..N_IDLE {
        idle.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    let user = &site.users()[0];
    let token = process.client.admitted(user).await;
    let seat = process.client.free_seats(&token, &site.schedule()).await.remove(0);
    process.client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
    let resident = process
        .client
        .metric("process_resident_memory_bytes", "")
        .await
        .unwrap();
    assert!(resident < 300e6, "{resident} bytes for {} idle connections", idle.len());
}
