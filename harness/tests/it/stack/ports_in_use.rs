//! A host port that somebody takes between its choice and its use: another one is tried, and nothing is left.

use std::net::TcpListener;
use std::sync::Mutex;

use soundcheck::stack::component::address_of;
use soundcheck::stack::ports::{Ports, choose};
use soundcheck::stack::{self, Component, StackChoice, StackError, StackOptions};

use crate::containers::image_of;
use crate::options;

/// Options for Redis alone, whose ports are these, and after them any that is free.
fn on_ports(ports: &[u16]) -> StackOptions {
    let ports: Vec<u16> = ports.to_vec();
    let ports = Mutex::new(ports.into_iter());
    StackOptions {
        ports: Ports::new(move || ports.lock().unwrap().next().map_or_else(choose, Ok)),
        ..options(StackChoice::Containers, &[Component::Redis])
    }
}

fn port(stack: &dyn stack::Stack) -> u16 {
    let address = address_of(&stack.container(Component::Redis).unwrap().address).unwrap();
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_costs_an_attempt_and_no_more() {
    if image_of(Component::Redis).await.is_none() {
        return;
    }
    let of_a_process = TcpListener::bind("127.0.0.1:0").unwrap();
    let of_a_container = stack::open(&on_ports(&[])).await.unwrap();
    let taken = [of_a_process.local_addr().unwrap().port(), port(of_a_container.as_ref())];

    let stack = stack::open(&on_ports(&taken)).await.unwrap();
    assert!(!taken.contains(&port(stack.as_ref())));
    let container = stack.container(Component::Redis).unwrap();
    let attempts: Vec<String> = (1..=3)
        .map(|n| format!("{}-{n}", container.name.rsplit_once('-').unwrap().0))
        .collect();
    assert_eq!(container.name, attempts[2], "both taken ports were tried");
    stack.close().await.unwrap();
    for attempt in attempts {
        let is_left = container.daemon.api().inspect_container(&attempt, None).await.is_ok();
        assert!(!is_left, "{attempt} is left");
    }

    // There are not endlessly many attempts, and the last one says what was in the way.
    let error = stack::open(&on_ports(&[taken[0]; 8])).await.unwrap_err();
    let StackError::Start { why, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(why.contains("in use"), "{why}");
    of_a_container.close().await.unwrap();
}
