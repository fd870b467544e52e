//! Redis' own statistics (`INFO` with command statistics), under the names of redis_exporter.

use redis::aio::MultiplexedConnection;

use super::poll::Source;
use super::{Sample, ScrapeError};
use crate::recording::SeriesKind;

const SERVER: &str = "Redis";

/// `INFO` of one server.
#[derive(Debug)]
pub struct RedisSource {
    client: redis::Client,
    /// Taken out while a question is open, so that an answer given up cannot be read as the next one's.
    connection: Option<MultiplexedConnection>,
}

impl RedisSource {
    /// Scrapes the server at `url`.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn new(url: &str) -> Result<Self, ScrapeError> {
        let client = redis::Client::open(url).map_err(|source| ScrapeError::Address {
            server: SERVER,
            source: Box::new(source),
        })?;
        Ok(Self {
            client,
            connection: None,
        })
    }
}

impl Source for RedisSource {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self
                .client
                .get_multiplexed_async_connection()
                .await
                .map_err(|source| ScrapeError::Connect {
                    server: SERVER,
                    source: Box::new(source),
                })?,
        };
        let info: String = redis::cmd("INFO")
            .arg("everything")
            .query_async(&mut connection)
            .await
            .map_err(|source| ScrapeError::Ask {
                server: SERVER,
                what: "INFO",
                source: Box::new(source),
            })?;
        self.connection = Some(connection);
        Ok(samples(&info))
    }
}

/// Fields of `INFO` with the exporter's names.
const GAUGES: [(&str, &str); 14] = [
    ("uptime_in_seconds", "uptime_in_seconds"),
    ("connected_clients", "connected_clients"),
    ("blocked_clients", "blocked_clients"),
    ("used_memory", "memory_used_bytes"),
    ("used_memory_rss", "memory_used_rss_bytes"),
    ("used_memory_peak", "memory_used_peak_bytes"),
    ("used_memory_overhead", "memory_used_overhead_bytes"),
    ("used_memory_dataset", "memory_used_dataset_bytes"),
    ("maxmemory", "memory_max_bytes"),
    ("mem_fragmentation_ratio", "mem_fragmentation_ratio"),
    ("loading", "loading_dump_file"),
    ("latest_fork_usec", "latest_fork_usec"),
    ("connected_slaves", "connected_slaves"),
    ("lazyfree_pending_objects", "lazyfree_pending_objects"),
];

const COUNTERS: [(&str, &str); 11] = [
    ("total_connections_received", "connections_received_total"),
    ("total_commands_processed", "commands_processed_total"),
    ("rejected_connections", "rejected_connections_total"),
    ("total_net_input_bytes", "net_input_bytes_total"),
    ("total_net_output_bytes", "net_output_bytes_total"),
    ("expired_keys", "expired_keys_total"),
    ("evicted_keys", "evicted_keys_total"),
    ("keyspace_hits", "keyspace_hits_total"),
    ("keyspace_misses", "keyspace_misses_total"),
    ("used_cpu_sys", "cpu_sys_seconds_total"),
    ("used_cpu_user", "cpu_user_seconds_total"),
];

/// What a text of `INFO` says. Fields of other versions, and texts, are left out.
fn samples(info: &str) -> Vec<Sample> {
    let mut samples = vec![Sample::new("redis_up", &[], SeriesKind::Gauge, 1.0)];
    for (field, value) in info.lines().filter_map(|line| line.trim().split_once(':')) {
        if let Some(command) = field.strip_prefix("cmdstat_") {
            command_statistics(command, value, &mut samples);
        } else if let Some(error) = field.strip_prefix("errorstat_") {
            let count = part(value, "count");
            samples.extend(count.map(|n| counter("errors_total", &[("err", error)], n)));
        } else if is_database(field) {
            let labels = [("db", field)];
            let gauge = |name: &str, value| Sample::new(format!("redis_{name}"), &labels, SeriesKind::Gauge, value);
            samples.extend(part(value, "keys").map(|n| gauge("db_keys", n)));
            samples.extend(part(value, "expires").map(|n| gauge("db_keys_expiring", n)));
            samples.extend(part(value, "avg_ttl").map(|ms| gauge("db_avg_ttl_seconds", ms / 1e3)));
        } else if let Ok(value) = value.parse::<f64>() {
            let named = |names: &[(&str, &str)]| {
                names
                    .iter()
                    .find(|(from, _)| *from == field)
                    .map(|(_, to)| format!("redis_{to}"))
            };
            samples.extend(named(&GAUGES).map(|name| Sample::new(name, &[], SeriesKind::Gauge, value)));
            samples.extend(named(&COUNTERS).map(|name| Sample::new(name, &[], SeriesKind::Counter, value)));
        }
    }
    samples
}

fn command_statistics(command: &str, value: &str, samples: &mut Vec<Sample>) {
    let labels = [("cmd", command)];
    let parts = [
        ("commands_total", "calls", 1.0),
        ("commands_duration_seconds_total", "usec", 1e-6),
        ("commands_rejected_calls_total", "rejected_calls", 1.0),
        ("commands_failed_calls_total", "failed_calls", 1.0),
    ];
    for (name, key, unit) in parts {
        samples.extend(part(value, key).map(|n| counter(name, &labels, n * unit)));
    }
}

fn counter(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
    Sample::new(format!("redis_{name}"), labels, SeriesKind::Counter, value)
}

/// One of `keys=1,expires=0,…`.
fn part(text: &str, key: &str) -> Option<f64> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == key)?
        .1
        .parse()
        .ok()
}

fn is_database(field: &str) -> bool {
    field
        .strip_prefix("db")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_exporter() {
        let info = "# Server\r\nredis_version:8.0.2\r\nuptime_in_seconds:28\r\nused_memory:763024\r\n\
            used_memory_human:745.14K\r\nkeyspace_hits:12\r\nused_cpu_sys:0.037386\r\n\
            cmdstat_get:calls=3,usec=6,usec_per_call=2.00,rejected_calls=0,failed_calls=1\r\n\
            cmdstat_config|get:calls=1,usec=9\r\nerrorstat_ERR:count=2\r\n\
            db0:keys=5,expires=2,avg_ttl=99989,subexpiry=0\r\ndb0_distrib_strings_sizes:1=1\r\n";
        let listed: Vec<String> = samples(info)
            .iter()
            .map(|s| format!("{:?} {} {:?} {}", s.kind, s.name, s.labels, s.value))
            .collect();
        let expected = [
            "Gauge redis_up {} 1",
            "Gauge redis_uptime_in_seconds {} 28",
            "Gauge redis_memory_used_bytes {} 763024",
            "Counter redis_keyspace_hits_total {} 12",
            "Counter redis_cpu_sys_seconds_total {} 0.037386",
            r#"Counter redis_commands_total {"cmd": "get"} 3"#,
            r#"Counter redis_commands_duration_seconds_total {"cmd": "get"} 0.000006"#,
            r#"Counter redis_commands_rejected_calls_total {"cmd": "get"} 0"#,
            r#"Counter redis_commands_failed_calls_total {"cmd": "get"} 1"#,
            r#"Counter redis_commands_total {"cmd": "config|get"} 1"#,
            r#"Counter redis_commands_duration_seconds_total {"cmd": "config|get"} 0.000009"#,
            r#"Counter redis_errors_total {"err": "ERR"} 2"#,
            r#"Gauge redis_db_keys {"db": "db0"} 5"#,
            r#"Gauge redis_db_keys_expiring {"db": "db0"} 2"#,
            r#"Gauge redis_db_avg_ttl_seconds {"db": "db0"} 99.989"#,
        ];
        assert_eq!(listed, expected);
    }
}
