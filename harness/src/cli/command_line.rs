//! The command line of a run, for its recording: as it was typed, and as it has to be typed to repeat the run.

use super::stack_args::StackArgs;
use crate::stack::component::without_password;
use crate::stack::options::ImageOverrides;
use crate::stack::{Component, StackKind};

/// How what repeats a run begins: `words` and the stack as it was chosen, not as it was asked for, and what of the
/// environment decided over it. A password has to be filled in by whoever knows it.
pub(super) fn repeating(words: &[String], args: &StackArgs, stack: StackKind, images: &ImageOverrides) -> Vec<String> {
    let mut line = vec!["soundcheck".to_owned()];
    line.extend_from_slice(words);
    let mut option = |name: &str, value: String| line.extend([name.to_owned(), value]);
    option("--stack", stack.to_string());
    match stack {
        StackKind::Containers => {
            for component in Component::ALL {
                if let Some(image) = images.get(component) {
                    option("--image", format!("{}={image}", component.name()));
                }
            }
        }
        StackKind::External => {
            // Also those that nobody typed: on another day they may be others.
            let external = args.external();
            let urls = [
                ("--mysql", &external.mysql),
                ("--redis", &external.redis),
                ("--kafka", &external.kafka),
            ];
            for (name, url) in urls {
                if let Some(url) = url {
                    option(name, without_password(url));
                }
            }
        }
        StackKind::Embedded => {}
    }
    line
}

/// What was typed, without the passwords in it.
pub(super) fn typed(words: impl Iterator<Item = std::ffi::OsString>) -> Vec<String> {
    words
        .map(|word| {
            let word = word.to_string_lossy();
            // `--mysql=URL` as well as the URL alone.
            match word.split_once('=') {
                Some((name, url)) if name.starts_with("--") => format!("{name}={}", without_password(url)),
                _ => without_password(&word),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn parsed(words: &[&str]) -> StackArgs {
        let words = ["soundcheck", "report"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Report(args) => args.stack,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(words: &[&str], stack: StackKind, images: &ImageOverrides, expected: &str) {
        let line = repeating(&["report".to_owned()], &parsed(words), stack, images);
        assert_eq!(line.join(" "), expected);
        // Whatever it says can be typed.
        Cli::try_parse_from(&line).unwrap();
    }

    #[test]
    fn what_repeats_a_run_names_images_and_servers_and_no_password() {
        let images = ImageOverrides {
            mysql: Some("registry.example/mysql:9".to_owned()),
            ..ImageOverrides::default()
        };
        check(
            &[],
            StackKind::Containers,
            &images,
            "soundcheck report --stack containers --image mysql=registry.example/mysql:9",
        );
        check(
            &[
                "--stack=external",
                "--mysql=mysql://root:geheim@h:3306",
                "--redis=redis://h:6379",
                "--kafka=a:9092,b:9092",
            ],
            StackKind::External,
            &images,
            "soundcheck report --stack external --mysql mysql://root:***@h:3306 --redis redis://h:6379 --kafka a:9092,b:9092",
        );
        let external = crate::stack::options::ExternalUrls::of_compose(|name| std::env::var(name).ok());
        let [mysql, redis, kafka] = [external.mysql, external.redis, external.kafka].map(Option::unwrap);
        check(
            &[],
            StackKind::External,
            &images,
            &format!("soundcheck report --stack external --mysql {mysql} --redis {redis} --kafka {kafka}"),
        );
        // What was not used does not belong to the run.
        check(
            &["--redis=redis://h:6379"],
            StackKind::Embedded,
            &images,
            "soundcheck report --stack embedded",
        );
    }

    #[test]
    fn what_was_typed_is_kept_without_passwords() {
        let words = [
            "./soundcheck",
            "report",
            "--mysql",
            "mysql://root:geheim@h:3306",
            "--redis=redis://:geheim@h",
            "--image",
            "mysql=a@sha256:1",
        ];
        assert_eq!(
            typed(words.into_iter().map(Into::into)).join(" "),
            "./soundcheck report --mysql mysql://root:***@h:3306 --redis=redis://:***@h --image mysql=a@sha256:1"
        );
    }
}
