//! From the committed payment to its ticket, over the real wire protocol of librdkafka's mock cluster.

mod dead_letters;
mod faults;
mod flow;
mod leases;
mod world;
