//! From text to a [`Config`] that is known to be honourable: every error is collected and reported at once.
//!
//! A value that the chosen database or the missing Redis cannot honour is an error here, not a surprise later.

use std::path::PathBuf;

use super::reader::Reader;
use super::settings::{Cache, Config, Database, Events, Logging, Queue, Resilience, Secret, Tracing};
use super::source::{ConfigError, Source};
use super::switches::{CacheMode, EventsMode, Locking, LogTarget, Mutant, Mutants, QueueMode, Stampede};

impl Config {
    /// Validates what `source` gathered.
    ///
    /// # Errors
    /// Everything that is wrong, each with its origin and the expected form.
    pub fn from_source(source: Source) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(source);
        let config = read(&mut reader);
        match config {
            Some(config) if reader.errors.is_empty() => Ok(config),
            _ => Err(ConfigError(reader.errors)),
        }
    }
}

fn read(reader: &mut Reader) -> Option<Config> {
    let namespace = reader.with_default("namespace", "soundcheck", "1 to 48 of [a-z0-9_]", namespace);
    let listen = reader.with_default(
        "listen",
        "127.0.0.1:8080",
        "an address and port such as 127.0.0.1:8080",
        |text| text.parse().ok(),
    );
    let database = reader.required(
        "database.url",
        "sqlite://PATH or mysql://USER[:PASSWORD]@HOST:PORT without a schema",
        database,
    );
    let redis_url = reader.optional("redis.url", "redis://HOST:PORT", |text| {
        ["redis://", "rediss://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
            .then(|| Secret::new(text))
    });
    let kafka_brokers = reader.optional("kafka.brokers", "HOST:PORT[,HOST:PORT…]", |text| {
        let valid = text.split(',').all(|broker| {
            broker
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.trim().is_empty() && port.trim().parse::<u16>().is_ok())
        });
        valid.then(|| text.to_owned())
    });
    let has_redis = redis_url.is_some();
    let is_sqlite = matches!(database, Some(Database::Sqlite(_)));

    let cache_default = if has_redis { "tiered" } else { "local" };
    let cache = Cache {
        mode: reader.switch(
            "cache.mode",
            cache_default,
            CacheMode::ALL,
            CacheMode::parse,
            CacheMode::name,
        )?,
        ttl: reader.duration("cache.ttl", "2s")?,
        stampede: reader.switch(
            "cache.stampede",
            "single-flight",
            Stampede::ALL,
            Stampede::parse,
            Stampede::name,
        )?,
    };
    let locking = reader.switch(
        "locking",
        "conditional-update",
        Locking::ALL,
        Locking::parse,
        Locking::name,
    )?;
    let pool_size = reader.integer("pool.size", "16", 1, 1024)?;
    let events = Events {
        mode: reader.switch(
            "events.mode",
            "outbox",
            EventsMode::ALL,
            EventsMode::parse,
            EventsMode::name,
        )?,
        shards: reader.integer("events.shards", "8", 1, 256)?,
        partitions: reader.integer("events.partitions", "6", 1, 256)?,
        lease_ttl: reader.duration("events.lease_ttl", "5s")?,
        retry_attempts: reader.integer("events.retry_attempts", "3", 0, 100)?,
        retry_backoff: reader.duration("events.retry_backoff", "200ms")?,
    };
    let queue_default = if has_redis { "zset" } else { "sql" };
    let queue = Queue {
        mode: reader.switch(
            "queue.mode",
            queue_default,
            QueueMode::ALL,
            QueueMode::parse,
            QueueMode::name,
        )?,
        capacity: reader.integer("queue.capacity", "100", 1, 1_000_000)?,
        active_ttl: reader.duration("queue.active_ttl", "5m")?,
        waiting_ttl: reader.duration("queue.waiting_ttl", "2m")?,
    };
    let hold_ttl = reader.duration("hold.ttl", "5m")?;
    let sweep_interval = reader.duration("sweep.interval", "1s")?;
    let resilience = Resilience {
        enabled: reader.flag("resilience.mode", "on")?,
        request_timeout: reader.duration("resilience.request_timeout", "2s")?,
        max_in_flight: reader.integer("resilience.max_in_flight", "512", 1, 1_000_000)?,
    };
    let token_secret = reader.required("token.secret", "at least 16 characters", |text| {
        (text.len() >= 16).then(|| Secret::new(text))
    });
    let logging = Logging {
        to: reader.switch(
            "logging.to",
            "stdout",
            LogTarget::ALL,
            LogTarget::parse,
            LogTarget::name,
        )?,
        level: reader.with_default(
            "logging.level",
            "info",
            "a filter such as info or booking_service=debug",
            |text| {
                text.parse::<tracing_subscriber::filter::Targets>()
                    .ok()
                    .map(|_| text.to_owned())
            },
        )?,
        headers: reader.flag("logging.headers", "off")?,
        bodies: reader.flag("logging.bodies", "off")?,
        sample_ratio: reader.share("logging.sample", "1")?,
    };
    let otlp_endpoint = reader.optional("tracing.otlp_endpoint", "http://HOST:PORT, or nothing", |text| {
        let is_sound = text.is_empty() || is_address(text);
        is_sound.then(|| Some(Secret::new(text)).filter(|_| !text.is_empty()))
    });
    let tracing = Tracing {
        otlp_endpoint: otlp_endpoint.flatten(),
        sample_ratio: reader.share("tracing.sample_ratio", "1")?,
    };
    let mutants = mutants(reader);

    // What the chosen parts cannot honour.
    let needs_redis = "without redis.url";
    if matches!(cache.mode, CacheMode::Redis | CacheMode::Tiered) && !has_redis {
        reader.refuse("cache.mode", cache.mode.name(), needs_redis, "off | local");
    }
    if matches!(queue.mode, QueueMode::Zset | QueueMode::List) && !has_redis {
        reader.refuse("queue.mode", queue.mode.name(), needs_redis, "sql, or set redis.url");
    }
    if queue.mode == QueueMode::Sql && database.is_some() && !is_sqlite {
        reader.refuse("queue.mode", "sql", "on MySQL", "zset | list with redis.url");
    }
    if locking == Locking::RedisLock && !has_redis {
        reader.refuse(
            "locking",
            "redis-lock",
            needs_redis,
            "conditional-update | optimistic | immediate",
        );
    }
    if locking == Locking::Pessimistic && is_sqlite {
        reader.refuse(
            "locking",
            "pessimistic",
            "on SQLite",
            "conditional-update | optimistic | immediate",
        );
    }
    if locking == Locking::Immediate && database.is_some() && !is_sqlite {
        let others = "conditional-update | optimistic | pessimistic | redis-lock";
        reader.refuse("locking", "immediate", "on MySQL", others);
    }
    if events.mode == EventsMode::Direct && kafka_brokers.is_none() {
        reader.refuse("events.mode", "direct", "without kafka.brokers", "outbox");
    }
    Some(Config {
        namespace: namespace?,
        listen: listen?,
        database: database?,
        redis_url,
        kafka_brokers,
        cache,
        locking,
        pool_size,
        events,
        queue,
        hold_ttl,
        sweep_interval,
        resilience,
        token_secret: token_secret?,
        logging,
        tracing,
        mutants,
    })
}

/// Whether `text` is where something may be sent by HTTP.
fn is_address(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    })
}

fn namespace(text: &str) -> Option<String> {
    let valid = (1..=48).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    valid.then(|| text.to_owned())
}

fn database(text: &str) -> Option<Database> {
    if let Some(path) = text.strip_prefix("sqlite://") {
        return (!path.is_empty()).then(|| Database::Sqlite(PathBuf::from(path)));
    }
    let rest = text.strip_prefix("mysql://")?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_sound = !address.is_empty() && path.is_empty() && text.parse::<sqlx::mysql::MySqlConnectOptions>().is_ok();
    is_sound.then(|| Database::MySql(Secret::new(text)))
}

fn mutants(reader: &mut Reader) -> Mutants {
    let expected = "a list of D1 to D17";
    let parsed = reader.with_default("mutants", "", expected, |text| {
        let names = text.trim_matches(['[', ']']).split(',').map(str::trim);
        names
            .filter(|name| !name.is_empty())
            .map(Mutant::parse)
            .collect::<Option<Vec<_>>>()
    });
    let chosen = parsed.unwrap_or_default();
    if !chosen.is_empty() && !cfg!(feature = "mutants") {
        let origin = reader.origin("mutants");
        reader
            .errors
            .push(format!("{origin}: `mutants` needs a build with the feature `mutants`"));
    }
    chosen.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BASE: &str = "database.url: sqlite:///tmp/x.db\ntoken.secret: 0123456789abcdef\n";

    #[track_caller]
    fn check_errors(yaml: &str, expected: &[&str]) {
        let error = Config::from_source(Source::new().yaml(yaml, "service.yaml")).unwrap_err();
        assert_eq!(error.0, expected);
    }

    #[test]
    fn defaults_follow_what_is_at_hand() {
        let config = Config::from_source(Source::new().yaml(BASE, "a")).unwrap();
        assert_eq!(
            (config.cache.mode, config.queue.mode),
            (CacheMode::Local, QueueMode::Sql)
        );
        let with_redis = Source::new().yaml(BASE, "a").flags(&["redis.url=redis://h:1"]);
        let config = Config::from_source(with_redis).unwrap();
        assert_eq!(
            (config.cache.mode, config.queue.mode),
            (CacheMode::Tiered, QueueMode::Zset)
        );
    }

    #[test]
    fn later_sources_win() {
        let env = [("SOUNDCHECK_SERVICE_POOL__SIZE".to_owned(), "7".to_owned())];
        let source = Source::new().yaml(&format!("{BASE}pool: {{size: 3}}\n"), "a").env(env);
        assert_eq!(Config::from_source(source).unwrap().pool_size, 7);
        let source = Source::new().yaml(BASE, "a").flags(&["pool.size=9"]);
        assert_eq!(Config::from_source(source).unwrap().pool_size, 9);
    }

    /// `off` and a time to live cannot both stand below `cache`, so that the section's name alone means its mode.
    #[test]
    fn a_section_s_name_alone_stands_for_its_mode_in_every_source() {
        let env = |name: &str, text: &str| [(format!("SOUNDCHECK_SERVICE_{name}"), text.to_owned())];
        let with = |yaml: &str| Source::new().yaml(&format!("{BASE}{yaml}"), "a");
        let modes = |source| {
            let config = Config::from_source(source).unwrap();
            (config.cache.mode, config.resilience.enabled)
        };
        let is_off = (CacheMode::Off, false);
        assert_eq!(modes(with("cache: off\nresilience: off\n")), is_off);
        assert_eq!(modes(with("cache: off\ncache.ttl: 5s\nresilience.mode: off\n")), is_off);
        let both = [env("CACHE", "off"), env("RESILIENCE__MODE", "off")].concat();
        assert_eq!(modes(with("cache: local\n").env(both)), is_off);
        assert_eq!(modes(with("").flags(&["cache=off", "resilience=off"])), is_off);
        // It is the same key, so that a later source wins whichever name each uses.
        let source = with("cache: {mode: local}\nevents: outbox\nqueue: sql\n").env(env("CACHE__MODE", "local"));
        assert_eq!(modes(source.flags(&["cache=off"])), (CacheMode::Off, true));
        let source = with("cache: local\n").flags(&["cache=local", "cache.mode=off"]);
        assert_eq!(modes(source), (CacheMode::Off, true));
        let config = Config::from_source(with("cache.ttl: 5s\ncache: off\n")).unwrap();
        assert_eq!(config.cache.ttl, Duration::from_secs(5));
    }

    #[test]
    fn one_key_under_two_names_is_an_error() {
        check_errors(
            &format!("{BASE}cache: off\ncache.mode: local\n"),
            &["service.yaml:4: `cache.mode` is set twice; `cache` alone stands for it"],
        );
        check_errors(
            &format!("{BASE}pool: {{size: 5}}\npool.size: 6\n"),
            &["service.yaml:4: `pool.size` is set twice"],
        );
        let variables = ["CACHE", "CACHE__MODE"].map(|name| (format!("SOUNDCHECK_SERVICE_{name}"), "off".to_owned()));
        let error = Config::from_source(Source::new().yaml(BASE, "a").env(variables)).unwrap_err();
        assert_eq!(
            error.0,
            [
                "environment variable SOUNDCHECK_SERVICE_CACHE__MODE: `cache.mode` is set by \
              environment variable SOUNDCHECK_SERVICE_CACHE as well; `cache` alone stands for it"
            ]
        );
    }

    #[test]
    fn a_wrong_mode_and_a_mistyped_section_are_told_by_name() {
        check_errors(
            &format!("{BASE}cache: redys\nqueu: sql\nevents: off\n"),
            &[
                "service.yaml:4: unknown key `queu`; did you mean `queue`?",
                "service.yaml:3: `cache.mode` must be off | redis | tiered | local, not `redys`",
                "service.yaml:5: `events.mode` must be outbox | direct, not `off`",
            ],
        );
    }

    #[test]
    fn every_error_is_reported_at_once_with_its_line() {
        check_errors(
            "database:\n  url: postgres://x\ncache:\n  ttl: 5\n  mod: local\npool:\n  size: 0\nqueue:\n  mode: zset\n",
            &[
                "service.yaml:5: unknown key `cache.mod`; did you mean `cache.mode`?",
                "service.yaml:2: `database.url` must be sqlite://PATH or mysql://USER[:PASSWORD]@HOST:PORT without a schema",
                "service.yaml:4: `cache.ttl` must be a duration with a unit such as 200ms, 2s or 5m, not `5`",
                "service.yaml:7: `pool.size` must be a whole number from 1 to 1024, not `0`",
                "`token.secret` is missing: set it to at least 16 characters",
                "service.yaml:9: `queue.mode: zset` cannot be honoured without redis.url; use sql, or set redis.url",
            ],
        );
    }

    #[test]
    fn what_sqlite_cannot_honour_is_refused() {
        check_errors(
            &format!("{BASE}locking: pessimistic\nevents: {{mode: direct}}\ncache.mode: redis\n"),
            &[
                "service.yaml:5: `cache.mode: redis` cannot be honoured without redis.url; use off | local",
                "service.yaml:3: `locking: pessimistic` cannot be honoured on SQLite; \
                 use conditional-update | optimistic | immediate",
                "service.yaml:4: `events.mode: direct` cannot be honoured without kafka.brokers; use outbox",
            ],
        );
    }

    #[test]
    fn mutants_are_a_list() {
        let source = Source::new().yaml(&format!("{BASE}mutants: [D1, D14]\n"), "a");
        let config = Config::from_source(source).unwrap();
        assert_eq!(config.mutants.iter().collect::<Vec<_>>(), [Mutant::D1, Mutant::D14]);
        check_errors(
            &format!("{BASE}mutants: [D18]\n"),
            &["service.yaml:3: `mutants` must be a list of D1 to D17, not `D18`"],
        );
    }

    #[test]
    fn nothing_is_traced_without_an_address() {
        let endpoint = |setting: &str| {
            let source = Source::new().yaml(BASE, "a").flags(&[setting]);
            Config::from_source(source).map(|config| config.tracing.otlp_endpoint.is_some())
        };
        assert!(!endpoint("tracing.otlp_endpoint=").unwrap());
        assert!(!endpoint("tracing.sample_ratio=0.5").unwrap());
        for sound in ["http://127.0.0.1:4318", "https://me:word@collector.example/otlp/"] {
            assert!(endpoint(&format!("tracing.otlp_endpoint={sound}")).unwrap(), "{sound}");
        }
        for unsound in [
            "127.0.0.1:4318",
            "grpc://h:4317",
            "http://",
            "http://me:word@h:1?key=word",
        ] {
            let error = endpoint(&format!("tracing.otlp_endpoint={unsound}")).unwrap_err();
            let expected = "--set tracing.otlp_endpoint: `tracing.otlp_endpoint` must be http://HOST:PORT, or nothing";
            assert_eq!(error.0, [expected], "a password may be in it");
        }
        for unsound in ["1.5", "-1", "NaN", "all"] {
            assert!(
                endpoint(&format!("tracing.sample_ratio={unsound}")).is_err(),
                "{unsound}"
            );
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let config = Config::from_source(Source::new().yaml(BASE, "a")).unwrap();
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
