//! The broker away for ten seconds under load.

use std::time::Duration;

use soundcheck::fault::Fault;
use soundcheck::fault::broker::MockBrokerDown;
use soundcheck::fault::container::{ContainerFault, ContainerTrouble};
use soundcheck::load::LoadHandle;
use soundcheck::stack::{Component, StackChoice};

use crate::support::rehearsal::Rehearsal;
use crate::{bookings, break_and_mend, house, metric, nothing_is_lost, turn, until, until_served};

const OUTAGE: Duration = Duration::from_secs(10);

async fn ten_seconds_without_the_broker(stack: StackChoice) {
    let _turn = turn(stack).await;
    let Some(rehearsal) = Rehearsal::start(stack, house()).await else {
        return;
    };
    let fault: Box<dyn Fault> = match rehearsal.stack().mock_broker() {
        Some(broker) => Box::new(MockBrokerDown { broker }),
        None => Box::new(ContainerFault {
            container: rehearsal.stack().container(Component::Kafka).unwrap(),
            trouble: ContainerTrouble::Stop,
        }),
    };
    let handle = LoadHandle::new();
    let outage = async {
        until("events flow", async || {
            metric(&rehearsal, "booking_outbox_published_total", None).await >= Some(20.0)
        })
        .await;
        let down = async {
            let began = rehearsal.clock.now();
            let n_before = handle.progress().ok;
            let over = rehearsal.clock.instant(began.plus(OUTAGE));
            tokio::time::sleep_until(over.into()).await;
            assert!(handle.progress().ok >= n_before + 20, "visits go on without a broker");
            until("the backlog and its age show", async || {
                metric(&rehearsal, "booking_outbox_pending", None).await >= Some(20.0)
                    && metric(&rehearsal, "booking_outbox_oldest_age_seconds", None).await >= Some(5.0)
            })
            .await;
        };
        break_and_mend(&rehearsal, &handle, "broker-down", fault.as_ref(), down).await;
        until_served(&handle, 10).await;
        until("the backlog drains under load", async || {
            let age = metric(&rehearsal, "booking_outbox_oldest_age_seconds", None).await;
            age.is_some_and(|age| age < 1.0)
        })
        .await;
        handle.stop();
    };
    let (causes, ()) = futures::join!(rehearsal.load(bookings(), 1, handle.clone()), outage);
    // A starved machine may cost a visit its answer in time; a broker that is away must cost none.
    let of_the_machine = |cause: &&String| {
        [" time-out: ", ": 503 ", ": 504 "]
            .iter()
            .any(|part| cause.contains(part))
    };
    let others: Vec<&String> = causes.iter().filter(|cause| !of_the_machine(cause)).collect();
    assert_eq!(others, [] as [&String; 0]);
    nothing_is_lost(rehearsal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_seconds_without_the_broker_lose_nothing() {
    ten_seconds_without_the_broker(StackChoice::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_seconds_without_the_broker_lose_nothing_on_containers() {
    ten_seconds_without_the_broker(StackChoice::Containers).await;
}
