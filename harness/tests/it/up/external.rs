//! Servers that are somebody else's: used, and left as they were.

use std::io::Read as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use soundcheck::namespace::has_schema;
use sqlx::{Connection as _, MySqlConnection};

use crate::support::kafka_server::KafkaServer;
use crate::support::mysql_server::MySqlServer;
use crate::support::redis_server::RedisServer;
use crate::{NAMESPACE, Up};

const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} did not come true in time");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn n_keys(redis: &str) -> u64 {
    let client = redis::Client::open(redis).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_up_created_on_servers_that_are_not_ours_is_removed() {
    let (mysql, redis, kafka) = futures::join!(MySqlServer::start(), RedisServer::start(), KafkaServer::start());
    let (Some(mysql), Some(redis), Some(kafka)) = (mysql, redis, kafka) else {
        return;
    };
    let (mysql_url, redis_url, brokers) = (mysql.url(), redis.url(), kafka.brokers());
    let urls = ["--mysql", &mysql_url, "--redis", &redis_url, "--kafka", &brokers];
    let arguments = [&["--stack", "external", "--set", "cache=redis"][..], &urls].concat();

    let up = Up::start(&arguments);
    assert!(up.get("/health/ready").await.unwrap().contains("true"));
    assert!(has_schema(&mysql_url, NAMESPACE).await.unwrap());
    // Somebody who waits is a key in Redis.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = serde_json::json!({ "user_id": "00000000-0000-0000-0000-000000000001" });
    let asked = client
        .post(format!("{}/v1/queue/tokens", up.url("service")))
        .json(&body);
    asked.send().await.unwrap();
    up.down();
    assert!(!has_schema(&mysql_url, NAMESPACE).await.unwrap());
    assert_eq!(n_keys(&redis_url).await, 0);

    // So the same call works again; and SIGKILL leaves nothing either.
    let mut up = Up::start(&arguments);
    assert!(up.get("/health/ready").await.unwrap().contains("true"));
    kill_process(Pid::from_child(&up.child), Signal::KILL).unwrap();
    up.child.wait().unwrap();
    until("removal", async || {
        !has_schema(&mysql_url, NAMESPACE).await.unwrap() && n_keys(&redis_url).await == 0
    })
    .await;

    // What was there before is not touched.
    let mut connection = MySqlConnection::connect(&mysql_url).await.unwrap();
    let created = sqlx::raw_sql("CREATE DATABASE up_test").execute(&mut connection).await;
    created.unwrap();
    let mut up = Up::start(&arguments);
    assert_eq!(up.child.wait().unwrap().code(), Some(2));
    let mut said = String::new();
    up.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(
        said.contains("has a schema up_test already") && said.contains("--namespace"),
        "{said}"
    );
    assert!(has_schema(&mysql_url, NAMESPACE).await.unwrap());
}
