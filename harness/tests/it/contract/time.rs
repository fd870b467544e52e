//! `now` is a parameter of every rule of the service: neither its SQL nor its Lua asks a server for the time.

use std::path::Path;

use crate::{files, root};

/// SQL's and SQLite's ways to ask for the time, as words of their own.
const SQL_WORDS: &[&str] = &[
    "CURDATE",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURTIME",
    "JULIANDAY",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "STRFTIME",
    "SYSDATE",
    "UNIXEPOCH",
    "UNIX_TIMESTAMP",
    "UTC_DATE",
    "UTC_TIME",
    "UTC_TIMESTAMP",
];

/// What is found between quotation marks: SQLite's argument that means now, and the command of Redis.
const QUOTED: &[&str] = &["NOW", "TIME"];

/// Lua's own clock.
const LUA: &[&str] = &["OS.TIME", "OS.CLOCK", "OS.DATE"];

/// Each question for the time in a file's text, as it stands there.
fn questions(text: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for line in text.lines() {
        let code = line.trim_start();
        if code.starts_with("//") || code.starts_with("--") {
            continue;
        }
        let upper = code.to_uppercase();
        let asks_in_sql = upper.split(|c: char| !is_word(c)).any(|word| SQL_WORDS.contains(&word));
        let asks_quoted = QUOTED.iter().any(|word| {
            ['\'', '"']
                .iter()
                .any(|mark| upper.contains(&format!("{mark}{word}{mark}")))
        });
        // `self.now()` and `Paid::Now(…)` are ours; a bare `NOW()`, perhaps with a precision, is SQL's.
        let asks_now = upper.match_indices("NOW(").any(|(at, _)| {
            let is_bare = !upper[..at].ends_with(|c: char| is_word(c) || c == '.' || c == ':');
            let argument = upper[at + "NOW(".len()..].split(')').next().unwrap_or_default().trim();
            is_bare && argument.chars().all(|c| c.is_ascii_digit())
        });
        let asks_in_lua = LUA.iter().any(|call| upper.contains(call));
        if asks_in_sql || asks_quoted || asks_now || asks_in_lua {
            found.push(code.to_owned());
        }
    }
    found
}

#[test]
fn the_service_asks_no_server_for_the_time() {
    let service = root().join("service");
    let mut offences = Vec::new();
    for (folder, ending, at_least) in [("src", ".rs", 60), ("src", ".lua", 10), ("migrations", ".sql", 2)] {
        let files = files(&service.join(folder), ending);
        assert!(
            files.len() >= at_least,
            "only {} files *{ending} in {folder}",
            files.len()
        );
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            offences.extend(
                questions(&text)
                    .iter()
                    .map(|line| format!("{}: {line}", file.display())),
            );
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn only_the_service_s_clock_reads_the_machine_s() {
    let source = root().join("service/src");
    let readers: Vec<_> = files(&source, ".rs")
        .into_iter()
        .filter(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            ["SystemTime::now", "Timestamp::now", "Utc::now", "Zoned::now"]
                .iter()
                .any(|call| text.contains(call))
        })
        .map(|file| file.strip_prefix(&source).unwrap().to_owned())
        .collect();
    assert_eq!(readers, [Path::new("adapters/clock.rs")]);
}

#[test]
fn a_question_for_the_time_is_found() {
    for text in [
        "UPDATE seats SET held_at = NOW() WHERE id = ?",
        "\"SELECT now(6)\"",
        "created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,",
        "WHERE expires_at < unix_timestamp()",
        "datetime('now', '-5 minutes')",
        "SELECT unixepoch()",
        "local t = redis.call('TIME')",
        "redis::cmd(\"time\")",
        "local t = os.time()",
    ] {
        assert_eq!(questions(text).len(), 1, "{text}");
    }
    for text in [
        "let now = self.now();",
        "Ok(Paid::Now(receipt))",
        "fn now(&self) -> Timestamp;",
        "-- no NOW() here",
        "/// Neither NOW() nor CURRENT_TIMESTAMP.",
        "tokio::time::timeout(within, asked)",
        "'queue:deadlines'",
        "known_now(5)",
    ] {
        assert_eq!(questions(text), [] as [&str; 0], "{text}");
    }
}
