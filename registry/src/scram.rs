//! What the book keeps of a secret so that it can be proved without being sent: the SCRAM-SHA-256 verifier of RFC 5802,
//! section 3, and RFC 7677. It is made when the secret is, for a hash alone could not serve the exchange.

use std::num::NonZeroU32;

use rand::TryRngCore;
use rand::rngs::OsRng;
use ring::{digest, hmac, pbkdf2};

use crate::RegistryError;

/// RFC 7677 asks for 4,096 at least. More would only cost the station's small processor: the secrets are random and
/// cannot be guessed one by one.
const ITERATIONS: u32 = 4_096;

/// What verifies a SCRAM-SHA-256 exchange, without the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// Mixed into the secret.
    pub salt: [u8; 16],
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// The hash of the client's key.
    pub stored_key: [u8; 32],
    /// What the server proves itself with.
    pub server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// The verifier of `secret` under this salt.
    #[must_use]
    pub fn new(secret: &str, salt: [u8; 16]) -> Self {
        Self::with(secret, salt, ITERATIONS)
    }

    fn with(secret: &str, salt: [u8; 16], iterations: u32) -> Self {
        let rounds = NonZeroU32::new(iterations).expect("there is at least one round");
        let mut salted = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, rounds, &salt, secret.as_bytes(), &mut salted);
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = bytes32(digest::digest(&digest::SHA256, client_key.as_ref()).as_ref());
        let server_key = bytes32(hmac::sign(&salted, b"Server Key").as_ref());
        Self { salt, iterations, stored_key, server_key }
    }

    /// A verifier that no secret fits, the same for the same name each time: a name that nobody has is challenged like
    /// any other.
    #[must_use]
    pub fn of_nobody(name: &str) -> Self {
        static OURS: std::sync::OnceLock<[u8; 32]> = std::sync::OnceLock::new();
        let ours = OURS.get_or_init(|| {
            let mut bytes = [0; 32];
            // Without randomness no secret can be made either; then the salts of nobody are known, and that is all.
            if OsRng.try_fill_bytes(&mut bytes).is_err() {
                tracing::warn!("no random numbers from the operating system");
            }
            bytes
        });
        let hash = blake3::keyed_hash(ours, name.as_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&hash.as_bytes()[..16]);
        let none = *blake3::keyed_hash(ours, hash.as_bytes()).as_bytes();
        Self { salt, iterations: ITERATIONS, stored_key: none, server_key: none }
    }
}

/// A fresh salt.
pub(crate) fn salt() -> Result<[u8; 16], RegistryError> {
    let mut salt = [0; 16];
    OsRng.try_fill_bytes(&mut salt).map_err(|_| RegistryError::NoRandomness)?;
    Ok(salt)
}

/// The four columns, if they read back.
pub(crate) fn read(
    salt: Option<&str>,
    iterations: Option<i64>,
    stored_key: Option<&str>,
    server_key: Option<&str>,
) -> Option<Verifier> {
    Some(Verifier {
        salt: unhex(salt?)?,
        iterations: u32::try_from(iterations?).ok().filter(|&rounds| 0 < rounds)?,
        stored_key: unhex(stored_key?)?,
        server_key: unhex(server_key?)?,
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every letter");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn bytes32(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3: user `user`, password `pencil`. What it shows of the keys is the exchange itself, which
    /// `ingest::mqtt` replays; here the columns must give back what was put into them.
    #[test]
    fn a_verifier_reads_back_from_its_columns() {
        let made = Verifier::new("pencil", *b"0123456789abcdef");
        let [salt, stored, server] =
            [hex(&made.salt), hex(&made.stored_key), hex(&made.server_key)];
        let rounds = Some(i64::from(made.iterations));
        assert_eq!(read(Some(&salt), rounds, Some(&stored), Some(&server)), Some(made));
        for torn in ["", "00", &salt[1..], "zz".repeat(16).as_str()] {
            assert_eq!(read(Some(torn), rounds, Some(&stored), Some(&server)), None, "{torn}");
        }
    }

    #[test]
    fn nobody_is_challenged_the_same_way_each_time_and_two_nobodies_differently() {
        assert_eq!(Verifier::of_nobody("a"), Verifier::of_nobody("a"));
        assert_ne!(Verifier::of_nobody("a").salt, Verifier::of_nobody("b").salt);
    }
}
