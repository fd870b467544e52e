//! One connection through the proxy: two pumps, and the ways in which it ends.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::conditions::Direction;
use super::handle::Shared;
use super::pump::{Abort, Pump};

/// Joins `client` to the proxy's server and moves bytes until both have closed, or the link is reset.
pub(super) async fn run(client: TcpStream, shared: Arc<Shared>) {
    let mut resets = shared.resets.subscribe();
    let resets_before = *resets.borrow_and_update();
    let number = shared.begin_link();
    let outcome = join(client, &shared, number, async {
        // An error means that the proxy is gone, and the link with it.
        let _generation = resets.wait_for(|generation| *generation > resets_before).await;
    })
    .await;
    if let Err(error) = outcome {
        tracing::debug!(%error, number, "link of the proxy failed");
    }
    shared.end_link();
}

async fn join(
    mut client: TcpStream,
    shared: &Shared,
    number: u64,
    reset: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let mut server = match shared.connect().await {
        Ok(server) => server,
        Err(error) => {
            // The nearest to "refused" that one can say after having accepted.
            client.set_zero_linger()?;
            return Err(error);
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let is_clean = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        // Each direction of each link has luck of its own, so that one link's traffic does not change another's.
        let seed = |direction: u64| shared.seed.wrapping_add(number.wrapping_mul(2)).wrapping_add(direction);
        let [up, down] = Direction::BOTH.map(|direction| shared.conditions(direction).subscribe());
        let up = Pump::new(up, seed(0), &shared.n_bytes_to_server).run(from_client, to_server);
        let down = Pump::new(down, seed(1), &shared.n_bytes_to_client).run(from_server, to_client);
        tokio::select! {
            // Either direction may end long before the other: a half-closed connection is a connection.
            ended = async { tokio::try_join!(up, down) } => !matches!(ended, Err(Abort)),
            () = reset => false,
        }
    };
    if !is_clean {
        // With no time to linger, closing sends a reset instead of an orderly end.
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}
