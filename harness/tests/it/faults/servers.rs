//! One stack of containers behind proxies, for all faults that need one, one after the other.

use soundcheck::fault::Edges;
use soundcheck::fault::container::{ContainerFault, ContainerTrouble};
use soundcheck::fault::drill;
use soundcheck::plan::DrillFault;
use soundcheck::stack::error::ProbeFailure;
use soundcheck::stack::{self, Component, Stack, StackChoice, StackError, StackOptions, probe};

use crate::containers::can_open_a_stack;
use crate::{SHORTLY, WITHIN, check, edges, mysql, options};

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_containers_and_of_the_network() {
    if !can_open_a_stack().await {
        return;
    }
    let mut edges = Edges::bind(42).await.unwrap();
    let options = StackOptions {
        kafka_advertised: edges.kafka_advertised(),
        ..options(StackChoice::Containers, &Component::ALL)
    };
    let stack = stack::open(&options).await.unwrap();
    let through = edges.join(stack.as_ref(), "a").await.unwrap();

    mysql::rows_are_locked_and_freed(stack.as_ref()).await;
    edges::each_edge_suffers_and_heals(stack.as_ref(), &edges, &through).await;
    containers_suffer_and_heal(stack.as_ref(), &edges).await;
    stack.close().await.unwrap();
}

async fn containers_suffer_and_heal(stack: &dyn Stack, edges: &Edges) {
    let container = stack.container(Component::Redis).unwrap();
    let failure = async |within| match probe::probe(container.component, &container.address, within).await {
        Ok(_) => None,
        Err(StackError::Probe { what, .. }) => Some(what),
        Err(other) => panic!("{other:?}"),
    };
    let fault = |trouble| ContainerFault {
        container: container.clone(),
        trouble,
    };
    // The user-space proxy of the daemon accepts for a paused container; nobody answers.
    check(&fault(ContainerTrouble::Pause), async || {
        matches!(failure(SHORTLY).await, Some(ProbeFailure::Silent(_)))
    })
    .await;
    check(&fault(ContainerTrouble::Kill), async || {
        failure(WITHIN).await == Some(ProbeFailure::Refused)
    })
    .await;
    check(&fault(ContainerTrouble::Stop), async || {
        failure(WITHIN).await == Some(ProbeFailure::Refused)
    })
    .await;
    check(&fault(ContainerTrouble::Restart), async || true).await;

    assert_eq!(drill::usual(stack), DrillFault::MysqlPause);
    let pause = drill::of(DrillFault::MysqlPause, stack, edges, "a").unwrap();
    let url = stack.direct_endpoints("a").database_url;
    check(pause.as_ref(), async || {
        probe::probe(Component::Database, &url, SHORTLY).await.is_err()
    })
    .await;
    let refused = drill::of(DrillFault::DatabaseLock, stack, edges, "a")
        .unwrap_err()
        .to_string();
    assert!(refused.contains("SQLite"), "{refused}");

    // A broker that was killed comes back to the address that it advertises.
    let container = stack.container(Component::Kafka).unwrap();
    let kill = ContainerFault {
        container: container.clone(),
        trouble: ContainerTrouble::Kill,
    };
    check(&kill, async || {
        probe::probe(Component::Kafka, &container.address, SHORTLY)
            .await
            .is_err()
    })
    .await;
}
