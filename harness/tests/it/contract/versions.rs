//! Each server has one version: the tool's defaults, `docker-compose.yml`, the stand-ins and the workflows agree.

use std::collections::BTreeSet;

use soundcheck::daemon::builder::StandIn;
use soundcheck::stack::{Component, images};

use crate::{files, root};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The tag of an image's name.
fn tag(image: &str) -> &str {
    image.rsplit_once(':').unwrap().1
}

/// Every tag that `text` gives to the image `name`.
fn tags_of(name: &str, text: &str) -> BTreeSet<String> {
    let mut tags = BTreeSet::new();
    for (at, _) in text.match_indices(&format!("{name}:")) {
        // `soundcheck/mysql:9.7` is not the image `mysql`.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '/' || c == '_') {
            continue;
        }
        let rest = &text[at + name.len() + 1..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
        let tag = rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', '-']);
        // `mysql:3306` is a server and its port.
        let is_port = tag.parse::<u16>().is_ok_and(|number| number >= 1024);
        if tag.starts_with(|c: char| c.is_ascii_digit()) && !is_port {
            tags.insert(tag.to_owned());
        }
    }
    tags
}

#[test]
fn compose_runs_what_the_tool_runs() {
    let text = read("docker-compose.yml");
    let compose: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    for component in Component::ALL {
        let (official, stand_in) = images::defaults(component);
        let variable = format!("SOUNDCHECK_{}_IMAGE", component.name().to_uppercase());
        assert_eq!(
            compose["services"][component.name()]["image"],
            format!("${{{variable}:-{official}}}"),
            "{component}"
        );
        // What its comment tells people without a registry to set.
        let advice = format!("{variable}={}", stand_in.image());
        assert!(text.contains(&advice), "docker-compose.yml does not advise {advice}");
    }
    let advice = format!("SOUNDCHECK_PROMETHEUS_IMAGE={}", StandIn::Prometheus.image());
    assert!(text.contains(&advice), "docker-compose.yml does not advise {advice}");
}

#[test]
fn a_stand_in_is_of_the_official_image_s_version() {
    let (kafka, _) = images::defaults(Component::Kafka);
    let pom = read("harness/images/kafka/pom.xml");
    let broker = pom.split("<artifactId>kafka_").nth(1).unwrap();
    let version = broker.split("<version>").nth(1).unwrap().split('<').next().unwrap();
    assert_eq!(version, tag(kafka));
    let (mysql, _) = images::defaults(Component::Database);
    let conf = read("harness/images/mysql/image.conf");
    assert!(conf.contains(&format!("ENV MYSQL_MAJOR={}\n", tag(mysql))), "{conf}");
    for component in Component::ALL {
        let (official, stand_in) = images::defaults(component);
        let is_same = tag(official) == tag(stand_in.image());
        // A distribution's package may be a little older than a minor version that is asked for.
        let is_major = tag(official).starts_with(&format!("{}.", tag(stand_in.image())));
        assert!(is_same || is_major, "{official} and {}", stand_in.image());
    }
}

/// Wherever a version is written, it is the one of the tool's defaults.
#[test]
fn no_file_names_another_version() {
    let mut paths = vec![
        root().join(".ci/run"),
        root().join(".github/workflows/ci.yml"),
        root().join("docker-compose.yml"),
        root().join("README.md"),
    ];
    for folder in [
        "harness/src",
        "harness/images",
        "harness/tests",
        "service",
        "dashboards",
    ] {
        paths.extend(files(&root().join(folder), ""));
    }
    let mut n_found = 0;
    for path in paths.iter().filter(|path| !path.ends_with("contract/versions.rs")) {
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        for component in Component::ALL {
            let (official, stand_in) = images::defaults(component);
            for image in [official, stand_in.image()] {
                let name = image.rsplit_once(':').unwrap().0;
                for found in tags_of(name, &text) {
                    n_found += 1;
                    assert_eq!(found, tag(image), "{} names another {name}", path.display());
                }
            }
        }
    }
    assert!(n_found >= 6, "only {n_found} versions found: nothing is checked");
}

#[test]
fn versions_are_found_where_they_are_written() {
    let tags = |name, text: &str| tags_of(name, text).into_iter().collect::<Vec<_>>();
    assert_eq!(tags("mysql", "image: ${X:-mysql:9.7}\n# mysql:8.4."), ["8.4", "9.7"]);
    assert_eq!(
        tags(
            "mysql",
            "soundcheck/mysql:9.7, mysql: starting, a_mysql:1, root@mysql:3306"
        ),
        [] as [&str; 0]
    );
    assert_eq!(tags("apache/kafka", "\"apache/kafka:4.1.0\""), ["4.1.0"]);
}
