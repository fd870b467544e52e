//! What was mistyped on the command line.

use crate::tool::Site;

#[track_caller]
fn check(arguments: &[&str], words: &[&str]) {
    let site = Site::new();
    site.run(arguments).fails(2, words);
    assert_eq!(site.names(), [] as [&str; 0], "nothing is begun");
}

#[test]
fn a_name_that_is_not_known_is_told_with_those_that_are() {
    check(
        &["report", "cash"],
        &["invalid value 'cash'", "cache, index, incident", "'cache'"],
    );
    check(
        &["report", "--profile", "smok"],
        &["invalid value 'smok' for '--profile", "smoke, quick, full", "'smoke'"],
    );
    check(
        &["report", "--stack", "container"],
        &["invalid value 'container' for '--stack", "'containers'", "external"],
    );
    check(&["repot"], &["unrecognized subcommand 'repot'", "'report'"]);
    check(
        &["report", "--sead", "1"],
        &["unexpected argument '--sead'", "'--seed'"],
    );
    check(
        &["up", "--no-service", "--only", "mysqll"],
        &["invalid value 'mysqll' for '--only", "mysql, redis, kafka"],
    );
    check(
        &["images", "build", "postgres"],
        &["invalid value 'postgres'", "mysql, redis, kafka"],
    );
    check(
        &["service", "index", "status"],
        &["invalid value 'status'", "status-schedule, schedule-status"],
    );
}

#[test]
fn a_number_that_is_none_is_told_with_its_option() {
    for seed in ["many", "-1", "1.5", "", "18446744073709551616", "0x2a"] {
        let option = format!("--seed={seed}");
        check(&["report", &option], &["--seed <SEED>"]);
        check(&["up", &option], &["--seed <SEED>"]);
        check(&["service", "seed", &option], &["--seed <SEED>"]);
    }
    check(&["up", "--seats", "all"], &["invalid value 'all' for '--seats"]);
    check(
        &[
            "service",
            "seed",
            "--set",
            "database.url=sqlite://a.db",
            "--set",
            "token.secret=0123456789abcdef",
            "--skew",
            "9",
        ],
        &["--skew must be from 0 to 3, not 9"],
    );
}

#[test]
fn what_does_not_go_together_or_is_missing_is_told() {
    check(&["report", "-q", "-v"], &["'--quiet' cannot be used with '--verbose"]);
    check(&["up", "--only", "redis"], &["required arguments", "--no-service"]);
    check(&["verify"], &["required arguments", "<RUN>"]);
    check(&["render"], &["required arguments", "<RECORDING>"]);
    check(
        &["report", "--image", "mysql"],
        &["`mysql` names no image", "mysql=IMAGE"],
    );
    check(
        &["up", "--stack", "embedded", "--set", "cache.mode"],
        &["--set cache.mode: expected key=value"],
    );
}
