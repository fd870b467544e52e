//! Room for the users' connections: each journey under way may hold one descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything else: recordings, timers, proxies, the target's pipes.
const RESERVE: u64 = 256;

/// Too few descriptors may be open.
#[derive(Debug, thiserror::Error)]
#[error(
    "{connections} connections at once, one a user unless said otherwise, need up to {needed} open files with {RESERVE} for the rest, and this \
     process may have {limit} (the hard limit of RLIMIT_NOFILE); let the users share fewer with `connections:` in the \
     scenario, or raise the limit with `ulimit -Hn {needed}` (or LimitNOFILE= of the service manager, or `--ulimit nofile=` \
     of a container)"
)]
pub struct LimitError {
    connections: u32,
    needed: u64,
    limit: u64,
}

/// Raises the soft limit as far as is needed for so many connections.
///
/// # Errors
/// When the hard limit is too low.
pub fn make_room(connections: u32) -> Result<(), LimitError> {
    let needed = u64::from(connections) + RESERVE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let refused = LimitError {
        connections,
        needed,
        limit: limit.maximum.unwrap_or(u64::MAX),
    };
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(refused);
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(needed),
            maximum: limit.maximum,
        },
    )
    .map_err(|_| refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_users_than_descriptors_names_the_limit_and_how_to_raise_it() {
        make_room(10).unwrap();
        let Some(maximum) = getrlimit(Resource::Nofile)
            .maximum
            .filter(|maximum| *maximum < 4_000_000_000)
        else {
            eprintln!("skipped that too many users are refused: descriptors are unlimited here, or all but");
            return;
        };
        let users = u32::try_from(maximum).unwrap_or(u32::MAX);
        let error = make_room(users).unwrap_err().to_string();
        assert!(
            error.contains(&maximum.to_string()) && error.contains("ulimit -Hn"),
            "{error}"
        );
    }
}
