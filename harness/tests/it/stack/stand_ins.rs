//! What the environment asks of an image happens: of a stand-in as of the official one, whichever is here.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use soundcheck::daemon::{Daemon, sweep};
use soundcheck::stack::Component;
use soundcheck::stack::ports::{self, for_this_machine_alone};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use testcontainers::bollard::models::ContainerCreateBody;
use testcontainers::bollard::query_parameters::{CreateContainerOptions, LogsOptions};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _};

use crate::containers::{LocalImage, image_of};

const WITHIN: Duration = Duration::from_secs(60);

/// An image that publishes `port` on this machine alone, and where.
fn published(image: &LocalImage, port: u16, ready: WaitFor) -> (ContainerRequest<GenericImage>, u16) {
    let host_port = ports::choose().unwrap();
    let request = GenericImage::new(&image.name, &image.tag)
        .with_wait_for(ready)
        .with_mapped_port(host_port, port.tcp())
        .with_host_config_modifier(for_this_machine_alone);
    (request, host_port)
}

async fn removed(container: ContainerAsync<GenericImage>) {
    container.rm().await.unwrap();
}

async fn log_in(port: u16, user: &str, password: &str) -> sqlx::Result<MySqlConnection> {
    let options = MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(port)
        .username(user)
        .password(password);
    MySqlConnection::connect_with(&options).await
}

/// The server's number for its refusal.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: sqlx::Result<T>) -> u16 {
    let error = result.unwrap_err();
    let refused = error.as_database_error().and_then(|error| {
        error
            .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            .map(sqlx::mysql::MySqlDatabaseError::number)
    });
    refused.unwrap_or_else(|| panic!("no refusal of the server: {error:?}"))
}

const ACCESS_DENIED: u16 = 1045;
const NO_SUCH_RIGHT: u16 = 1044;
const NO_SUCH_RIGHT_ON_TABLE: u16 = 1142;

#[tokio::test(flavor = "multi_thread")]
async fn mysql_makes_the_accounts_and_the_database_that_it_is_told() {
    let Some(image) = image_of(Component::Database).await else {
        return;
    };
    let ready = WaitFor::message_on_stderr("X Plugin ready for connections. Bind-address:");
    let (request, port) = published(&image, 3306, ready);
    let container = request
        .with_startup_timeout(WITHIN * 2)
        .with_env_var("MYSQL_ROOT_PASSWORD_FILE", "/run/root-password")
        .with_copy_to("/run/root-password", b"of the root\n".to_vec())
        .with_env_var("MYSQL_DATABASE", "ticket_office")
        .with_env_var("MYSQL_USER", "clerk")
        .with_env_var("MYSQL_PASSWORD_FILE", "/run/clerk-password")
        .with_copy_to("/run/clerk-password", b"of the clerk".to_vec())
        .start()
        .await
        .unwrap();

    for wrong in ["", "of the clerk", "/run/root-password"] {
        assert_eq!(refusal(log_in(port, "root", wrong).await), ACCESS_DENIED, "`{wrong}`");
    }
    assert_eq!(refusal(log_in(port, "clerk", "").await), ACCESS_DENIED);
    let mut root = log_in(port, "root", "of the root").await.unwrap();
    // `_` stands for any letter in a grant, unless it was escaped.
    root.execute("CREATE DATABASE ticketXoffice").await.unwrap();

    let mut clerk = log_in(port, "clerk", "of the clerk").await.unwrap();
    for allowed in [
        "CREATE TABLE ticket_office.a (id INT PRIMARY KEY)",
        "INSERT INTO ticket_office.a VALUES (1)",
        "DROP TABLE ticket_office.a",
    ] {
        clerk.execute(allowed).await.unwrap();
    }
    for (forbidden, number) in [
        ("CREATE TABLE ticketXoffice.a (id INT)", NO_SUCH_RIGHT_ON_TABLE),
        ("CREATE DATABASE other", NO_SUCH_RIGHT),
        ("SELECT * FROM mysql.user", NO_SUCH_RIGHT_ON_TABLE),
    ] {
        let refused = clerk.execute(AssertSqlSafe(forbidden)).await;
        assert_eq!(refusal(refused), number, "{forbidden}");
    }
    clerk.close().await.unwrap();
    root.close().await.unwrap();
    removed(container).await;
}

/// Runs the image until it ends by itself; its status and its output.
async fn ended(image: &LocalImage, variables: &[&str]) -> (i64, String) {
    let daemon = Daemon::connect().await.unwrap();
    let name = format!("soundcheck-test-{}", uuid::Uuid::now_v7().simple());
    let labels: HashMap<String, String> = sweep::labels(&name).unwrap().into_iter().collect();
    let body = ContainerCreateBody {
        image: Some(format!("{}:{}", image.name, image.tag)),
        env: Some(variables.iter().map(|variable| (*variable).to_owned()).collect()),
        labels: Some(labels),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptions {
        name: Some(name.clone()),
        ..CreateContainerOptions::default()
    };
    let api = daemon.api();
    api.create_container(Some(options), body).await.unwrap();
    api.start_container(&name, None).await.unwrap();
    let waited = tokio::time::timeout(WITHIN, api.wait_container(&name, None).next()).await;
    let output = LogsOptions {
        stdout: true,
        stderr: true,
        ..LogsOptions::default()
    };
    let lines: Vec<_> = api.logs(&name, Some(output)).collect().await;
    let force = testcontainers::bollard::query_parameters::RemoveContainerOptions {
        force: true,
        v: true,
        ..Default::default()
    };
    api.remove_container(&name, Some(force)).await.unwrap();
    let text: Vec<_> = lines.into_iter().map(|line| line.unwrap().to_string()).collect();
    let status = match waited.expect("it does not end").unwrap() {
        Ok(ended) => ended.status_code,
        // The client takes any status but 0 for an error.
        Err(testcontainers::bollard::errors::Error::DockerContainerWaitError { code, .. }) => code,
        Err(other) => panic!("{other:?}"),
    };
    (status, text.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_refuses_what_would_leave_it_open_or_in_doubt() {
    let Some(image) = image_of(Component::Database).await else {
        return;
    };
    let (status, said) = ended(&image, &["MYSQL_DATABASE=a"]).await;
    assert_eq!(status, 1, "{said}");
    for words in [
        "Database is uninitialized and password option is not specified",
        "MYSQL_ROOT_PASSWORD",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let twice = ["MYSQL_ROOT_PASSWORD=a", "MYSQL_ROOT_PASSWORD_FILE=/etc/hostname"];
    let (status, said) = ended(&image, &twice).await;
    assert_eq!(status, 1, "{said}");
    assert!(
        said.to_lowercase()
            .contains("both mysql_root_password and mysql_root_password_file are set"),
        "{said}"
    );
    let (status, said) = ended(
        &image,
        &["MYSQL_ROOT_PASSWORD=a", "MYSQL_USER=root", "MYSQL_PASSWORD=b"],
    )
    .await;
    assert_eq!(status, 1, "{said}");
    assert!(said.contains(r#"MYSQL_USER="root""#), "{said}");
}

/// With no variable of its own, the broker runs as its image configures it, in the cluster that it is told.
#[tokio::test(flavor = "multi_thread")]
async fn kafka_joins_the_cluster_that_it_is_told() {
    const CLUSTER: &str = "Aqie4ZheT-6iV9ooB0xiuA";
    let Some(image) = image_of(Component::Kafka).await else {
        return;
    };
    let (request, port) = published(&image, 9092, WaitFor::message_on_stdout("Kafka Server started"));
    let container = request
        .with_startup_timeout(WITHIN * 2)
        .with_env_var("CLUSTER_ID", CLUSTER)
        .start()
        .await
        .unwrap();
    let told = tokio::task::spawn_blocking(move || {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", format!("127.0.0.1:{port}"))
            .set("log_level", "0");
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.client().fetch_cluster_id(WITHIN)
    });
    let told = told.await.unwrap();
    removed(container).await;
    assert_eq!(told.as_deref(), Some(CLUSTER));
}
