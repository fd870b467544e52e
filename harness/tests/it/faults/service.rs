//! The service frozen, and killed and started again at the same address.

use std::sync::Arc;

use soundcheck::fault::process::{ServiceFault, ServiceTrouble};
use soundcheck::stack::{self, Component, StackChoice};
use soundcheck::target::{Program, Restartable, ServiceConfig};
use soundcheck::watchdog::Watchdog;

use crate::{SHORTLY, WITHIN, check, options, tool};

#[tokio::test]
async fn the_service_freezes_and_dies_and_comes_back() {
    let stack = stack::open(&options(StackChoice::Embedded, &[Component::Database]))
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = Program::tool(tool());
    let config = ServiceConfig::new("a", &stack.service_endpoints("a"));
    let commands = folder.path().join("commands.yaml");
    config.write(&commands).unwrap();
    program.migrate(&commands).await.unwrap();
    let watchdog = Watchdog::start(tool()).unwrap();
    let place = Restartable::launch(program, config, folder.path().to_owned(), "service", watchdog);
    let service = Arc::new(place.await.unwrap());
    let url = format!("{}/health/live", service.base_url());
    // Each request connects: on a connection kept from before, a killed server is one that hung up.
    let waiting_for = |time| {
        let client = reqwest::Client::builder().timeout(time).pool_max_idle_per_host(0);
        client.build().unwrap()
    };
    let (hasty, patient) = (waiting_for(SHORTLY), waiting_for(WITHIN));

    let freeze = ServiceFault {
        service: Arc::clone(&service),
        trouble: ServiceTrouble::Freeze,
    };
    check(&freeze, async || {
        hasty.get(&url).send().await.is_err_and(|error| error.is_timeout())
    })
    .await;
    assert!(patient.get(&url).send().await.is_ok());

    let before = service.process().await.unwrap();
    let kill = ServiceFault {
        service: Arc::clone(&service),
        trouble: ServiceTrouble::Kill,
    };
    check(&kill, async || {
        patient.get(&url).send().await.is_err_and(|error| error.is_connect())
    })
    .await;
    assert!(!before.is_alive() && service.process().await.unwrap() != before);

    let stopped = service.stop(WITHIN).await.unwrap().unwrap();
    assert!(stopped.is_graceful && stopped.status.success(), "{stopped:?}");
    assert_eq!(service.stop(WITHIN).await.unwrap(), None);
    stack.close().await.unwrap();
}
