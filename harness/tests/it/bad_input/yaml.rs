//! Configuration files with unknown keys and wrong units: file, line and the nearest known key, all at once.

use crate::containers::{can_open_a_stack, containers_of};
use crate::tool::{Said, Site};

/// Six errors, each of another sort.
const SERVICE: &str = "\
database:
  url: postgres://127.0.0.1/x
cache:
  ttl: 5
  stampeed: none
lockin: none
pool:
  size: many
token.secret: 0123456789abcdef
queue.mode: zset
";

const SERVICE_ERRORS: [&str; 6] = [
    ":2: `database.url` must be sqlite://PATH or mysql://",
    ":4: `cache.ttl` must be a duration with a unit such as 200ms, 2s or 5m, not `5`",
    ":5: unknown key `cache.stampeed`; did you mean `cache.stampede`?",
    ":6: unknown key `lockin`; did you mean `locking`?",
    ":8: `pool.size` must be a whole number from 1 to 1024, not `many`",
    ":10: `queue.mode: zset` cannot be honoured without redis.url; use sql, or set redis.url",
];

#[test]
fn every_command_of_the_service_tells_every_error_of_its_file() {
    let site = Site::new();
    let file = site.write("service.yaml", SERVICE);
    let expected = SERVICE_ERRORS.map(|error| format!("{file}{error}"));
    let words: Vec<&str> = expected.iter().map(String::as_str).chain(["has 6 error(s)"]).collect();
    for command in [
        &["service", "serve"][..],
        &["service", "migrate"],
        &["service", "seed"],
        &["service", "index", "covering"],
        &["service", "audit"],
        &["service", "dlt", "list"],
        &["dlt", "replay"],
    ] {
        let said = site.run(&[command, &["--config", &file]].concat());
        said.fails(2, &words);
    }
    assert_eq!(site.names(), ["service.yaml"], "nothing was made");
}

#[test]
fn what_is_no_file_of_keys_is_named() {
    let site = Site::new();
    let cases: [(&str, &[u8], &[&str]); 5] = [
        ("open.yaml", b"cache: {ttl: 2s", &["open.yaml: not YAML", "line 1"]),
        ("list.yaml", b"- cache\n", &["list.yaml: expected `key: value` lines"]),
        (
            "twice.yaml",
            b"locking: none\nlocking: none\n",
            &["twice.yaml: not YAML", "duplicate"],
        ),
        (
            "empty.yaml",
            b"",
            &["`database.url` is missing", "`token.secret` is missing"],
        ),
        ("bytes.yaml", b"\xff\xfe\x00", &["cannot read ", "bytes.yaml"]),
    ];
    for (name, text, words) in cases {
        let file = site.write(name, text);
        site.run(&["service", "migrate", "--config", &file]).fails(2, words);
    }
    let folder = site.path("").display().to_string();
    site.run(&["service", "serve", "--config", &folder])
        .fails(2, &["cannot read ", &folder]);
    site.run(&["service", "serve", "--config", "nowhere.yaml"])
        .fails(2, &["cannot read nowhere.yaml"]);
}

/// `up` with settings that only the service can judge, which it does when its stack is there.
#[track_caller]
fn up(stack: &str) -> Said {
    let settings = ["--set", "lockin=none", "--set", "cache.ttl=5"];
    let said = Site::new().run(&[&["up", "--stack", stack], &settings[..]].concat());
    said.fails(
        2,
        &[
            "the service refuses what --set says",
            "unknown key `lockin`; did you mean `locking`?",
            "`cache.ttl` must be a duration with a unit",
        ],
    );
    said
}

#[test]
fn a_setting_that_the_service_refuses_ends_what_was_brought_up_for_it() {
    up("embedded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_the_service_refuses_leaves_no_containers() {
    if can_open_a_stack().await {
        let said = up("containers");
        said.tells(&["mysql: ready", "redis: ready", "kafka: ready"]);
        assert_eq!(containers_of(said.pid).await, [] as [String; 0]);
    }
}

#[test]
fn a_variable_that_is_no_key_is_named() {
    let site = Site::new();
    let mut command = site.tool(&["service", "migrate", "--set", "database.url=sqlite://a.db"]);
    command
        .env("SOUNDCHECK_SERVICE_TOKEN__SECRET", "short")
        .env("SOUNDCHECK_SERVICE_CACHE__TLT", "2s");
    let said = site.run_command(command);
    said.fails(
        2,
        &[
            "SOUNDCHECK_SERVICE_CACHE__TLT: unknown key `cache.tlt`; did you mean `cache.ttl`?",
            "SOUNDCHECK_SERVICE_TOKEN__SECRET: `token.secret` must be at least 16 characters",
        ],
    );
    assert!(!said.stderr.contains("short"), "a secret is shown: {said:?}");
}
