//! Servers of somebody else: started here by hand, known to the tool by their URLs alone.

use soundcheck::recording::What;

use crate::support::kafka_server::KafkaServer;
use crate::support::mysql_server::MySqlServer;
use crate::support::redis_server::RedisServer;
use crate::tool::Tool;
use crate::{MEASURING, check_fault, check_ways};

struct Servers {
    mysql: MySqlServer,
    redis: RedisServer,
    kafka: KafkaServer,
}

impl Servers {
    async fn start() -> Option<Self> {
        let (mysql, redis, kafka) = futures::join!(MySqlServer::start(), RedisServer::start(), KafkaServer::start());
        Some(Self {
            mysql: mysql?,
            redis: redis?,
            kafka: kafka?,
        })
    }

    fn report(&self, kinds: &[&str]) -> Tool {
        let (mysql, redis, kafka) = (self.mysql.url(), self.redis.url(), self.kafka.brokers());
        let urls = ["--mysql", &mysql, "--redis", &redis, "--kafka", &kafka];
        let how = ["--stack", "external", "--profile", "smoke"];
        Tool::start(&[&["report"][..], kinds, &how, &urls].concat())
    }
}

/// A drill whose fault is a stall on the way: a server of somebody else is not paused.
fn check_stall(tool: &Tool) {
    let recording = tool.read("incident");
    check_fault(&recording, "mysql.stall");
    // Kafka sends its clients to an address of its own.
    let ways = check_ways(&recording, &["MySQL", "Redis"]);
    let past = recording.events().unwrap().into_iter().any(|event| {
        matches!(event.what, What::Note { text, .. }
            if text.contains("no proxy") && text.contains("Apache Kafka") && text.contains("addresses of their own"))
    });
    assert!(past, "nothing says that Kafka is reached past the proxies");
    // The fault lasts a third of the load, and what is counted as during it may begin a second early.
    let (during, whole) = (
        ways[0].bytes_to_service_during.unwrap(),
        ways[0].bytes_to_service.unwrap(),
    );
    assert!(
        during < whole * 0.15,
        "MySQL answered while it was stalled: {:?}",
        ways[0]
    );
    let through_redis = ways[1].bytes_to_service_during.unwrap();
    assert!(through_redis > 0.0, "Redis was not stalled: {:?}", ways[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_on_servers_that_are_not_ours_are_kept_and_summed_up_when_one_of_them_goes() {
    let _alone = MEASURING.lock().await;
    let Some(mut servers) = Servers::start().await else {
        return;
    };
    let mut tool = servers.report(&["incident", "index", "cache"]);
    tool.until("a measured slice of the last report", |tool| {
        let mut events = tool.events("cache").into_iter();
        events.any(|event| matches!(event.what, What::Slice(_))).then_some(())
    });
    servers.mysql.container.take().unwrap().rm().await.unwrap();
    let ended = tool.end();
    assert_eq!(ended.code, Some(6), "{ended:#?}");
    let error = ended.said.iter().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains("mysql at mysql://"), "{error}");
    for kind in ["incident", "index"] {
        assert!(tool.recording(kind).unwrap().join("report.html").exists(), "{kind}");
    }
    check_stall(&tool);
    let overview = tool.recording("overview").unwrap().join("report.md");
    let overview = std::fs::read_to_string(overview).unwrap();
    assert!(overview.contains("Not measured to the end: cache."), "{overview}");
    assert!(
        overview.contains("../") && overview.contains("-incident-"),
        "{overview}"
    );
    assert_eq!(tool.left_behind(), [] as [std::path::PathBuf; 0]);
    // The server that stays keeps nothing of the report that ended early.
    let client = redis::Client::open(servers.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    assert_eq!(keys, [] as [String; 0]);
}
