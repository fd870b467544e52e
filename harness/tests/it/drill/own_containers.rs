//! On containers of the tool's own every edge goes through a proxy, and nothing passes beside.

use std::collections::BTreeSet;

use soundcheck::recording::What;
use soundcheck::recording::event::Edge;

use crate::support::containers::can_open_a_stack;
use crate::tool::{Tool, sockets};
use crate::{CARRIED_OUT, MEASURING, check_fault, check_ways};

#[tokio::test(flavor = "multi_thread")]
async fn all_traffic_of_a_drill_goes_through_the_proxies() {
    if !can_open_a_stack().await {
        return;
    }
    let _alone = MEASURING.lock().await;
    let mut tool = Tool::start(&["report", "incident", "--stack", "containers", "--profile", "smoke"]);
    tool.until("the end of the warm-up", |tool| {
        let is_warm = |what: &What| matches!(what, What::Phase { name, edge: Edge::End } if name == "warm-up");
        tool.events("incident")
            .iter()
            .any(|event| is_warm(&event.what))
            .then_some(())
    });
    let [service] = tool.services("incident")[..] else {
        panic!("more than one service: {:?}", tool.services("incident"));
    };
    let own_ports: BTreeSet<u16> = listening(service).collect();
    let proxies: BTreeSet<u16> = listening(tool.pid()).collect();
    let asked: BTreeSet<u16> = sockets(service)
        .into_iter()
        .filter(|socket| socket.remote_port != 0 && !own_ports.contains(&socket.local_port))
        .map(|socket| socket.remote_port)
        .collect();
    assert!(
        asked.is_subset(&proxies),
        "the service is connected to {asked:?}, of which {proxies:?} are the harness's"
    );
    assert_eq!(asked.len(), 3, "MySQL, Redis and Kafka have a proxy each: {asked:?}");

    let ended = tool.end();
    assert!(CARRIED_OUT.contains(&ended.code), "{ended:#?}");
    // Every step was part of the estimate, and nothing more was.
    let last = ended.said.iter().rfind(|line| line.ends_with(" left")).unwrap();
    assert!(
        last.contains("removing the stack") && last.contains("a few seconds left"),
        "{last}"
    );
    let recording = tool.read("incident");
    for of in ["mysql", "redis", "service"] {
        let offset = recording.manifest().clock.offset_of(of);
        // All are on this machine, and so show its time.
        let offset = offset.unwrap_or_else(|| panic!("the clock of {of} was not measured"));
        assert!(
            offset.offset_ns.unsigned_abs() <= offset.uncertainty_ns + 100_000,
            "{offset:?}"
        );
    }
    check_fault(&recording, "mysql.pause");
    check_ways(&recording, &["Apache Kafka", "MySQL", "Redis"]);
}

fn listening(pid: u32) -> impl Iterator<Item = u16> {
    sockets(pid)
        .into_iter()
        .filter(|socket| socket.remote_port == 0)
        .map(|socket| socket.local_port)
}
