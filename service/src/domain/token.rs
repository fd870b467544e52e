//! The queue token: opaque to the client, signed, and enough to identify its user even after it is finished.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::ids::UserId;

/// Random, one a visit: a user who comes back after leaving gets another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenId(pub u64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Who stands in the queue, and for which visit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct QueueToken {
    /// The person.
    pub user: UserId,
    /// The visit.
    pub id: TokenId,
}

const PAYLOAD_BYTES: usize = 16;
const SIGNATURE_BYTES: usize = 16;

fn signature(secret: &[u8], payload: &[u8]) -> [u8; SIGNATURE_BYTES] {
    // HMAC accepts a key of any length.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length, so this cannot fail")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of every length");
    mac.update(payload);
    let full = mac.finalize().into_bytes();
    let mut cut = [0; SIGNATURE_BYTES];
    cut.copy_from_slice(&full[..SIGNATURE_BYTES]);
    cut
}

impl QueueToken {
    /// The form that the client carries: 43 characters of URL-safe base64.
    pub fn seal(&self, secret: &[u8]) -> String {
        let mut bytes = [0; PAYLOAD_BYTES + SIGNATURE_BYTES];
        bytes[..8].copy_from_slice(&self.user.raw().to_be_bytes());
        bytes[8..PAYLOAD_BYTES].copy_from_slice(&self.id.0.to_be_bytes());
        let signed = signature(secret, &bytes[..PAYLOAD_BYTES]);
        bytes[PAYLOAD_BYTES..].copy_from_slice(&signed);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token behind a sealed form; `None` when it was not sealed with `secret`.
    pub fn open(sealed: &str, secret: &[u8]) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (payload, signed) = bytes.split_at_checked(PAYLOAD_BYTES)?;
        let expected = signature(secret, payload);
        // Compared without an early exit, so that the time taken tells nothing about the first wrong byte.
        let differs = signed
            .iter()
            .zip(expected)
            .fold(signed.len() ^ SIGNATURE_BYTES, |acc, (a, b)| acc | usize::from(a ^ b));
        if differs != 0 {
            return None;
        }
        let (user, id) = payload.split_at_checked(8)?;
        Some(Self {
            user: UserId::from_raw(i64::from_be_bytes(user.try_into().ok()?))?,
            id: TokenId(u64::from_be_bytes(id.try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_and_opens() {
        let token = QueueToken {
            user: UserId::from_raw(9).unwrap(),
            id: TokenId(u64::MAX),
        };
        assert_eq!(QueueToken::open(&token.seal(b"secret"), b"secret"), Some(token));
    }

    #[test]
    fn refuses_forgeries() {
        let token = QueueToken {
            user: UserId::from_raw(9).unwrap(),
            id: TokenId(5),
        };
        let sealed = token.seal(b"secret");
        assert_eq!(QueueToken::open(&sealed, b"other"), None);
        assert_eq!(QueueToken::open("", b"secret"), None);
        assert_eq!(QueueToken::open(&sealed[..42], b"secret"), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(
                QueueToken::open(&URL_SAFE_NO_PAD.encode(&bytes), b"secret"),
                None,
                "byte {at}"
            );
            bytes[at] ^= 1;
        }
    }
}
