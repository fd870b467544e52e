//! Idempotency keys: the same key with the same request has one effect and one answer.

use sha2::{Digest as _, Sha256};

/// The longest key that is stored.
pub const MAX_KEY_BYTES: usize = 128;

/// A client's key with a fingerprint of the request that it stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyKey {
    key: String,
    hash: [u8; 32],
}

impl IdempotencyKey {
    /// `None` when the key is empty, longer than [`MAX_KEY_BYTES`], or holds anything but visible ASCII. `request` is
    /// what the key stands for, in a form that does not depend on white space or the order of fields.
    pub fn new(key: &str, request: &str) -> Option<Self> {
        let valid = (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        valid.then(|| Self {
            key: key.to_owned(),
            hash: Sha256::digest(request.as_bytes()).into(),
        })
    }

    /// The client's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The fingerprint of the request.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_and_visible() {
        assert!(IdempotencyKey::new("a-1", "x").is_some());
        for bad in ["", "a b", "ü", "a\n", &"x".repeat(129)] {
            assert!(IdempotencyKey::new(bad, "x").is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_fingerprint_tells_requests_apart() {
        let of = |request| *IdempotencyKey::new("k", request).unwrap().hash();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
    }
}
