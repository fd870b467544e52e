//! Crash points of the relay and the consumer. Without the feature `failpoints` they are compiled to nothing.

/// Whether the fail point is switched on here: by its name, or by `NAMESPACE/NAME` when several services share a
/// process. The action `return(abort)` ends the process on the spot, as a crash would.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(namespace: &str, name: &str) -> bool {
    for point in [name, &format!("{namespace}/{name}")] {
        fail::fail_point!(point, |argument| {
            if argument.as_deref() == Some("abort") {
                std::process::abort();
            }
            true
        });
    }
    false
}

/// Never, in this build.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn reached(_namespace: &str, _name: &str) -> bool {
    false
}
