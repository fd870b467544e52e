//! `soundcheck dashboards`: a folder that is none, files that make no sense or are out of date, and addresses where no
//! Prometheus is.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use soundcheck::stack::ports;

use crate::disk::Disk;
use crate::tool::Site;

const OBJECTIVES: &str = "\
period: 30d
runbooks: http://127.0.0.1:3000/d/runbook-
alerts:
  - name: Down
    severity: page
    says: it is down
    when: up == 0
    runbook: down
    fires: {series: {up: '0x10'}, at: 1m}
    silent: {series: {up: '1x10'}, at: 1m}
";
const DASHBOARDS: &str = "\
- uid: first
  title: First
  answers: Is it up?
  runbook: down
  panels:
    - {title: Up, says: Up., unit: short, no-threshold: n, queries: [{expr: up, legend: up}]}
- uid: second
  title: Second
  answers: Is it down?
  runbook: down
  panels:
    - {title: Down, says: Down., unit: short, no-threshold: n, queries: [{expr: up == 0, legend: down, empty: it is up}]}
";
const RUNBOOK: &str = "\
# Down

Alert: `Down`.

## Symptom
It does not answer.
## Where to look
There.
## How to confirm
So.
## How to mitigate
Start it.
";
const WRITTEN: [&str; 5] = [
    "grafana/first.json",
    "grafana/runbook-down.json",
    "grafana/second.json",
    "prometheus/rules/booking.yml",
    "prometheus/tests/booking.yml",
];

/// Sources that make sense, in `folder`.
fn sources(folder: &Path) {
    fs::create_dir_all(folder.join("runbooks")).unwrap();
    for (name, text) in [
        ("objectives.yaml", OBJECTIVES),
        ("dashboards.yaml", DASHBOARDS),
        ("runbooks/down.md", RUNBOOK),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// A site with a folder of dashboards; its files are written where `is_written`.
fn site(is_written: bool) -> Site {
    let site = Site::new();
    sources(&site.path("dashboards"));
    if is_written {
        let said = site.run(&["dashboards"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        for name in WRITTEN {
            assert!(
                said.stdout.contains(&format!("dashboards/{name}: written\n")),
                "{said:?}"
            );
            assert!(site.path("dashboards").join(name).is_file(), "{name}");
        }
        let said = site.run(&["dashboards", "--check"]);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (Some(0), "all files are up to date\n"),
            "{said:?}"
        );
    }
    site
}

/// One text of a file of the folder gives way to another.
fn change(site: &Site, name: &str, from: &str, to: &str) {
    let path = site.path("dashboards").join(name);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "`{from}` in {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_folder_that_is_none_is_named() {
    let site = Site::new();
    site.run(&["dashboards", "nowhere"]).fails(
        2,
        &["nowhere/runbooks cannot be read; name the folder of dashboards: No such file"],
    );
    site.run(&["dashboards", "--check"]).fails(
        2,
        &["dashboards/runbooks cannot be read; name the folder of dashboards"],
    );
    assert_eq!(site.names(), [] as [&str; 0], "a folder is made");
    site.write("notes.txt", "mine");
    site.run(&["dashboards", "notes.txt"]).fails(
        2,
        &[
            "notes.txt/runbooks cannot be read; name the folder of dashboards",
            "Not a directory",
        ],
    );
    fs::create_dir_all(site.path("other/runbooks")).unwrap();
    site.run(&["dashboards", "other"]).fails(
        2,
        &[
            "other/objectives.yaml cannot be read; name the folder of dashboards",
            "No such file",
        ],
    );
}

#[test]
fn sources_that_make_no_sense_are_told_and_nothing_is_written() {
    let site = site(false);
    let tried = |words: &[&str]| {
        for arguments in [
            &["dashboards"][..],
            &["dashboards", "--check"],
            &["dashboards", "--ask", "http://127.0.0.1:9"],
        ] {
            site.run(arguments).fails(2, words);
        }
        sources(&site.path("dashboards"));
    };
    change(
        &site,
        "objectives.yaml",
        "severity: page",
        "severity: pager\n    urgent: true",
    );
    change(&site, "objectives.yaml", "period: 30d", "period: 30");
    tried(&[
        "dashboards/objectives.yaml:1: `period`: `30` has no unit; write `30s`",
        "dashboards/objectives.yaml:5: `alerts[0].severity`: unknown name `pager`; did you mean `page`?",
        "dashboards/objectives.yaml:6: `alerts[0].urgent`: unknown name `urgent`",
    ]);
    change(&site, "dashboards.yaml", "uid: second", "uid: first");
    tried(&["dashboards/dashboards.yaml:7: `[1].uid`: `first` is another dashboard's already"]);
    // Nothing is written outside of the folder.
    change(&site, "dashboards.yaml", "uid: second", "uid: ../../outside");
    tried(&["dashboards/dashboards.yaml:7: `[1].uid`: `../../outside` is not at most 40 letters"]);
    change(&site, "dashboards.yaml", "up?\n  runbook: down", "up?\n  runbook: up");
    tried(&["there is no runbook `up`, which the panel “Up” names; write runbooks/up.md"]);
    change(&site, "runbooks/down.md", "## How to confirm", "## How to see");
    tried(&["runbooks/down.md lacks the part `## How to confirm`"]);
    fs::write(site.path("dashboards/objectives.yaml"), b"period: \xff").unwrap();
    tried(&["dashboards/objectives.yaml cannot be read", "UTF-8"]);
    assert_eq!(site.names(), ["dashboards"]);
    let mut left: Vec<_> = fs::read_dir(site.path("dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["dashboards.yaml", "objectives.yaml", "runbooks"]);
}

#[test]
fn what_is_out_of_date_or_left_over_is_named_and_only_then_mended() {
    let site = site(true);
    let anew = "write anew with `soundcheck dashboards dashboards`";
    // By hand, by its sources, and not there at all.
    change(&site, "grafana/first.json", "\"Is it up?\"", "\"Is it?\"");
    change(&site, "objectives.yaml", "up == 0", "up < 1");
    fs::remove_file(site.path("dashboards/grafana/runbook-down.json")).unwrap();
    let said = site.run(&["dashboards", "--check"]);
    said.fails(
        2,
        &[anew, "not what objectives.yaml, dashboards.yaml and runbooks say: "],
    );
    for (name, is_outdated) in WRITTEN.iter().zip([true, true, false, true, false]) {
        assert_eq!(said.stderr.contains(name), is_outdated, "{name}: {said:?}");
    }
    let edited = fs::read_to_string(site.path("dashboards/grafana/first.json")).unwrap();
    assert!(edited.contains("\"Is it?\""), "a check has written");
    assert_eq!(site.run(&["dashboards"]).code, Some(0));
    assert_eq!(site.run(&["dashboards", "--check"]).code, Some(0));
    // What nothing stands for any more goes, and what is somebody else's stays.
    let theirs = site.path("dashboards/grafana/theirs.json");
    fs::write(&theirs, "{\"title\": \"Mine\", \"tags\": []}").unwrap();
    assert_eq!(site.run(&["dashboards", "--check"]).code, Some(0));
    let (first, _) = DASHBOARDS.split_once("- uid: second").unwrap();
    fs::write(site.path("dashboards/dashboards.yaml"), first).unwrap();
    let said = site.run(&["dashboards", "--check"]);
    said.fails(2, &["say: dashboards/grafana/second.json; ", anew]);
    let second = site.path("dashboards/grafana/second.json");
    assert!(second.exists(), "a check has removed");
    let said = site.run(&["dashboards"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (
            Some(0),
            "dashboards/grafana/second.json: removed\nall files are up to date\n"
        ),
        "{said:?}"
    );
    assert!(!second.exists() && theirs.exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let site = Site::new();
    let before = site.path("before");
    sources(&before);
    let disk = Disk {
        size_kib: 1_024,
        is_read_only: true,
        ..Disk::default()
    };
    let folder = Disk::path(&site).display().to_string();
    let Some(used) = disk.run(&site, Some(&before), &[], &["dashboards", &folder]) else {
        return;
    };
    used.said.fails(
        2,
        &[
            &format!("{folder}/prometheus/rules/booking.yml cannot be written"),
            "ead-only",
        ],
    );
}

#[test]
fn a_file_in_the_way_of_a_folder_is_named() {
    let site = site(false);
    fs::write(site.path("dashboards/prometheus"), "mine").unwrap();
    site.run(&["dashboards"])
        .fails(2, &["dashboards/prometheus/rules/booking.yml cannot be written"]);
    assert_eq!(fs::read(site.path("dashboards/prometheus")).unwrap(), b"mine");
}

#[test]
fn an_address_that_is_none_is_wrong_usage_and_its_password_is_not_shown() {
    let site = site(false);
    for wrong in [
        "",
        "127.0.0.1:9090",
        "localhost:9090",
        "mailto:me@example.org",
        "file:///etc/passwd",
        "ftp://me:geheim@127.0.0.1/",
        "http://",
        "http://me:geheim@",
        "http://me:geheim@127.0.0.1:port/",
        "http://me:ge/heim@127.0.0.1:9090",
    ] {
        let said = site.run(&["dashboards", "--ask", wrong]);
        said.fails(
            2,
            &[
                "the URL after --ask is wrong: ",
                "; write it as in http://127.0.0.1:9090",
            ],
        );
        assert!(!said.stderr.contains("heim"), "a password is shown: {said:?}");
    }
    let url = "http://127.0.0.1:9";
    site.run(&["dashboards", "--ask", url, "--check"])
        .fails(2, &["'--ask <URL>' cannot be used with '--check'"]);
    site.run(&["dashboards", "--within", "1s"])
        .fails(2, &["required arguments", "--ask <URL>"]);
    site.run(&["dashboards", "--ask", url, "--within", "5"])
        .fails(2, &["invalid value '5' for '--within"]);
}

#[test]
fn nothing_that_listens_is_told_without_its_password() {
    let site = site(false);
    let reserved = ports::reserve().unwrap();
    let address = reserved.address();
    let said = site.run(&["dashboards", "--ask", &format!("http://me:geheim@{address}")]);
    let expected = format!("no answer from http://me:***@{address}/api/v1/query; is a Prometheus listening there?");
    said.fails(2, &[&expected, "Connection refused"]);
    assert!(!said.stderr.contains("geheim"), "a password is shown: {said:?}");
}

/// A server that answers requests below `path` with a status and a body, or hangs up where there are none. Its address.
fn server(path: &'static str, answer: Option<(&'static str, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some((status, body)) = answer else {
                continue;
            };
            let mut head = BufReader::new(&stream).lines().map_while(Result::ok);
            let asked = head.next().unwrap_or_default();
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let mut questions = ["query?query=", "query_range?start="].into_iter();
            let is_there = questions.any(|question| asked.starts_with(&format!("GET {path}api/v1/{question}")));
            let (status, body) = if is_there {
                (status, body)
            } else {
                ("404 Not Found", "elsewhere")
            };
            // Who asked may be gone by now.
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

#[test]
fn a_server_that_is_no_prometheus_is_named() {
    let site = site(false);
    let refused = r#"{"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end"}"#;
    for (answer, words) in [
        (
            None,
            &["no answer from http://me:***@", "is a Prometheus listening there?"][..],
        ),
        (
            Some(("200 OK", "hello")),
            &["answered 200 OK with what is no JSON; is it a Prometheus?"],
        ),
        (
            Some(("200 OK", "")),
            &["answered 200 OK with what is no JSON; is it a Prometheus?"],
        ),
        (
            Some(("404 Not Found", "<p>away</p>")),
            &["answered 404 Not Found with what is no JSON; is it a Prometheus?"],
        ),
        (
            Some(("200 OK", "{\"status\": 5}")),
            &["answered 200 OK with what Prometheus would not say; is it one?"],
        ),
        (
            Some(("200 OK", "[]")),
            &["answered 200 OK with what Prometheus would not say; is it one?"],
        ),
        // One that is, and that does not understand the question.
        (
            Some(("400 Bad Request", refused)),
            &["the query of First, “Up”, up is refused by Prometheus: parse error: unexpected end: up"],
        ),
    ] {
        let said = site.run(&[
            "dashboards",
            "--ask",
            &format!("http://me:geheim@{}", server("/", answer)),
        ]);
        said.fails(2, words);
        assert!(!said.stderr.contains("geheim"), "a password is shown: {said:?}");
    }
}

/// No data never passes: what has no answer and no reason for that is unknown.
#[test]
fn a_prometheus_without_data_is_unknown_and_one_with_data_passes() {
    let site = site(false);
    let nothing = r#"{"status": "success", "data": {"resultType": "vector", "result": []}}"#;
    let url = format!(
        "http://{}/prometheus",
        server("/prometheus/", Some(("200 OK", nothing)))
    );
    for within in ["0s", "1ms"] {
        let said = site.run(&["dashboards", "--ask", &url, "--within", within]);
        assert_eq!((said.code, said.stderr.as_str()), (Some(4), ""), "{said:?}");
        assert_eq!(
            said.stdout,
            "nothing, as it may be: Second, “Down”, down: it is up\n\
             nothing, as it may be: the alert Down: an alert that does not fire returns nothing\n\
             NOTHING: First, “Up”, up: up\n\
             NOTHING: what the alert Down looks at: count(up)\n\
             0 of 4 queries have an answer, and 2 should have one and do not\n"
        );
    }
    let one =
        r#"{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}]}}"#;
    let said = site.run(&[
        "dashboards",
        "--ask",
        &format!("http://{}", server("/", Some(("200 OK", one)))),
    ]);
    assert_eq!(
        (said.code, said.stdout.as_str(), said.stderr.as_str()),
        (
            Some(0),
            "4 of 4 queries have an answer, and 0 should have one and do not\n",
            ""
        ),
        "{said:?}"
    );
    assert_eq!(site.names(), ["dashboards"]);
}
