//! A port that somebody else has.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::tool::Site;

#[test]
fn a_port_in_use_is_named_before_anything_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new();
    let listen = format!("listen={address}");
    let words = [
        &format!("cannot listen on {address}: choose another `listen`, or port 0 for a free one") as &str,
        "Address already in use",
    ];
    let settings = [
        "--set",
        "database.url=sqlite://booking.db",
        "--set",
        "token.secret=0123456789abcdef",
    ];
    site.run(&[&["service", "serve", "--set", &listen], &settings[..]].concat())
        .fails(2, &words);
    assert_eq!(site.names(), [] as [&str; 0], "the database was touched");
    // The same through `up`, which has a stack by then.
    site.run(&["up", "--stack", "embedded", "--seats", "100", "--set", &listen])
        .fails(2, &words);
    drop(taken);
    // Children that other tests start at this moment hold a copy of every socket until they have become their program.
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(held) = TcpListener::bind(address) {
        assert!(Instant::now() < deadline, "the port is held by what was left: {held}");
        std::thread::yield_now();
    }
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let site = Site::new();
    // Set aside for documentation, so that no machine has it.
    let settings = [
        "--set",
        "listen=192.0.2.1:80",
        "--set",
        "database.url=sqlite://booking.db",
        "--set",
        "token.secret=0123456789abcdef",
    ];
    site.run(&[&["service", "serve"], &settings[..]].concat())
        .fails(2, &["cannot listen on 192.0.2.1:80"]);
}
