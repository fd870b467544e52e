//! The port of a proxy: open, closed, or open and full.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::conditions::Reception;
use super::handle::Shared;
use super::link;

/// More connections than one pool opens at once.
const BACKLOG: u32 = 1024;
/// On the loopback interface an answer takes microseconds; none after this is none.
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);
const REOPENS_WITHIN: Duration = Duration::from_secs(2);
/// The kernel admits a little more than it is told.
const N_MOST_FILLERS: usize = 16;

/// Tells the listener how to meet new connections; the answer says when it does.
pub(super) struct Command {
    pub(super) reception: Reception,
    pub(super) done: oneshot::Sender<std::io::Result<()>>,
}

/// The port, as it is now.
enum Port {
    Open(TcpListener),
    Closed,
    /// Nobody accepts, and the fillers leave no place in the queue.
    Full {
        _listener: TcpListener,
        _fillers: Vec<TcpStream>,
    },
}

/// Opens the port that every later state comes back to.
pub(super) fn listen(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Links of a moment ago must not keep the port from being opened again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// Serves the port until the proxy is dropped.
pub(super) async fn run(
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
) {
    let mut port = Port::Open(listener);
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => {
                let Some(Command { reception, done }) = command else { return };
                let result = change(&mut port, reception, address).await;
                // Who asked may have been cancelled; the port has changed all the same.
                let _nobody_waits = done.send(result);
            }
            accepted = accept(&port) => match accepted {
                Ok(client) => drop(tokio::spawn(link::run(client, Arc::clone(&shared)))),
                // Out of file handles, for instance: callers wait in the queue until some are free.
                Err(error) => {
                    tracing::warn!(%error, "the proxy cannot accept a connection");
                    tokio::time::sleep(ANSWERED_WITHIN).await;
                }
            },
        }
    }
}

async fn accept(port: &Port) -> std::io::Result<TcpStream> {
    match port {
        Port::Open(listener) => listener.accept().await.map(|(client, _)| client),
        Port::Closed | Port::Full { .. } => std::future::pending().await,
    }
}

async fn change(port: &mut Port, reception: Reception, address: SocketAddr) -> std::io::Result<()> {
    match (&*port, reception) {
        (Port::Open(_), Reception::Accept)
        | (Port::Closed, Reception::Refuse)
        | (Port::Full { .. }, Reception::Hang) => {
            return Ok(());
        }
        _ => {}
    }
    // Closed first: nobody can be bound there anew while somebody listens.
    *port = Port::Closed;
    *port = match reception {
        Reception::Refuse => Port::Closed,
        Reception::Accept => Port::Open(reopen(address, BACKLOG).await?),
        Reception::Hang => fill(address).await?,
    };
    Ok(())
}

/// Opens the port again. A child process that is just being born may hold a copy of the old one for a moment.
async fn reopen(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let deadline = Instant::now() + REOPENS_WITHIN;
    loop {
        match listen(address, backlog) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            decided => return decided,
        }
    }
}

/// Opens the port with the shortest queue and fills it, so that the kernel answers nobody else.
async fn fill(address: SocketAddr) -> std::io::Result<Port> {
    let listener = reopen(address, 1).await?;
    let mut fillers = Vec::new();
    while fillers.len() < N_MOST_FILLERS {
        match timeout(ANSWERED_WITHIN, TcpStream::connect(address)).await {
            Ok(filler) => fillers.push(filler?),
            Err(_unanswered) => {
                return Ok(Port::Full {
                    _listener: listener,
                    _fillers: fillers,
                });
            }
        }
    }
    Err(std::io::Error::other("the kernel admits connections without an end"))
}

/// The first port of a proxy.
pub(super) fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    listen(address, BACKLOG)
}
