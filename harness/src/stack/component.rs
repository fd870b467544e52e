//! The parts of a stack, and where they can be reached.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something the service depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// MySQL, or SQLite where nothing is installed.
    #[value(name = "mysql")]
    Database,
    Redis,
    Kafka,
}

impl Component {
    /// Every one, in the order of the service's configuration.
    pub const ALL: [Self; 3] = [Self::Database, Self::Redis, Self::Kafka];

    /// Its name in options and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "mysql",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which kind of stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StackKind {
    Containers,
    External,
    Embedded,
}

impl fmt::Display for StackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Containers => "containers",
            Self::External => "external",
            Self::Embedded => "embedded",
        })
    }
}

/// What a component is made of, for the manifest and for every chart's subtitle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EngineInfo {
    pub component: Component,
    /// Such as `MySQL` or `SQLite`.
    pub engine: String,
    /// As the engine says; `None` when it does not.
    pub version: Option<String>,
    /// The image it runs from, when it is a container of ours.
    pub image: Option<String>,
    /// The image's content digest.
    pub image_digest: Option<String>,
}

/// Where the components are, for one party.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoints {
    /// `mysql://…` without a schema, or `sqlite://PATH`.
    pub database_url: String,
    /// `None` where there is no Redis.
    pub redis_url: Option<String>,
    /// `HOST:PORT,…`; `None` where there is no broker.
    pub kafka_brokers: Option<String>,
}

impl Endpoints {
    /// Whether the database is SQLite, so that its numbers must be marked as such.
    pub fn is_sqlite(&self) -> bool {
        self.database_url.starts_with("sqlite:")
    }

    /// Where one component is; `None` where it is not part of the stack.
    pub fn url(&self, component: Component) -> Option<&str> {
        match component {
            Component::Database => Some(self.database_url.as_str()).filter(|url| !url.is_empty()),
            Component::Redis => self.redis_url.as_deref(),
            Component::Kafka => self.kafka_brokers.as_deref(),
        }
    }

    /// Says where one component is.
    pub fn set_url(&mut self, component: Component, url: String) {
        match component {
            Component::Database => self.database_url = url,
            Component::Redis => self.redis_url = Some(url),
            Component::Kafka => self.kafka_brokers = Some(url),
        }
    }
}

/// The URL with the password masked, for messages and recordings.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // The last @ of the authority ends the user's part; a password may hold an unescaped one.
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let at = match authority.rfind('@') {
        // An unescaped `/`, `?` or `#` of a password ends the authority too early.
        None if names_no_host(authority) => rest.rfind('@'),
        at => at,
    };
    let Some(at) = at else {
        return url.to_owned();
    };
    match rest[..at].split_once(':') {
        Some((user, password)) if !password.is_empty() => format!("{scheme}://{user}:***{}", &rest[at..]),
        _ => url.to_owned(),
    }
}

/// Whether this cannot be `HOST:PORT`, so that it may be a user and the beginning of a password.
fn names_no_host(authority: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    let is_ipv6 = authority.starts_with('[');
    !is_ipv6 && authority.split_once(':').is_some_and(|(_, rest)| !is_port(rest))
}

/// Where `HOST:PORT` stands in a URL, or in a broker's address; `None` for a file, or several brokers.
fn authority(url: &str) -> Option<std::ops::Range<usize>> {
    let start = match url.find("://") {
        Some(_) if url.starts_with("sqlite:") => return None,
        Some(at) => at + "://".len(),
        None => 0,
    };
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    let start = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
    (start < end && !url[start..end].contains(',')).then_some(start..end)
}

/// `HOST:PORT` of a server's URL, with the usual port where none is written; `None` for a file, or several brokers.
pub fn address_of(url: &str) -> Option<String> {
    let authority = &url[authority(url)?];
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let usual_port = match url.split_once("://") {
        _ if has_port => return Some(authority.to_owned()),
        Some(("mysql", _)) => 3306,
        Some(("redis", _)) => 6379,
        Some(_) => return None,
        None => 9092,
    };
    Some(format!("{authority}:{usual_port}"))
}

/// The URL with another `HOST:PORT`.
pub fn with_address(url: &str, address: &str) -> String {
    let mut url = url.to_owned();
    if let Some(authority) = authority(&url) {
        url.replace_range(authority, address);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_masked(url: &str, expected: &str) {
        assert_eq!(without_password(url), expected);
    }

    #[track_caller]
    fn check_address(url: &str, address: Option<&str>, elsewhere: &str) {
        assert_eq!(address_of(url).as_deref(), address);
        assert_eq!(with_address(url, "e:1"), elsewhere);
    }

    #[test]
    fn addresses_are_found_and_replaced() {
        check_address(
            "mysql://root:a@b@h:33/s?x=1",
            Some("h:33"),
            "mysql://root:a@b@e:1/s?x=1",
        );
        check_address("mysql://root@h", Some("h:3306"), "mysql://root@e:1");
        check_address("redis://h/0", Some("h:6379"), "redis://e:1/0");
        check_address("redis://[::1]:7", Some("[::1]:7"), "redis://e:1");
        check_address("h:9093", Some("h:9093"), "e:1");
        check_address("a:1,b:2", None, "a:1,b:2");
        check_address("sqlite:///tmp/a.db", None, "sqlite:///tmp/a.db");
        check_address("", None, "");
    }

    #[test]
    fn passwords_are_masked() {
        check_masked("mysql://root:geheim@h:3306/s?x=1", "mysql://root:***@h:3306/s?x=1");
        check_masked("mysql://root:a@b@h:3306", "mysql://root:***@h:3306");
        check_masked("redis://:geheim@h:6379", "redis://:***@h:6379");
        check_masked("mysql://root:a/b@h:3306/s", "mysql://root:***@h:3306/s");
        check_masked("http://me:a?b@c#d@h/w", "http://me:***@h/w");
        check_masked("http://me:#b@h/w", "http://me:***@h/w");
        check_masked("redis://:/geheim@h:6379", "redis://:***@h:6379");
        check_masked("http://me:99999/a@h", "http://me:***@h");
        check_masked("http://h:9090/a@b?c=d@e", "http://h:9090/a@b?c=d@e");
        check_masked("http://h/a:x@b", "http://h/a:x@b");
        check_masked("redis://[::1]:7/a@b", "redis://[::1]:7/a@b");
        check_masked("mysql://root@h:3306", "mysql://root@h:3306");
        check_masked("sqlite:///tmp/a@b.db", "sqlite:///tmp/a@b.db");
        check_masked("127.0.0.1:9092", "127.0.0.1:9092");
    }
}
