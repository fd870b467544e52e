//! `export` of what is no recording, to where nothing can be written, and to who does not listen.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use soundcheck::recording::model::{Environment, Tool};
use soundcheck::recording::{Manifest, RecordingWriter, RunClock, SeriesKind};
use soundcheck::stack::ports;
use soundcheck::units::Nanos;

use crate::tool::Site;

/// A drill of which a single scrape is left.
fn record(site: &Site) {
    record_scrapes(site, 1);
}

/// The same of which so many are.
fn record_scrapes(site: &Site, n: u64) {
    let tool = Tool {
        version: "0".to_owned(),
        commit: None,
    };
    let manifest = Manifest::new("incident", tool, 1, Environment::default(), RunClock::start().anchor());
    let writer = RecordingWriter::create(&site.path("run"), &manifest).unwrap();
    {
        let mut series = writer.series();
        let id = series
            .define(
                "mysql",
                "threads",
                &std::collections::BTreeMap::new(),
                SeriesKind::Gauge,
            )
            .unwrap();
        for scrape in 0..n {
            let at = Nanos(scrape * 1_000_000_000 + 1);
            series.sample(at, "mysql", &[(id, 3.0)]).unwrap();
        }
    }
    writer.close().unwrap();
}

#[test]
fn what_is_no_recording_or_was_edited_is_named_and_nothing_is_written() {
    let site = Site::new();
    site.run(&["export", "nowhere", "--as", "csv", "--out", "a.csv"])
        .fails(2, &["nowhere is no recording"]);
    record(&site);
    let path = site.path("run/series.ndjson");
    let edited = fs::read_to_string(&path).unwrap().replace("3.0", "4.0");
    fs::write(&path, edited).unwrap();
    for how in [
        &["--as", "csv", "--out", "a.csv"][..],
        &["--as", "junit"],
        &["--remote-write", "http://127.0.0.1:9/api/v1/write"],
    ] {
        site.run(&[&["export", "run"], how].concat())
            .fails(2, &["edited after the recording was closed", "series.ndjson"]);
    }
    assert_eq!(site.names(), ["run"]);
}

#[test]
fn how_to_export_must_be_said_and_once() {
    let site = Site::new();
    record(&site);
    site.run(&["export", "run"])
        .fails(2, &["--as <FORMAT>", "--remote-write"]);
    site.run(&["export", "run", "--as", "xlsx"]).fails(2, &["csv, junit"]);
    let url = "http://127.0.0.1:9/api/v1/write";
    site.run(&["export", "run", "--as", "csv", "--remote-write", url])
        .fails(2, &["cannot be used with"]);
    site.run(&["export", "run", "--remote-write", "127.0.0.1:9090"])
        .fails(2, &["http://127.0.0.1:9090/api/v1/write"]);
}

#[test]
fn an_earlier_export_gives_way_and_nothing_else_does() {
    let site = Site::new();
    record(&site);
    for _ in 0..2 {
        let said = site.run(&["export", "run", "--as", "csv", "--out", "a.csv"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let text = fs::read_to_string(site.path("a.csv")).unwrap();
        assert!(text.contains(",mysql,,,threads,,3,"), "{text}");
        let printed = site.run(&["export", "run", "--as", "csv"]);
        assert_eq!((printed.code, printed.stdout), (Some(0), text));
    }
    let mine = site.write("mine.csv", "name,price\n");
    site.run(&["export", "run", "--as", "csv", "--out", &mine])
        .fails(2, &["mine.csv is there already", "remove it, or name another file"]);
    assert_eq!(fs::read_to_string(&mine).unwrap(), "name,price\n");
    for place in ["no/folder/a.csv", "run"] {
        site.run(&["export", "run", "--as", "csv", "--out", place])
            .fails(2, &[place, "this user may write"]);
    }
    // Before minutes of measuring.
    site.run(&["run", "smoke", "--stack", "embedded", "--junit", &mine])
        .fails(2, &["is no earlier JUnit export"]);
    assert_eq!(site.names(), ["a.csv", "mine.csv", "run"]);
}

#[test]
fn a_reader_who_has_gone_has_seen_enough_and_a_full_disk_is_named() {
    let site = Site::new();
    record(&site);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let gone = site.run_into(site.tool(&["export", "run", "--as", "csv"]), writer);
    assert_eq!((gone.code, gone.stderr.as_str()), (Some(0), ""));
    // Always full.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let said = site.run_into(site.tool(&["export", "run", "--as", "csv"]), full);
    said.fails(2, &["cannot write the result to standard output", "free some space"]);
}

#[test]
fn a_server_that_is_away_or_is_another_one_is_named_without_its_password() {
    let site = Site::new();
    record(&site);
    let reserved = ports::reserve().unwrap();
    let away = format!("http://me:secret@{}/api/v1/write", reserved.address());
    let said = site.run(&["export", "run", "--remote-write", &away]);
    assert!(!said.stderr.contains("secret"), "{said:?}");
    said.fails(2, &["cannot reach http://me:***@127.0.0.1", "remote write"]);
}

/// Also where a value is wrong, its secret is not printed.
#[test]
fn of_a_wrong_url_or_header_the_flag_is_named_and_not_the_secret() {
    let site = Site::new();
    record(&site);
    let url = "http://127.0.0.1:9/api/v1/write";
    let flag = "the URL after --remote-write is wrong";
    for wrong in [
        "http://me:s3/cret@127.0.0.1:9/api/v1/write",
        "http://me:s3cret@127.0.0.1:port/api/v1/write",
        "http://me:s3cret@/api/v1/write",
        "ftp://me:s3cret@127.0.0.1/write",
    ] {
        let said = site.run(&["export", "run", "--remote-write", wrong]);
        assert!(!said.stderr.contains("cret"), "{said:?}");
        said.fails(2, &[flag, "as in http://127.0.0.1:9090/api/v1/write", "as %2F"]);
    }
    for (wrong, why) in [
        ("Authorization Bearer s3cret", "no colon"),
        ("Authorization Bearer s3cret:1", "no name of a header"),
        ("Authorization: Bearer s3cret\u{1}", "a control character"),
    ] {
        let said = site.run(&[
            "export",
            "run",
            "--remote-write",
            url,
            "--header",
            "X-Scope-OrgID: 1",
            "--header",
            wrong,
        ]);
        assert!(!said.stderr.contains("cret"), "{said:?}");
        said.fails(2, &["header 2 of --header is wrong", why, "write it as `NAME: VALUE`"]);
    }
    // One that is right is shown when it cannot be reached.
    let reserved = ports::reserve().unwrap();
    let away = format!("http://{}/w?token=s3cret", reserved.address());
    let said = site.run(&["export", "run", "--remote-write", &away]);
    assert!(!said.stderr.contains("cret"), "{said:?}");
    said.fails(2, &["cannot reach http://127.0.0.1", "/w?token=***"]);
}

/// Takes one request, answers it with `status`, and returns its head.
fn answer(listener: &TcpListener, status: &str) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut request = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        let n_read = request.read_line(&mut line).unwrap();
        assert!(
            n_read > 0,
            "the connection ended within the head of the request: {head:?}"
        );
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.unwrap_or_else(|| panic!("the request does not say how long it is: {head:?}"));
    let mut body = vec![0; length.parse().unwrap()];
    request.read_exact(&mut body).unwrap();
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    request.get_mut().write_all(answer.as_bytes()).unwrap();
    head
}

/// Five thousand samples a request, the last of which is the mark that the series is over.
#[test]
fn a_refusal_in_the_middle_tells_what_arrived_and_what_was_not_sent() {
    let site = Site::new();
    record_scrapes(&site, 21_999);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for status in ["200 OK", "400 Bad Request", "429 Too Many Requests"] {
            answer(&listener, status);
        }
        listener
    });
    let said = site.run(&["export", "run", "--remote-write", &url]);
    said.fails(
        2,
        &[
            "took 5000 of 22000 samples: it refused 10000, at last with 429 Too Many Requests",
            ", and the other 7000 were not sent; ",
        ],
    );
    let listener = server.join().unwrap();
    listener.set_nonblocking(true).unwrap();
    let more = listener.accept().map(|(_, from)| from);
    assert!(more.is_err(), "it was sent on: {more:?}");
}

#[test]
fn the_headers_of_the_caller_reach_the_server() {
    let site = Site::new();
    record(&site);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || answer(&listener, "204 No Content"));
    let said = site.run(&[
        "export",
        "run",
        "--remote-write",
        &url,
        "--header",
        "Authorization: Bearer s3cret",
        "--header",
        "X-Scope-OrgID: 7",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!format!("{said:?}").contains("s3cret"), "{said:?}");
    let head = server.join().unwrap();
    for line in [
        "POST /api/v1/write HTTP/1.1",
        "authorization: Bearer s3cret",
        "x-scope-orgid: 7",
    ] {
        assert!(head.iter().any(|sent| sent == line), "no `{line}` in {head:?}");
    }
}
