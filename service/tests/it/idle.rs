//! Ten thousand clients that connect and say nothing.

use std::io::Write as _;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process::Site;
use crate::scenarios::client::fresh_key;

const N_IDLE: u64 = 10_000;
/// What a process opens beside the connections.
const N_OTHER_FILES: u64 = 1_000;
/// What the service may have open more than before, when the idle connections are gone: for its database and this
/// client.
const N_KEPT: f64 = 50.0;

/// Lets this process, and the service that it starts, have `wanted` files open; the number that they may have now.
/// A privileged user may raise the hard limit as well.
fn raise_limit(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let both = |current: u64, maximum: Option<u64>| {
        let current = Some(current);
        setrlimit(Resource::Nofile, Rlimit { current, maximum })
    };
    if limit.current.is_none_or(|soft| soft >= wanted) {
        return wanted;
    }
    if hard >= wanted {
        both(wanted, limit.maximum).unwrap();
        return wanted;
    }
    match both(wanted, Some(wanted)) {
        Ok(()) => wanted,
        Err(_not_allowed) => {
            both(hard, limit.maximum).unwrap();
            hard
        }
    }
}

/// How many connections fit when `n_files` may be open. Fewer than ten thousand are no proof of what is promised, so
/// that they fail where SOUNDCHECK_REQUIRE names `descriptors` or `containers`, as on the machines of CI.
fn n_connections(n_files: u64, required: &str) -> Result<u64, String> {
    let n_fitting = n_files.saturating_sub(N_OTHER_FILES).min(N_IDLE);
    let is_required = required
        .split(',')
        .any(|word| ["containers", "descriptors"].contains(&word));
    if n_fitting < N_IDLE && is_required {
        let needed = N_IDLE + N_OTHER_FILES;
        return Err(format!(
            "SOUNDCHECK_REQUIRE={required}, but only {n_files} files may be open; raise the hard limit to {needed}"
        ));
    }
    Ok(n_fitting)
}

/// Each takes a file, and nothing from the others, and gives it back.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_do_no_harm() {
    let required = std::env::var("SOUNDCHECK_REQUIRE").unwrap_or_default();
    // The service is a process of its own, with as many files as this one.
    let n_idle = n_connections(raise_limit(N_IDLE + N_OTHER_FILES), &required).unwrap();
    if n_idle < N_IDLE {
        // Past the test runner's capture.
        let _ = writeln!(
            std::io::stderr(),
            "LIMITED: {n_idle} idle connections are tried and not {N_IDLE}, for want of open files"
        );
    }
    let site = Site::seeded("50");
    let process = site.start(|_| {});
    let address = process.client.url("").replace("http://", "");
    let open_files = || process.client.metric("process_open_fds", "");
    let n_before = open_files().await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..n_idle {
        idle.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    let user = &site.users()[0];
    let token = process.client.admitted(user).await;
    let seat = process.client.free_seats(&token, &site.schedule()).await.remove(0);
    process.client.hold(&token, &seat, &fresh_key()).await.expect(201, "");
    // The service holds all of them: none was refused or dropped.
    let n_open = open_files().await.unwrap();
    assert!(n_open >= n_idle as f64, "{n_open} open files for {n_idle} connections");
    let resident = process
        .client
        .metric("process_resident_memory_bytes", "")
        .await
        .unwrap();
    assert!(resident < 300e6, "{resident} bytes for {n_idle} idle connections");
    drop(idle);
    // A file that stayed open for each visitor would be the end of a service that runs for long.
    let is_closed = || async { open_files().await.unwrap() <= n_before + N_KEPT };
    process
        .client
        .until("the files of the connections come back", is_closed)
        .await;
}

#[test]
fn too_few_files_are_a_failure_where_the_proof_is_required() {
    for required in ["", "containers", "descriptors", "containers,other"] {
        assert_eq!(n_connections(N_IDLE + N_OTHER_FILES, required), Ok(N_IDLE));
    }
    assert_eq!(n_connections(4_096, ""), Ok(3_096));
    assert_eq!(n_connections(4_096, "other"), Ok(3_096));
    assert_eq!(n_connections(500, ""), Ok(0));
    for required in ["containers", "other,descriptors"] {
        let refused = n_connections(N_IDLE + N_OTHER_FILES - 1, required).unwrap_err();
        assert!(refused.contains("raise the hard limit to 11000"), "{refused}");
    }
}
