//! Addresses where nothing is, or something else: what was tried, what answered, and what to do.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};

use serde_json::Value;
use soundcheck::stack::ports;

use crate::containers::image_of;
use crate::tool::{Said, Site};
use soundcheck::stack::Component;

/// A server that speaks HTTP: the reservation service, whose address is the one that people mix up most easily.
struct Http {
    // In this order: the service ends before its folder goes.
    child: Child,
    address: String,
    _site: Site,
}

impl Http {
    fn start() -> Self {
        let site = Site::new();
        let file = site.write(
            "service.yaml",
            "database.url: sqlite://booking.db\ntoken.secret: only for these tests\nlisten: 127.0.0.1:0\n\
             logging.level: off\n",
        );
        let migrated = site.run(&["service", "migrate", "--config", &file]);
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        let mut child = site
            .tool(&["service", "serve", "--config", &file])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["address"].as_str().unwrap().to_owned();
        Self {
            child,
            address,
            _site: site,
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        // It may have ended by itself, which the test will have noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that takes every connection and closes it at once.
fn closing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    address
}

/// `report` on servers that are said to be at these addresses.
#[track_caller]
fn report(mysql: &str, redis: &str, kafka: &str) -> Said {
    let site = Site::new();
    let (mysql, redis) = (
        format!("mysql://root:geheim@{mysql}"),
        format!("redis://:geheim@{redis}"),
    );
    let addresses = ["--mysql", &mysql, "--redis", &redis, "--kafka", kafka];
    let said = site.run(
        &[
            &["report", "cache", "--profile", "smoke", "--stack", "external"],
            &addresses[..],
        ]
        .concat(),
    );
    assert_eq!(site.names(), [] as [&str; 0], "a folder is left: {said:?}");
    assert!(!said.stderr.contains("geheim"), "a password is shown: {said:?}");
    said
}

#[test]
fn each_server_that_is_something_else_is_named() {
    let http = Http::start();
    let address = &http.address;
    report(address, address, address).fails(
        6,
        &[
            "the stack has 3 errors",
            &format!("mysql at mysql://root:***@{address}: it takes the connection and says nothing within 5 s"),
            &format!("redis at redis://:***@{address}: something else answers there"),
            &format!("kafka at {address}: something else answers there"),
            "check the port",
        ],
    );
}

#[test]
fn each_server_that_hangs_up_or_is_not_there_is_named() {
    let closing = closing();
    report(&closing, &closing, &closing).fails(
        6,
        &[
            "the stack has 3 errors",
            "mysql at mysql://root:***@",
            "redis at redis://:***@",
            &format!("kafka at {closing}: something else answers there, or hangs up at once; check the port"),
        ],
    );
    let reserved = ports::reserve().unwrap();
    let closed = reserved.address().to_string();
    report(&closed, &closed, &closed).fails(
        6,
        &[
            "the stack has 3 errors",
            &format!("mysql at mysql://root:***@{closed}: nothing listens there; start it or correct the address"),
            &format!("redis at redis://:***@{closed}: nothing listens there; start it or correct the address"),
            &format!("kafka at {closed}: nothing listens there; start it or correct the address"),
        ],
    );
}

#[test]
fn one_server_that_is_wrong_is_told_alone() {
    let http = Http::start();
    let address = http.address.as_str();
    let site = Site::new();
    let mysql = format!("mysql://root@{address}");
    let redis = format!("redis://{address}");
    for (component, url) in [("mysql", mysql.as_str()), ("redis", &redis), ("kafka", address)] {
        let option = format!("--{component}");
        let arguments = [
            "up",
            "--stack",
            "external",
            "--no-service",
            "--only",
            component,
            &option,
            url,
        ];
        site.run(&arguments)
            .fails(6, &[&format!("{component} at {url}: "), "check the port"]);
    }
}

#[test]
fn an_address_that_is_none_or_missing_is_wrong_usage() {
    let site = Site::new();
    let external = ["report", "cache", "--stack", "external"];
    // Of one's own servers none is guessed.
    let one = ["--redis", "redis://h:6379"];
    site.run(&[&external[..], &one].concat()).fails(
        2,
        &[
            "the stack has 2 errors",
            "needs --mysql URL (or SOUNDCHECK_MYSQL_URL)",
            "needs --kafka HOST:PORT (or SOUNDCHECK_KAFKA_BROKERS)",
        ],
    );
    let addresses = [
        "--mysql",
        "http://h:3306",
        "--redis",
        "h:6379",
        "--kafka",
        "kafka://h:9092",
    ];
    site.run(&[&external[..], &addresses].concat()).fails(
        2,
        &[
            "the stack has 3 errors",
            "http://h:3306 is no address for mysql; expected mysql://USER[:PASSWORD]@HOST:PORT",
            "h:6379 is no address for redis; expected redis://HOST:PORT",
            "kafka://h:9092 is no address for kafka; expected HOST:PORT",
        ],
    );
}

/// Without any address they are those of docker-compose.yml, on the ports that it was given.
#[test]
fn servers_that_nobody_names_are_those_of_compose() {
    let reserved = ports::reserve().unwrap();
    let closed = reserved.address().port().to_string();
    let site = Site::new();
    let mut command = site.tool(&["report", "cache", "--stack", "external"]);
    for part in ["MYSQL", "REDIS", "KAFKA"] {
        command.env(format!("SOUNDCHECK_{part}_PORT"), &closed);
    }
    site.run_command(command).fails(
        6,
        &[
            "the stack has 3 errors",
            &format!("mysql at mysql://root@127.0.0.1:{closed}: nothing listens there"),
            &format!("redis at redis://127.0.0.1:{closed}: nothing listens there"),
            &format!("kafka at 127.0.0.1:{closed}: nothing listens there"),
        ],
    );
}

#[test]
fn the_service_tells_of_a_database_or_broker_that_is_something_else() {
    let http = Http::start();
    let site = Site::new();
    let url = format!("database.url=mysql://root:geheim@{}", http.address);
    let secret = "token.secret=0123456789abcdef";
    for command in ["migrate", "seed", "audit", "serve"] {
        let said = site.run(&[
            "service",
            command,
            "--set",
            &url,
            "--set",
            secret,
            "--set",
            "redis.url=redis://h:1",
        ]);
        said.fails(
            6,
            &[&format!(
                "cannot reach the database, MySQL at {}; check `database.url`",
                http.address
            )],
        );
        assert!(!said.stderr.contains("geheim"), "{said:?}");
    }
    let brokers = format!("kafka.brokers={}", http.address);
    let settings = [
        "--set",
        "database.url=sqlite://a.db",
        "--set",
        secret,
        "--set",
        &brokers,
    ];
    site.run(&[&["dlt", "list"], &settings[..]].concat())
        .fails(6, &["check kafka.brokers"]);
}

#[track_caller]
fn without_daemon(host: &str, words: &[&str]) {
    let site = Site::new();
    for arguments in [
        &["report", "--profile", "smoke", "--stack", "containers"][..],
        &["up", "--stack", "containers"],
        &["images", "build"],
    ] {
        let mut command = site.tool(arguments);
        command.env("DOCKER_HOST", host);
        let said = site.run_command(command);
        said.fails(6, words);
    }
    assert_eq!(site.names(), [] as [&str; 0]);
}

#[test]
fn no_container_daemon_ends_with_what_was_tried_and_what_to_do() {
    let site = Site::new();
    let dead = site.path("docker.sock");
    // The socket stays when its server goes.
    drop(UnixListener::bind(&dead).unwrap());
    let dead = format!("unix://{}", dead.display());
    let remedy = ["DOCKER_HOST", "--stack embedded"];
    without_daemon(&dead, &[&[dead.as_str()], &remedy[..]].concat());
    without_daemon(
        "unix:///nowhere/docker.sock",
        &[&["/nowhere/docker.sock"], &remedy[..]].concat(),
    );
    let http = Http::start();
    let other = format!("tcp://{}", http.address);
    without_daemon(&other, &[&[other.as_str()], &remedy[..]].concat());
    without_daemon(
        "docker at home",
        &[&["no container daemon can be at docker at home"], &remedy[..]].concat(),
    );
}

/// An image that was asked for by name is not replaced by another.
#[tokio::test]
async fn an_image_that_is_not_to_be_had_is_named() {
    if image_of(Component::Redis).await.is_none() {
        return;
    }
    let site = Site::new();
    for stack in ["containers", "auto"] {
        let image = "redis=registry.invalid/redis:0";
        let said = site.run(&[
            "up",
            "--stack",
            stack,
            "--no-service",
            "--only",
            "redis",
            "--image",
            image,
        ]);
        said.fails(
            6,
            &["registry.invalid/redis:0 for redis is not local", "--image redis=NAME"],
        );
    }
}
