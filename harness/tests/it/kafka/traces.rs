//! Spans, from a request through every server to the ticket.

use crate::scenarios::traces::Behind;
use crate::scenarios::{Collector, traces};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_is_one_trace_through_all_servers() {
    let collector = Collector::start().await;
    let Some(world) = World::new(&["tracing.sample_ratio=0", &collector.setting()]).await else {
        return;
    };
    let instance = world.start().await;
    let behind = Behind {
        database: "mysql",
        has_redis: true,
        topic: &world.topics.main,
        group: &world.topics.group,
    };
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    traces::a_booking_is_one_trace(&instance.client, &collector, trace, world.visitor(), behind).await;
    instance.app.stop().await;
}
