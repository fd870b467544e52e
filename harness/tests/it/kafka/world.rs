//! Services in this process on the servers of this binary, visitors who book, and what must hold in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use booking_service::admin::dataset::Shape;
use booking_service::admin::{audit, seed};
use booking_service::app::App;
use booking_service::config::{Config, Source};
use booking_service::messaging::topics::Topics;
use booking_service::metrics::Metrics;
use booking_service::store::Store;
use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::scenarios::Client;
use crate::scenarios::client::fresh_key;
use crate::support::kafka_server::KafkaServer;
use crate::support::mysql_server::MySqlServer;
use crate::support::redis_server::RedisServer;

/// How long any condition may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
/// Visitors at once, and the time from one visit of each to its next.
const N_VISITORS: u32 = 8;
const PACE: Duration = Duration::from_millis(100);
/// As many as make visits at that pace until the deadline. Each has its seat: however fast the machine is, no date is
/// sold out.
const N_VISITS: u32 = 9600;
const _: () = assert!(N_VISITS as u128 == N_VISITORS as u128 * (DEADLINE.as_millis() / PACE.as_millis()));
const N_DATES: u32 = 32;
const SHAPE: Shape = Shape {
    seed: 7,
    n_users: 320,
    n_concerts: 2,
    n_schedules: N_DATES / 2,
    n_seats: N_VISITS / N_DATES,
    skew: 0.0,
};

#[derive(Debug)]
struct Servers {
    mysql: MySqlServer,
    redis: RedisServer,
    kafka: KafkaServer,
}

static SERVERS: Mutex<Weak<Servers>> = Mutex::const_new(Weak::new());
static TURN: std::sync::LazyLock<Arc<Mutex<()>>> = std::sync::LazyLock::new(Arc::default);
static NAMESPACES: AtomicU32 = AtomicU32::new(0);

async fn servers() -> Option<Arc<Servers>> {
    let mut shared = SERVERS.lock().await;
    if let Some(servers) = shared.upgrade() {
        return Some(servers);
    }
    let (mysql, redis, kafka) = futures::join!(MySqlServer::start(), RedisServer::start(), KafkaServer::start());
    let servers = Arc::new(Servers {
        mysql: mysql?,
        redis: redis?,
        kafka: kafka?,
    });
    *shared = Arc::downgrade(&servers);
    Some(servers)
}

/// A seeded namespace, and everybody's turn on the servers.
pub(crate) struct World {
    pub(crate) namespace: String,
    pub(crate) topics: Topics,
    settings: Vec<String>,
    users: Vec<String>,
    schedules: Vec<String>,
    next_visit: AtomicUsize,
    /// Everyone that was started, to be asked when something does not come.
    started: std::sync::Mutex<Vec<Client>>,
    servers: Arc<Servers>,
    _turn: OwnedMutexGuard<()>,
}

/// One service.
pub(crate) struct Instance {
    pub(crate) app: App,
    pub(crate) client: Client,
}

impl World {
    /// `None` when there can be no servers here.
    pub(crate) async fn new(settings: &[&str]) -> Option<Self> {
        // The turn first: the servers end with the last world, and start with the next one.
        let turn = TURN.clone().lock_owned().await;
        let servers = servers().await?;
        let namespace = format!("kafka_{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let fixed = [
            "token.secret=only for these tests".to_owned(),
            "listen=127.0.0.1:0".to_owned(),
            "logging.level=off".to_owned(),
            "resilience.request_timeout=15s".to_owned(),
            "queue.capacity=1000".to_owned(),
            "events.lease_ttl=2s".to_owned(),
            "events.retry_backoff=50ms".to_owned(),
            format!("namespace={namespace}"),
            format!("database.url={}", servers.mysql.url()),
            format!("redis.url={}", servers.redis.url()),
            format!("kafka.brokers={}", servers.kafka.brokers()),
        ];
        let extra = settings.iter().map(|setting| (*setting).to_owned());
        let settings: Vec<String> = fixed.into_iter().chain(extra).collect();
        let store = Store::migrate(&config(&settings), Arc::new(Metrics::new().unwrap()))
            .await
            .unwrap();
        let catalogue = seed::fill(&store, &SHAPE).await.unwrap();
        store.close().await;
        let schedules = catalogue.concerts.iter().flat_map(|concert| &concert.schedules);
        Some(Self {
            topics: Topics::new(&namespace),
            namespace,
            users: catalogue.users.iter().map(ToString::to_string).collect(),
            schedules: schedules.map(|schedule| schedule.schedule_id.to_string()).collect(),
            settings,
            next_visit: AtomicUsize::new(0),
            started: std::sync::Mutex::default(),
            servers,
            _turn: turn,
        })
    }

    /// A user with money, and a date with seats.
    pub(crate) fn visitor(&self) -> (&str, &str) {
        (&self.users[0], &self.schedules[0])
    }

    pub(crate) fn brokers(&self) -> String {
        self.servers.kafka.brokers()
    }

    /// Runs `dlt list` or `dlt replay` of the real tool, and returns the dead letters that it tells of.
    pub(crate) async fn dlt(&self, action: &str) -> Vec<Value> {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_soundcheck"));
        command.args(["dlt", action]).stdin(Stdio::null()).kill_on_drop(true);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        let output = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let summary = lines.pop().unwrap();
        assert_eq!(summary["dead_letters"], lines.len());
        lines
    }

    pub(crate) async fn start(&self) -> Instance {
        let app = App::start(config(&self.settings)).await.unwrap();
        let client = Client::new(&format!("http://{}", app.address()));
        self.started.lock().unwrap().push(client.clone());
        Instance { app, client }
    }

    pub(crate) async fn stop_kafka(&self) {
        let container = self.servers.kafka.container.as_ref().unwrap();
        container.stop_with_timeout(Some(10)).await.unwrap();
    }

    pub(crate) async fn start_kafka(&self) {
        self.servers.kafka.container.as_ref().unwrap().start().await.unwrap();
    }

    /// Visitors book, each with a user of its own, for as long as `condition` asks for more. Returns how many paid.
    pub(crate) async fn book_while(&self, clients: &[Client], condition: impl AsyncFn() -> bool) -> usize {
        let more = std::sync::atomic::AtomicBool::new(true);
        let watch = async {
            while condition().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            more.store(false, Ordering::Relaxed);
        };
        let visitors = (0..N_VISITORS as usize).map(async |number| {
            let client = &clients[number % clients.len()];
            let mut n_paid = 0;
            let mut pace = tokio::time::interval(PACE);
            // Who was held up does not catch up: a user would visit beside its own earlier visit.
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while more.load(Ordering::Relaxed) {
                pace.tick().await;
                n_paid += usize::from(self.visit(client).await);
            }
            n_paid
        });
        let (paid, ()) = futures::join!(futures::future::join_all(visitors), watch);
        paid.into_iter().sum()
    }

    /// One booking, of a seat that nobody else wants; false when the user has no money left.
    async fn visit(&self, client: &Client) -> bool {
        let visit = self.next_visit.fetch_add(1, Ordering::Relaxed);
        if visit >= N_VISITS as usize {
            panic!("not in time: all visits were made\n{}", self.whereabouts().await);
        }
        let token = client.admitted(&self.users[visit % self.users.len()]).await;
        let schedule = &self.schedules[visit % self.schedules.len()];
        let seats = client.free_seats(&token, schedule).await;
        // Visitors who come at once look at the same map; each begins elsewhere in it.
        for offset in 0..seats.len() {
            let seat = &seats[(visit / self.schedules.len() * 7 + offset) % seats.len()];
            let held = client.hold(&token, seat, &fresh_key()).await;
            match held.status {
                201 => {
                    let paid = client.pay(&token, &held.text("reservation_id"), &fresh_key()).await;
                    assert!(paid.status == 200 || paid.status == 402, "{paid:?}");
                    return paid.status == 200;
                }
                409 => {}
                _ => panic!("{held:?}"),
            }
        }
        panic!("no seat of date {schedule} could be held");
    }

    /// Polls until `condition` holds. When it does not in time, tells where the events are.
    pub(crate) async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !condition().await {
            if began.elapsed() > DEADLINE {
                let whereabouts = self.whereabouts().await;
                panic!("not in time: {what}\n{whereabouts}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What every instance counts of its events, apart from zeros.
    async fn whereabouts(&self) -> String {
        const PARTS: [&str; 4] = ["outbox_", "consumer_", "dead_letters_", "dependency_errors_"];
        let clients = self.started.lock().unwrap().clone();
        let mut text = String::new();
        for (number, client) in clients.iter().enumerate() {
            text.push_str(&format!("instance {number}\n"));
            let metrics = match client.try_metrics().await {
                Ok(metrics) => metrics,
                Err(error) => {
                    text.push_str(&format!("  {error}\n"));
                    continue;
                }
            };
            for line in metrics.lines() {
                let is_of_events = PARTS.iter().any(|part| line.starts_with(&format!("booking_{part}")));
                if is_of_events && !line.ends_with(" 0") {
                    text.push_str(&format!("  {line}\n"));
                }
            }
        }
        text
    }

    async fn lines(&self, kind: &str) -> Vec<Value> {
        let store = Store::connect(&config(&self.settings), Arc::new(Metrics::new().unwrap()))
            .await
            .unwrap();
        let mut text = Vec::new();
        audit::write(&store, &mut text).await.unwrap();
        store.close().await;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let parsed = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        parsed.filter(|line| line["kind"] == kind).collect()
    }

    pub(crate) async fn n_tickets(&self) -> usize {
        self.lines("ticket").await.len()
    }

    /// Waits until every committed event is published and has its ticket.
    pub(crate) async fn until_drained(&self) {
        self.until("every event has its ticket and its mark", async || {
            let outbox = self.lines("outbox").await;
            let n_tickets = self.lines("ticket").await.len();
            outbox.iter().all(|row| row["published"] == true) && n_tickets == outbox.len()
        })
        .await;
    }

    /// Payment ⇔ outbox row ⇔ record ⇔ one ticket; and in the main topic the events of each key appear for the first
    /// time in the order of their commits. Returns how many payments there were.
    pub(crate) async fn assert_nothing_lost(&self) -> usize {
        let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
        let payments = self.lines("payment").await;
        let completed = payments.iter().filter(|payment| payment["status"] == "completed");
        let paid: BTreeSet<String> = completed.map(|payment| text(payment, "reservation_id")).collect();
        let outbox = self.lines("outbox").await;
        let sent: BTreeMap<String, String> = outbox
            .iter()
            .map(|row| (text(row, "reservation_id"), text(row, "event_id")))
            .collect();
        let tickets = self.lines("ticket").await;
        let issued: BTreeMap<String, String> = tickets
            .iter()
            .map(|ticket| (text(ticket, "reservation_id"), text(ticket, "event_id")))
            .collect();
        assert_eq!(paid, sent.keys().cloned().collect());
        assert_eq!((outbox.len(), tickets.len()), (paid.len(), paid.len()));
        assert_eq!(sent, issued);
        assert_eq!(self.lines("processed").await.len(), paid.len());

        let seq_of: BTreeMap<String, i64> = outbox
            .iter()
            .map(|row| (text(row, "event_id"), row["seq"].as_i64().unwrap()))
            .collect();
        let mut seen: BTreeMap<Vec<u8>, Vec<i64>> = BTreeMap::new();
        for record in self.records(&self.topics.main).await {
            let Ok(event) = serde_json::from_slice::<Value>(record.payload().unwrap_or_default()) else {
                continue;
            };
            let Some(seq) = event["event_id"].as_str().and_then(|id| seq_of.get(id)) else {
                continue;
            };
            let firsts = seen.entry(record.key().unwrap().to_vec()).or_default();
            if !firsts.contains(seq) {
                firsts.push(*seq);
            }
        }
        assert!(
            seen.values().all(|firsts| firsts.is_sorted()),
            "the order within a key was not kept"
        );
        assert_eq!(seen.values().map(Vec::len).sum::<usize>(), paid.len());
        paid.len()
    }

    /// All records of a topic, by partition and offset.
    pub(crate) async fn records(&self, topic: &str) -> Vec<OwnedMessage> {
        let (brokers, topic) = (self.brokers(), topic.to_owned());
        tokio::task::spawn_blocking(move || read_all(&brokers, &topic))
            .await
            .unwrap()
    }

    /// A record that no payment caused.
    pub(crate) async fn plant(&self, key: &str, payload: &str) {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", self.brokers())
            .create()
            .unwrap();
        let record = FutureRecord::to(&self.topics.main).key(key).payload(payload);
        producer.send(record, DEADLINE).await.unwrap();
    }
}

fn config(settings: &[String]) -> Config {
    Config::from_source(Source::new().flags(settings)).unwrap()
}

fn read_all(brokers: &str, topic: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).unwrap();
    let mut left = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), DEADLINE).unwrap();
        if high > low {
            let from = Offset::Offset(low);
            assignment.add_partition_offset(topic, partition.id(), from).unwrap();
            left.insert(partition.id(), high);
        }
    }
    consumer.assign(&assignment).unwrap();
    let mut records = Vec::new();
    let began = Instant::now();
    while !left.is_empty() {
        assert!(began.elapsed() < DEADLINE, "reading {topic} stalled");
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            if left.get(&message.partition()) == Some(&(message.offset() + 1)) {
                left.remove(&message.partition());
            }
            records.push(message.detach());
        }
    }
    records.sort_by_key(|record| (record.partition(), record.offset()));
    records
}
