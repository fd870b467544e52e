//! A database, a broker and people who pay; any number of instances of the relay and the consumer over them.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use booking_service::adapters::clock::SystemClock;
use booking_service::config::{Config, EventsMode, Locking, Source};
use booking_service::domain::ids::IdSource;
use booking_service::domain::{
    ChargeId, EventId, IdempotencyKey, PaymentCompleted, PaymentId, ReservationId, ScheduleId, SeatId, UserId,
};
use booking_service::messaging::Messaging;
use booking_service::messaging::topics::Topics;
use booking_service::metrics::Metrics;
use booking_service::ports::Clock;
use booking_service::store::Store;
use booking_service::store::hold::{Held, NewHold};
use booking_service::store::payments::{NewPayment, Paid};
use booking_service::trace::Tracer;
use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::OwnedMessage;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

use crate::spawning::{spawn, while_quiet};

/// How long any condition of these tests may take on a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const USER: i64 = 1;

/// Waits until `condition` holds, looking often; fails with `what` when it does not in time.
#[track_caller]
pub(super) fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        while !condition().await {
            assert!(began.elapsed() < DEADLINE, "{caller}: not in time: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// One running instance, with metrics of its own.
pub(super) struct Instance {
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) messaging: Messaging,
    config: Config,
    ids: IdSource,
}

pub(super) struct World {
    pub(super) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(super) topics: Topics,
    pub(super) sql: SqlitePool,
    folder: tempfile::TempDir,
    namespace: String,
    next: AtomicI64,
}

impl World {
    /// `name` must be unique among the tests of this binary: it is the namespace of fail points too.
    pub(super) async fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("booking.db"))
            .create_if_missing(true)
            .busy_timeout(DEADLINE);
        let sql = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options)
            .await
            .unwrap();
        let world = Self {
            cluster: MockCluster::new(1).unwrap(),
            topics: Topics::new(name),
            sql,
            folder,
            namespace: name.to_owned(),
            next: AtomicI64::new(1),
        };
        let migrated = Store::migrate(&world.config(&[]), Arc::new(Metrics::new().unwrap()))
            .await
            .unwrap();
        migrated.close().await;
        sqlx::query("INSERT INTO users (id, balance, initial_balance) VALUES (?, 1000000, 1000000)")
            .bind(USER)
            .execute(&world.sql)
            .await
            .unwrap();
        world
    }

    fn settings(&self, extra: &[&str]) -> Vec<String> {
        let mut flags = vec![
            format!("namespace={}", self.namespace),
            format!(
                "database.url=sqlite://{}",
                self.folder.path().join("booking.db").display()
            ),
            "token.secret=0123456789abcdef".to_owned(),
            "events.lease_ttl=1s".to_owned(),
            "events.retry_backoff=20ms".to_owned(),
        ];
        flags.extend(extra.iter().map(|flag| (*flag).to_owned()));
        flags
    }

    pub(super) fn config(&self, extra: &[&str]) -> Config {
        Config::from_source(Source::new().flags(&self.settings(extra))).unwrap()
    }

    pub(super) fn broker_down(&self) {
        while_quiet(|| self.cluster.broker_down(-1).unwrap());
    }

    /// Runs `dlt list` or `dlt replay` of the real executable, and returns the dead letters that it tells of.
    pub(super) async fn dlt(&self, action: &str) -> Vec<Value> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_booking-service"));
        command.args(["dlt", action]);
        let brokers = format!("kafka.brokers={}", self.cluster.bootstrap_servers());
        for setting in self.settings(&[&brokers]) {
            command.args(["--set", &setting]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let run = tokio::task::spawn_blocking(move || spawn(&mut command).wait_with_output().unwrap());
        let output = run.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let summary = lines.pop().unwrap();
        let done = if action == "replay" { "replayed" } else { "listed" };
        assert_eq!(
            summary,
            serde_json::json!({ "summary": done, "dead_letters": lines.len() })
        );
        lines
    }

    pub(super) async fn start(&self, extra: &[&str]) -> Instance {
        let brokers = format!("kafka.brokers={}", self.cluster.bootstrap_servers());
        self.start_with(self.config(&[&[brokers.as_str()], extra].concat()))
            .await
    }

    pub(super) async fn start_without_broker(&self) -> Instance {
        self.start_with(self.config(&[])).await
    }

    async fn start_with(&self, config: Config) -> Instance {
        let metrics = Arc::new(Metrics::new().unwrap());
        let store = Store::connect(&config, metrics.clone()).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let messaging = Messaging::start(&config, &store, &clock, &metrics, &Tracer::off(), PATIENCE).unwrap();
        // Instances have sequences of their own, as two processes would.
        let ids = IdSource::new(self.next.fetch_add(1, Ordering::Relaxed).unsigned_abs() * 100_000);
        Instance {
            store,
            metrics,
            messaging,
            config,
            ids,
        }
    }

    /// Someone holds a fresh seat of date number `schedule` and pays; the payment is committed when this returns.
    pub(super) async fn pay(&self, instance: &Instance, schedule: i64) -> PaymentCompleted {
        let raw_seat = 1_000_000 + self.next.fetch_add(1, Ordering::Relaxed);
        sqlx::query("INSERT INTO seats (id, schedule_id, number, price) VALUES (?, ?, 1, 7)")
            .bind(raw_seat)
            .bind(schedule)
            .execute(&self.sql)
            .await
            .unwrap();
        let now = SystemClock.now();
        let next = || instance.ids.next(now);
        let user = UserId::from_raw(USER).unwrap();
        let hold = NewHold {
            reservation: ReservationId::from_raw(next()).unwrap(),
            payment: PaymentId::from_raw(next()).unwrap(),
            seat: SeatId::from_raw(raw_seat).unwrap(),
            user,
            key: IdempotencyKey::new(&format!("hold-{raw_seat}"), "hold").unwrap(),
            now,
            expires_at: now.plus(Duration::from_secs(300)),
        };
        let held = instance.store.hold(&hold, Locking::ConditionalUpdate).await.unwrap();
        assert!(matches!(held, Held::Yes { .. }), "{held:?}");
        let publisher = instance.messaging.publisher();
        let payment = NewPayment {
            reservation: hold.reservation,
            user,
            key: IdempotencyKey::new(&format!("pay-{raw_seat}"), "pay").unwrap(),
            now,
            event: EventId::from_raw(next()).unwrap(),
            ledger: ChargeId::from_raw(next()).unwrap(),
            outbox_shards: (instance.config.events.mode == EventsMode::Outbox).then_some(instance.config.events.shards),
            trace_parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        let Paid::Now(_, event) = instance.store.pay(&payment).await.unwrap() else {
            panic!("the payment was refused");
        };
        publisher.committed(event, payment.trace_parent);
        event
    }

    pub(super) async fn pay_many(&self, instance: &Instance, n: i64, n_schedules: i64) -> Vec<PaymentCompleted> {
        let mut events = Vec::new();
        for number in 0..n {
            events.push(self.pay(instance, 1 + number % n_schedules).await);
        }
        events
    }

    pub(super) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.sql).await.unwrap()
    }

    pub(super) async fn n_tickets(&self) -> i64 {
        self.count("SELECT COUNT(*) FROM tickets").await
    }

    pub(super) async fn n_unpublished(&self) -> i64 {
        self.count(
            "SELECT COALESCE(SUM(s.last - l.published_seq), 0) FROM outbox_sequence s \
             JOIN outbox_lease l ON l.shard = s.shard",
        )
        .await
    }

    /// Waits until everything committed is published and has its ticket.
    #[track_caller]
    pub(super) fn until_drained(&self, n_tickets: i64) -> impl Future<Output = ()> + '_ {
        until(
            "every event has its ticket and is marked as published",
            async move || self.n_tickets().await >= n_tickets && self.n_unpublished().await == 0,
        )
    }

    /// Every event has exactly one effect, its own.
    pub(super) async fn assert_exactly_once(&self, events: &[PaymentCompleted]) {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT reservation_id, event_id FROM tickets ORDER BY reservation_id")
                .fetch_all(&self.sql)
                .await
                .unwrap();
        let mut expected: Vec<(i64, i64)> = events
            .iter()
            .map(|event| (event.reservation.raw(), event.event.raw()))
            .collect();
        expected.sort_unstable();
        assert_eq!(rows, expected);
        assert_eq!(
            self.count("SELECT COUNT(*) FROM processed_events").await,
            i64::try_from(events.len()).unwrap()
        );
    }

    /// All records of a topic, by partition and offset.
    pub(super) async fn records(&self, topic: &str) -> Vec<OwnedMessage> {
        let (brokers, topic) = (self.cluster.bootstrap_servers(), topic.to_owned());
        let read = move || {
            let timeout = Duration::from_secs(10);
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", brokers)
                .set("group.id", "reader")
                .set("enable.auto.commit", "false")
                .create()
                .unwrap();
            let metadata = consumer.fetch_metadata(Some(&topic), timeout).unwrap();
            let mut left = HashMap::new();
            let mut assignment = TopicPartitionList::new();
            for partition in metadata.topics()[0].partitions() {
                let (low, high) = consumer.fetch_watermarks(&topic, partition.id(), timeout).unwrap();
                if high > low {
                    assignment
                        .add_partition_offset(&topic, partition.id(), Offset::Offset(low))
                        .unwrap();
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
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    /// In the main topic, the events of each key appear for the first time in the order of their commits, and every
    /// one of them appears. Returns how many records were repeats.
    pub(super) async fn assert_order_within_keys(&self, events: &[PaymentCompleted]) -> usize {
        let mut committed: BTreeMap<ScheduleId, Vec<EventId>> = BTreeMap::new();
        for event in events {
            committed.entry(event.schedule).or_default().push(event.event);
        }
        let mut seen: BTreeMap<ScheduleId, Vec<EventId>> = BTreeMap::new();
        let mut n_repeats = 0;
        for record in self.records(&self.topics.main).await {
            let event = PaymentCompleted::from_json(record.payload().unwrap()).unwrap();
            assert_eq!(record.key().unwrap(), event.schedule.to_string().as_bytes());
            let first = seen.entry(event.schedule).or_default();
            if first.contains(&event.event) {
                n_repeats += 1;
            } else {
                first.push(event.event);
            }
        }
        assert_eq!(seen, committed);
        n_repeats
    }

    /// A record that no payment caused.
    pub(super) async fn plant(&self, key: &str, payload: &str) {
        use rdkafka::producer::{FutureProducer, FutureRecord};
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .create()
            .unwrap();
        let record = FutureRecord::to(&self.topics.main).key(key).payload(payload);
        producer.send(record, DEADLINE).await.unwrap();
    }
}

impl Instance {
    /// How many messages had `outcome`, over both topics.
    pub(super) fn handled(&self, outcome: &str) -> u64 {
        let messages = &self.metrics.consumer_messages;
        ["main", "retry"]
            .iter()
            .map(|topic| messages.with_label_values(&[*topic, outcome]).get())
            .sum()
    }

    pub(super) async fn stop(self) {
        self.messaging.stop().await;
        self.store.close().await;
    }
}
