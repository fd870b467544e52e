//! On loopback sockets: each kind of trouble, that it reaches live links, and that healing ends it.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::pump::QUEUE_LIMIT_BYTES;
use super::{Conditions, Direction, Flow, Proxy, Reception};
use crate::units::Bytes;

/// Longer than anything here takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(20);
/// As good as for ever.
const LONG: Duration = Duration::from_secs(900);
/// Long enough to tell that nothing comes.
const SHORTLY: Duration = Duration::from_millis(150);

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

struct World {
    proxy: Proxy,
    server: TcpListener,
}

impl World {
    async fn new() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::bind(42).await.unwrap();
        proxy.set_upstream(server.local_addr().unwrap()).unwrap();
        Self { proxy, server }
    }

    /// A link: the client's end and the server's.
    async fn link(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.proxy.address()).await.unwrap();
        let (server, _) = within(self.server.accept()).await.unwrap();
        (client, server)
    }

    fn set(&self, conditions: &Conditions) {
        for direction in Direction::BOTH {
            self.proxy.set(direction, conditions.clone());
        }
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(WITHIN, work).await.expect("it took too long")
}

async fn receive(from: &mut TcpStream, n_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; n_bytes];
    within(from.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// Waits for the end of the stream, which must not be an orderly one.
async fn is_reset(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match within(stream.read_to_end(&mut rest)).await {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_unchanged_and_are_counted() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    let sent: Vec<u8> = (0..500_000_u32).map(|n| (n % 251) as u8).collect();
    let ((), received) = tokio::join!(
        async { client.write_all(&sent).await.unwrap() },
        receive(&mut server, sent.len())
    );
    assert_eq!(received, sent);
    server.write_all(b"back").await.unwrap();
    assert_eq!(receive(&mut client, 4).await, b"back");
    let traffic = world.proxy.traffic();
    assert_eq!((traffic.n_links, traffic.n_links_open), (1, 1));
    assert_eq!((traffic.to_server, traffic.to_client), (Bytes(500_000), Bytes(4)));
}

#[tokio::test]
async fn small_answers_are_not_held_back_for_larger_ones() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    let started = Instant::now();
    for n in 0..50 {
        client.write_all(&[n]).await.unwrap();
        assert_eq!(receive(&mut server, 1).await, [n]);
        server.write_all(&[n]).await.unwrap();
        assert_eq!(receive(&mut client, 1).await, [n]);
    }
    // Waiting for acknowledgements costs 40 ms a round.
    assert!(started.elapsed() < ms(1_000), "{:?}", started.elapsed());
}

#[tokio::test]
async fn latency_delays_a_stream_without_thinning_it_out() {
    let world = World::new().await;
    world.set(&Conditions {
        latency: ms(200),
        ..Conditions::default()
    });
    let (mut client, mut server) = world.link().await;
    let started = Instant::now();
    for n in 0..20_u8 {
        client.write_all(&[n]).await.unwrap();
        // Chunks of their own.
        tokio::time::sleep(ms(5)).await;
    }
    assert_eq!(receive(&mut server, 1).await, [0]);
    let first = started.elapsed();
    let rest = receive(&mut server, 19).await;
    let all = started.elapsed();
    assert_eq!(rest, (1..20).collect::<Vec<_>>());
    assert!(first >= ms(200), "{first:?}");
    // One after another, twenty delays would take four seconds.
    assert!(all < ms(2_000), "{all:?}");
}

#[tokio::test]
async fn jitter_keeps_the_order() {
    let world = World::new().await;
    world.set(&Conditions {
        latency: ms(20),
        jitter: ms(20),
        ..Conditions::default()
    });
    let (mut client, mut server) = world.link().await;
    for n in 0..50_u8 {
        client.write_all(&[n]).await.unwrap();
        tokio::time::sleep(ms(1)).await;
    }
    assert_eq!(receive(&mut server, 50).await, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_direction_can_suffer_alone() {
    let world = World::new().await;
    world.proxy.set(
        Direction::ToClient,
        Conditions {
            latency: ms(1_500),
            ..Conditions::default()
        },
    );
    let (mut client, mut server) = world.link().await;
    let started = Instant::now();
    client.write_all(b"a").await.unwrap();
    receive(&mut server, 1).await;
    assert!(started.elapsed() < ms(1_000), "{:?}", started.elapsed());
    server.write_all(b"b").await.unwrap();
    receive(&mut client, 1).await;
    assert!(started.elapsed() >= ms(1_500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn bandwidth_is_kept() {
    let world = World::new().await;
    world.set(&Conditions {
        bandwidth: Some(Bytes(100_000)),
        ..Conditions::default()
    });
    let (mut client, mut server) = world.link().await;
    let started = Instant::now();
    client.write_all(&[7; 50_000]).await.unwrap();
    receive(&mut server, 50_000).await;
    let took = started.elapsed();
    // The last piece is on its way when it has been written.
    assert!(took >= ms(450), "{took:?}");
    assert!(took < ms(2_000), "{took:?}");
}

#[tokio::test]
async fn a_change_reaches_bytes_that_are_on_their_way() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    world.set(&Conditions {
        latency: LONG,
        ..Conditions::default()
    });
    client.write_all(b"late").await.unwrap();
    assert!(timeout(SHORTLY, server.read_u8()).await.is_err());
    world.proxy.heal().await.unwrap();
    assert_eq!(receive(&mut server, 4).await, b"late");
}

#[tokio::test]
async fn a_stall_pushes_back_and_delivers_on_heal() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    world.set(&Conditions {
        flow: Flow::Stall,
        ..Conditions::default()
    });
    let chunk = vec![9_u8; 64 * 1024];
    let mut n_sent = 0;
    // The kernel's own buffers take some megabytes; then the sender feels it.
    while let Ok(written) = timeout(SHORTLY, client.write(&chunk)).await {
        n_sent += written.unwrap();
        assert!(n_sent < 64 * 1024 * 1024, "a stalled link takes everything");
    }
    assert!(timeout(SHORTLY, server.read_u8()).await.is_err());
    world.proxy.heal().await.unwrap();
    assert_eq!(receive(&mut server, n_sent).await, vec![9; n_sent]);
}

#[tokio::test]
async fn what_waits_inside_is_bounded() {
    let world = World::new().await;
    world.set(&Conditions {
        latency: LONG,
        ..Conditions::default()
    });
    let (mut client, _server) = world.link().await;
    let chunk = vec![1_u8; 64 * 1024];
    let mut n_sent = 0;
    while let Ok(written) = timeout(SHORTLY, client.write(&chunk)).await {
        n_sent += written.unwrap();
        assert!(n_sent < 64 * 1024 * 1024, "the queue has no end");
    }
    assert!(n_sent >= QUEUE_LIMIT_BYTES, "{n_sent}");
}

#[tokio::test]
async fn a_black_hole_swallows_without_push_back_and_resets_what_has_a_hole() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    let (mut idle_client, mut idle_server) = world.link().await;
    world.set(&Conditions {
        flow: Flow::Blackhole,
        ..Conditions::default()
    });
    let chunk = vec![5_u8; 64 * 1024];
    for _ in 0..1_000 {
        within(client.write_all(&chunk)).await.unwrap();
    }
    assert!(timeout(SHORTLY, server.read_u8()).await.is_err());
    // Everything must have arrived in the hole before it closes, or the rest would be a reset of another kind.
    world.proxy.heal().await.unwrap();
    assert!(is_reset(&mut server).await);
    idle_client.write_all(b"x").await.unwrap();
    assert_eq!(
        receive(&mut idle_server, 1).await,
        b"x",
        "a link that lost nothing goes on"
    );
}

#[tokio::test]
async fn a_reset_reaches_both_ends_of_live_links_and_new_ones_work() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    client.write_all(b"x").await.unwrap();
    receive(&mut server, 1).await;
    world.proxy.reset_links();
    assert!(is_reset(&mut client).await && is_reset(&mut server).await);
    let (mut client, mut server) = world.link().await;
    client.write_all(b"x").await.unwrap();
    receive(&mut server, 1).await;
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_write() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    world.proxy.set(
        Direction::ToClient,
        Conditions {
            reset_after: Some(Bytes(1_000)),
            ..Conditions::default()
        },
    );
    server.write_all(&[3; 5_000]).await.unwrap();
    let mut received = Vec::new();
    let ended = within(client.read_to_end(&mut received)).await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(received.len() <= 1_000, "{}", received.len());
    assert_eq!(world.proxy.traffic().to_client, Bytes(1_000));
}

#[tokio::test]
async fn refusing_closes_the_port_leaves_live_links_and_heals_to_the_same_port() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    let address = world.proxy.address();
    world.proxy.set_reception(Reception::Refuse).await.unwrap();
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    client.write_all(b"x").await.unwrap();
    assert_eq!(receive(&mut server, 1).await, b"x");
    world.proxy.heal().await.unwrap();
    assert_eq!(world.proxy.address(), address);
    world.link().await;
}

#[tokio::test]
async fn connecting_hangs_until_the_heal() {
    let world = World::new().await;
    world.proxy.set_reception(Reception::Hang).await.unwrap();
    let address = world.proxy.address();
    let mut connecting = Box::pin(TcpStream::connect(address));
    assert!(timeout(SHORTLY, &mut connecting).await.is_err(), "somebody answered");
    world.proxy.heal().await.unwrap();
    // The kernel asks again by itself, after a second.
    let mut client = within(connecting).await.unwrap();
    let (mut server, _) = within(world.server.accept()).await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(receive(&mut server, 1).await, b"x");
}

#[tokio::test]
async fn a_half_closed_link_goes_on_the_other_way() {
    let world = World::new().await;
    let (mut client, mut server) = world.link().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = Vec::new();
    within(server.read_to_end(&mut question)).await.unwrap();
    assert_eq!(question, b"question");
    server.write_all(b"answer").await.unwrap();
    assert_eq!(receive(&mut client, 6).await, b"answer");
    server.shutdown().await.unwrap();
    assert_eq!(
        within(client.read(&mut [0])).await.unwrap(),
        0,
        "an orderly end is passed on as one"
    );
    let deadline = Instant::now() + WITHIN;
    while world.proxy.traffic().n_links_open > 0 {
        assert!(Instant::now() < deadline, "the link did not end");
        tokio::time::sleep(ms(1)).await;
    }
}

#[tokio::test]
async fn a_slow_close_holds_back_the_end_alone() {
    let world = World::new().await;
    world.set(&Conditions {
        slow_close: ms(1_500),
        ..Conditions::default()
    });
    let (mut client, mut server) = world.link().await;
    let started = Instant::now();
    client.write_all(b"bye").await.unwrap();
    client.shutdown().await.unwrap();
    receive(&mut server, 3).await;
    assert!(started.elapsed() < ms(1_000), "{:?}", started.elapsed());
    assert_eq!(within(server.read(&mut [0])).await.unwrap(), 0);
    assert!(started.elapsed() >= ms(1_500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_is_away_shows_as_a_reset() {
    let world = World::new().await;
    let World { proxy, server } = world;
    drop(server);
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(is_reset(&mut client).await);
}

#[tokio::test]
async fn a_reset_by_one_end_is_passed_on() {
    let world = World::new().await;
    let (client, mut server) = world.link().await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert!(is_reset(&mut server).await);
}

#[tokio::test]
async fn dropping_the_proxy_ends_its_links_and_frees_its_port() {
    let world = World::new().await;
    let (mut client, _server) = world.link().await;
    let address = world.proxy.address();
    drop(world.proxy);
    assert!(is_reset(&mut client).await);
    let deadline = Instant::now() + WITHIN;
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "the port is still open");
        tokio::time::sleep(ms(1)).await;
    }
}
