//! The service killed ten times under load.

use std::sync::Arc;

use soundcheck::fault::process::{ServiceFault, ServiceTrouble};
use soundcheck::load::LoadHandle;
use soundcheck::stack::StackChoice;

use crate::support::rehearsal::Rehearsal;
use crate::{bookings, break_and_mend, house, metric, nothing_is_lost, turn, until};

const N_KILLS: usize = 10;
/// What each process sells before it dies.
const N_SOLD: f64 = 10.0;

async fn ten_kills(stack: StackChoice) {
    let _turn = turn(stack).await;
    let Some(rehearsal) = Rehearsal::start(stack, house()).await else {
        return;
    };
    let handle = LoadHandle::new();
    let kills = async {
        for number in 0..N_KILLS {
            // Poison that must end among the dead letters, whoever dies over it.
            rehearsal.plant(&format!("poison {number}")).await;
            until_sold(&rehearsal).await;
            until("visits under way", async || handle.progress().under_way() >= 2).await;
            let before = rehearsal.service.process().await.unwrap();
            let kill = ServiceFault {
                service: Arc::clone(&rehearsal.service),
                trouble: ServiceTrouble::Kill,
            };
            // It stays away until somebody has met that: a service which is back before the next request goes out was
            // killed in a pause, which loses nothing whatever it does.
            let n_failed = handle.progress().failed;
            let met = until("a visit that meets the kill", async || {
                handle.progress().failed > n_failed
            });
            break_and_mend(&rehearsal, &handle, "service-kill", &kill, met).await;
            assert!(!before.is_alive());
        }
        until_sold(&rehearsal).await;
        handle.stop();
    };
    futures::join!(rehearsal.load(bookings(), 1, handle.clone()), kills);
    nothing_is_lost(rehearsal).await;
}

async fn until_sold(rehearsal: &Rehearsal) {
    let n_sold = async || metric(rehearsal, "booking_payments_total", Some(("outcome", "paid"))).await;
    until("seats sold by this process", async || n_sold().await >= Some(N_SOLD)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_under_load_lose_nothing() {
    ten_kills(StackChoice::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_under_load_lose_nothing_on_containers() {
    ten_kills(StackChoice::Containers).await;
}
