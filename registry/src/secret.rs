//! Secrets that are shown once and kept as hashes. They are random and long, so one BLAKE3 is enough to hide them
//! (a password is neither, and gets argon2id in `users`). Nothing here prints a secret by accident.

use std::fmt;

use rand::TryRngCore;
use rand::rngs::OsRng;
use subtle::ConstantTimeEq;

use crate::RegistryError;

/// 160 bits: nobody guesses that, and it is exactly 32 letters of base 32.
const SECRET_BYTES: usize = 20;

/// Crockford's base 32 in lower case: no i, l, o or u, so that a technician can read it over the phone.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A station's key, shown once. `Debug` does not print it; [`StationKey::reveal`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct StationKey(String);

impl StationKey {
    pub(crate) fn random() -> Result<Self, RegistryError> {
        Ok(Self(token()?))
    }

    /// The key itself: for the one who asked for it, and for nobody's log.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StationKey(…)")
    }
}

/// 160 random bits as 32 letters: a key, a session id or a CSRF token.
///
/// # Errors
/// [`RegistryError::NoRandomness`] where the operating system gives none.
pub fn token() -> Result<String, RegistryError> {
    let mut bytes = [0; SECRET_BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| RegistryError::NoRandomness)?;
    Ok(base32(&bytes))
}

/// The hash under which a session id (or another random secret) is kept.
#[must_use]
pub fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// Are two secrets, or two hashes, the same? Takes as long for a near miss as for a far one.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

pub(crate) fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// Five bytes at a time are eight letters.
fn base32(bytes: &[u8; SECRET_BYTES]) -> String {
    let letter = |group: u64, place: u32| {
        ALPHABET[usize::try_from(group >> (5 * place) & 31).expect("31 fits")]
    };
    let mut text = String::with_capacity(SECRET_BYTES / 5 * 8);
    for chunk in bytes.chunks_exact(5) {
        let group = chunk.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        text.extend((0..8).rev().map(|place| char::from(letter(group, place))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_bytes_are_thirty_two_letters() {
        assert_eq!(base32(&[0; 20]), "0".repeat(32));
        assert_eq!(base32(&[255; 20]), "z".repeat(32));
        let mut one = [0; 20];
        one[19] = 33;
        assert!(base32(&one).ends_with("011"));
    }

    #[test]
    fn two_keys_differ_and_neither_is_printed() {
        let (a, b) = (StationKey::random().unwrap(), StationKey::random().unwrap());
        assert_ne!(a.reveal(), b.reveal());
        assert!(!format!("{a:?}").contains(a.reveal()));
    }

    #[test]
    fn a_near_miss_is_not_the_same() {
        assert!(same(&hash("a"), &hash("a")));
        assert!(!same(&hash("a"), &hash("b")));
        assert!(!same(b"abc", b"ab"));
    }
}
