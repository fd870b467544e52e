//! What `docker-compose.yml` promises of each of its services, and what others rely on.

use std::collections::{BTreeMap, BTreeSet};

use booking_service::config::keys::KEYS;
use serde_yaml::Value;
use soundcheck::daemon::builder::StandIn;
use soundcheck::stack::options::ExternalUrls;

use crate::{files, root};

/// They end by themselves, serve nobody, or have nothing in their image that could ask.
const WITHOUT_HEALTH_CHECK: [&str; 4] = ["load", "migrate", "otel-collector", "seed"];
/// There is no image of them where no registry can be reached.
const WITHOUT_STAND_IN: [&str; 4] = ["grafana", "jaeger", "kafka-exporter", "otel-collector"];
/// A container may not be given more processors than there are.
const MOST_CPUS: f64 = 2.0;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap()
}

fn services(compose: &Value) -> BTreeMap<&str, &Value> {
    let services = compose["services"].as_mapping().unwrap();
    services
        .iter()
        .map(|(name, service)| (name.as_str().unwrap(), service))
        .collect()
}

fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_sequence().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

/// `(variable, default)` of `${VARIABLE:-DEFAULT}`, if the text is that and no more.
fn with_default(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    let (variable, default) = inner.split_once(":-")?;
    (!default.contains('}')).then_some((variable, default))
}

/// The variables that a text asks for.
fn variables(text: &str) -> BTreeSet<&str> {
    let asked = text.split("${").skip(1);
    asked
        .map(|rest| rest.split([':', '}']).next().unwrap_or_default())
        .collect()
}

/// Whether this names one version and not whatever is the newest.
fn is_pinned(image: &str) -> bool {
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    // A major version alone is another one every few months.
    let mut numbers = tag.trim_start_matches('v').split('.');
    numbers
        .by_ref()
        .take(2)
        .filter(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        .count()
        == 2
}

/// What is wrong with one service, whatever it does.
fn problems(name: &str, service: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let mut wrong = |what: String| problems.push(format!("{name}: {what}"));
    match service["image"].as_str().and_then(with_default) {
        Some((variable, image)) => {
            if !(variable.starts_with("SOUNDCHECK_") && variable.ends_with("_IMAGE")) {
                wrong(format!("its image is chosen by {variable}"));
            }
            if !is_pinned(image) {
                wrong(format!("{image} is no version"));
            }
        }
        None => wrong("no variable chooses its image".to_owned()),
    }
    for port in texts(&service["ports"]) {
        let published = port.strip_prefix("127.0.0.1:").and_then(|rest| rest.rsplit_once(':'));
        match published.and_then(|(host, _)| with_default(host)) {
            Some((variable, _)) if variable.starts_with("SOUNDCHECK_") && variable.ends_with("_PORT") => {}
            _ => wrong(format!(
                "port {port} is not of 127.0.0.1 alone, or no variable moves it"
            )),
        }
    }
    for key in ["network_mode", "privileged", "pid", "cap_add"] {
        if service.get(key).is_some() {
            wrong(format!("it reaches beyond its container by {key}"));
        }
    }
    let health = &service["healthcheck"];
    let is_checked = health["test"].is_sequence()
        && ["interval", "timeout", "retries"]
            .iter()
            .all(|key| health.get(key).is_some());
    if is_checked == WITHOUT_HEALTH_CHECK.contains(&name) || (!is_checked && health["disable"] != Value::Bool(true)) {
        wrong("its health is not checked as it should be".to_owned());
    }
    let is_size = service["mem_limit"]
        .as_str()
        .is_some_and(|size| size.ends_with(['m', 'g']));
    if !is_size {
        wrong("its memory has no limit".to_owned());
    }
    // What Compose 1.29 does not heed outside of a swarm.
    if service.get("deploy").is_some() {
        wrong("`deploy` limits nothing everywhere".to_owned());
    }
    match service["cpus"].as_f64() {
        Some(cpus) if cpus > 0.0 && cpus <= MOST_CPUS => {}
        cpus => wrong(format!("its processors are limited to {cpus:?}")),
    }
    if service["logging"]["options"].get("max-size").is_none() {
        wrong("its log has no limit".to_owned());
    }
    for volume in texts(&service["volumes"]) {
        let source = volume.split(':').next().unwrap_or_default();
        if source.starts_with("./") && !(root().join(source).exists() && volume.ends_with(":ro")) {
            wrong(format!(
                "{volume} is no file of this repository, or could be written to"
            ));
        }
    }
    problems
}

#[test]
fn every_service_is_pinned_bounded_checked_and_of_this_machine_alone() {
    let compose = yaml("docker-compose.yml");
    let services = services(&compose);
    let problems: Vec<_> = services
        .iter()
        .flat_map(|(name, service)| problems(name, service))
        .collect();
    assert_eq!(problems, [] as [&str; 0]);
    for name in WITHOUT_HEALTH_CHECK.iter().chain(&WITHOUT_STAND_IN) {
        assert!(services.contains_key(name), "there is no {name} any more");
    }
    let ports: Vec<_> = services
        .values()
        .flat_map(|service| texts(&service["ports"]))
        .map(|port| with_default(port.split_once(':').unwrap().1.rsplit_once(':').unwrap().0).unwrap())
        .collect();
    for of in [
        |port: &(&str, &str)| port.0.to_owned(),
        |port: &(&str, &str)| port.1.to_owned(),
    ] {
        let distinct: BTreeSet<_> = ports.iter().map(of).collect();
        assert_eq!(distinct.len(), ports.len(), "two of them have one port: {ports:?}");
    }
}

#[test]
fn what_breaks_a_promise_is_found() {
    let sound = yaml("docker-compose.yml")["services"]["redis"].clone();
    assert_eq!(problems("redis", &sound), [] as [&str; 0]);
    for (key, value, expected) in [
        ("image", "redis:8.0", "no variable chooses its image"),
        (
            "image",
            "${SOUNDCHECK_REDIS_IMAGE:-redis:latest}",
            "redis:latest is no version",
        ),
        ("image", "${SOUNDCHECK_REDIS_IMAGE:-redis}", "redis is no version"),
        (
            "image",
            "${REDIS_IMAGE:-redis:8.0}",
            "its image is chosen by REDIS_IMAGE",
        ),
        (
            "ports",
            "[\"${SOUNDCHECK_REDIS_PORT:-6379}:6379\"]",
            "is not of 127.0.0.1 alone",
        ),
        (
            "ports",
            "[\"0.0.0.0:${SOUNDCHECK_REDIS_PORT:-6379}:6379\"]",
            "is not of 127.0.0.1 alone",
        ),
        ("ports", "[\"127.0.0.1:6379:6379\"]", "no variable moves it"),
        ("network_mode", "host", "network_mode"),
        ("healthcheck", "{disable: true}", "its health is not checked"),
        ("healthcheck", "{test: [CMD, \"true\"]}", "its health is not checked"),
        ("mem_limit", "~", "its memory has no limit"),
        ("cpus", "64", "its processors are limited"),
        (
            "deploy",
            "{resources: {limits: {memory: 1g}}}",
            "`deploy` limits nothing",
        ),
        ("logging", "{driver: json-file}", "its log has no limit"),
        ("volumes", "[\"./nowhere:/data:ro\"]", "is no file of this repository"),
        ("volumes", "[\"./dashboards:/data\"]", "could be written to"),
    ] {
        let mut broken = sound.clone();
        let mapping = broken.as_mapping_mut().unwrap();
        mapping.insert(key.into(), serde_yaml::from_str(value).unwrap());
        let found = problems("redis", &broken);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{key}: {value}: {found:?}"
        );
    }
}

/// What the tool takes for the addresses of this file is what it publishes.
#[test]
fn the_addresses_of_an_external_stack_are_the_published_ones() {
    let compose = yaml("docker-compose.yml");
    let urls = ExternalUrls::of_compose(|_| None);
    // Moved by the same variables, too.
    let moved = ExternalUrls::of_compose(|name| Some(format!("[{name}]")));
    let of = |urls: ExternalUrls| [urls.mysql, urls.redis, urls.kafka].map(Option::unwrap);
    for ((name, url), moved) in ["mysql", "redis", "kafka"].iter().zip(of(urls)).zip(of(moved)) {
        let ports = texts(&compose["services"][*name]["ports"]);
        let published = ports[0].strip_prefix("127.0.0.1:").unwrap().rsplit_once(':').unwrap().0;
        let (variable, port) = with_default(published).unwrap();
        assert!(
            url.ends_with(&format!("127.0.0.1:{port}")),
            "{name}: {url} and {ports:?}"
        );
        assert!(
            moved.ends_with(&format!("127.0.0.1:[{variable}]")),
            "{name}: {moved} and {variable}"
        );
    }
    // Clients go where the broker sends them.
    let kafka = &compose["services"]["kafka"];
    let advertised = kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str().unwrap();
    let host = "HOST://127.0.0.1:${SOUNDCHECK_KAFKA_PORT:-9092},";
    assert!(advertised.starts_with(host), "{advertised}");
}

/// What the services are told are keys that they have; and nothing that chooses an image or a port looks like one, since
/// the service would refuse to start in a shell that sets it.
#[test]
fn the_service_is_told_what_it_knows() {
    const PREFIX: &str = "SOUNDCHECK_SERVICE_";
    let text = read("docker-compose.yml");
    let compose: Value = serde_yaml::from_str(&text).unwrap();
    let told = compose["services"]["booking"]["environment"].as_mapping().unwrap();
    assert!(told.len() >= 6, "{told:?}");
    for (name, _) in told {
        let key = name.as_str().unwrap().strip_prefix(PREFIX).unwrap();
        let key = key.to_lowercase().replace("__", ".");
        assert!(
            KEYS.iter().any(|(known, _, _)| *known == key),
            "the service has no key {key}"
        );
    }
    for name in ["migrate", "seed"] {
        assert_eq!(
            compose["services"][name]["environment"].as_mapping(),
            Some(told),
            "{name}"
        );
    }
    let asked = variables(&text);
    assert!(
        asked.len() > 20 && asked.iter().all(|name| !name.starts_with(PREFIX)),
        "{asked:?}"
    );
}

/// A machine without a registry is told an image for each service, but for those that have none.
#[test]
fn what_has_a_stand_in_is_told_of_and_started_by_ci() {
    let text = read("docker-compose.yml");
    let compose: Value = serde_yaml::from_str(&text).unwrap();
    let comment: String = text.lines().filter(|line| line.starts_with('#')).collect();
    let stand_ins = StandIn::ALL.map(StandIn::image);
    let mut started = BTreeSet::new();
    for (name, service) in services(&compose) {
        let (variable, image) = with_default(service["image"].as_str().unwrap()).unwrap();
        let advised = comment.split(&format!("{variable}=")).nth(1);
        let advised = advised.map(|rest| rest.split([' ', '#']).next().unwrap_or_default());
        // That of the service has the name of the one that is built here.
        let is_there = stand_ins.contains(&image) || advised.is_some_and(|advised| stand_ins.contains(&advised));
        assert_ne!(is_there, WITHOUT_STAND_IN.contains(&name), "{name}: {advised:?}");
        if is_there {
            started.insert(name);
        }
    }
    let ci = read(".ci/run");
    let parts = ci.split("\n  parts=(").nth(1).and_then(|rest| rest.split(')').next());
    let parts: BTreeSet<&str> = parts.unwrap().split_whitespace().collect();
    // What they wait for is started with them.
    started.retain(|name| !["migrate", "seed"].contains(name));
    assert_eq!(parts, started);
}

/// The hosts that a text names by `HOST:PORT`, or as names to look up.
fn hosts(text: &str) -> BTreeSet<String> {
    let config = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words: Vec<&str> = config
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || "-._:".contains(c))))
        .filter(|word| !word.is_empty())
        .collect();
    let with_port = words.iter().filter_map(|word| {
        let (host, port) = word.split_once(':')?;
        let is_host = host.starts_with(|c: char| c.is_ascii_lowercase()) && port.parse::<u16>().is_ok();
        is_host.then_some(host)
    });
    let looked_up = words.windows(2).filter(|pair| pair[0] == "names:").map(|pair| pair[1]);
    with_port.chain(looked_up).map(str::to_owned).collect()
}

#[test]
fn whoever_is_asked_for_by_name_is_a_service() {
    let compose = yaml("docker-compose.yml");
    let services = services(&compose);
    let mut paths = files(&root().join("dashboards"), ".yml");
    paths.retain(|path| !path.components().any(|part| part.as_os_str() == "rules"));
    paths.push(root().join("service/haproxy.cfg"));
    let mut asked = BTreeSet::new();
    for path in paths {
        for host in hosts(&std::fs::read_to_string(&path).unwrap()) {
            let is_known = services.contains_key(host.as_str())
                // Prometheus itself, and what runs beside the containers.
                || ["localhost", "host.docker.internal"].contains(&host.as_str());
            assert!(is_known, "{} asks {host}, which is no service", path.display());
            asked.insert(host);
        }
    }
    for expected in [
        "alertmanager",
        "jaeger",
        "kafka-exporter",
        "mysqld-exporter",
        "prometheus",
        "proxy",
    ] {
        assert!(asked.contains(expected), "nobody asks {expected}: {asked:?}");
    }
}

#[test]
fn hosts_are_found_and_nothing_else() {
    let text = "# old:9\n- targets: [\"a-b:9104\", 'c:1']\n  names: [d]\n  url: http://e:3000\n  port: 80\n  bind :81\n  at 0.0.0.0:1\n";
    let expected = ["a-b", "c", "d", "e"].map(str::to_owned);
    assert_eq!(hosts(text), BTreeSet::from(expected));
}

/// Every dependency of the workspace compiles with what the image is built by.
#[test]
fn the_image_is_built_by_a_compiler_that_is_new_enough() {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').map_while(|part| part.parse().ok()).collect() };
    let dockerfile = read("service/Dockerfile");
    let base = dockerfile.split("ARG BUILD_IMAGE=rust:").nth(1).unwrap();
    let compiler = numbers(base.split('-').next().unwrap());
    let manifest = read("Cargo.toml");
    let needed = manifest
        .split("rust-version = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(
        compiler.len() >= 2 && compiler >= numbers(needed),
        "{compiler:?} and {needed}"
    );
    let image = StandIn::Booking.image();
    assert!(
        dockerfile.contains(&format!("--tag {image} ")),
        "it does not name {image}"
    );
    let compose = yaml("docker-compose.yml");
    let services = services(&compose);
    let runs_it = services
        .values()
        .filter(|service| with_default(service["image"].as_str().unwrap()).unwrap().1 == image);
    let dockerfiles: Vec<_> = runs_it.map(|service| service["build"]["dockerfile"].as_str()).collect();
    assert_eq!(dockerfiles, [Some("service/Dockerfile"); 4]);
}

#[test]
fn no_source_is_kept_from_the_image() {
    let text = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    // A wildcard takes folders of the same name along, wherever they are.
    let left_out: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']) && *line != "*")
        .collect();
    assert!(left_out.contains(&"harness/target"), "{left_out:?}");
    for pattern in left_out {
        assert!(!pattern.contains('*'), "{pattern}");
        let is_source = ["src", "benches"]
            .iter()
            .any(|part| pattern.split('/').nth(1) == Some(part));
        assert!(!is_source, "{pattern}");
    }
}
