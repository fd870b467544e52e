//! What the benchmarks of the service share: a place to run it, a client that costs next to nothing, and figures.
//!
//! The program under measurement is `soundcheck` as cargo builds it for benches: optimised, and with the switches for
//! defects and fail points compiled in but off. `SOUNDCHECK_BENCH_PROGRAM` names another build.

#![allow(dead_code, reason = "each bench uses what it needs")]

pub(crate) mod client;
pub(crate) mod figures;
pub(crate) mod load;
pub(crate) mod site;

/// Runs `measure` under `cargo bench`, on one thread, so that the client leaves the other cores to the service.
///
/// `cargo test --benches` runs benches too, and must stay quick.
pub(crate) fn bench(measure: impl Future<Output = ()>) {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("not measured: run it with `cargo bench`");
        return;
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(measure);
}
