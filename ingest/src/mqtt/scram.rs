//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's half: the client proves that it knows its key without sending it,
//! and we prove that we know its verifier. Channel binding is not offered: MQTT has no name for it.
//!
//! ```text
//! client first   n,,n=vam-kenh,r=<its nonce>
//! server first   r=<its nonce><ours>,s=<salt>,i=<rounds>
//! client final   c=biws,r=<both>,p=<proof>
//! server final   v=<our signature>
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use registry::{Verifier, secret};
use ring::{digest, hmac};

/// The one method of enhanced authentication.
pub(super) const METHOD: &str = "SCRAM-SHA-256";

/// A nonce of a client longer than this is no nonce; clients use 18 to 32 letters.
const NONCE_BYTES_MAX: usize = 256;

/// What a client begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientFirst {
    /// Who it says it is.
    pub(super) user: String,
    /// The header that stands before the message and comes back in the end.
    header: String,
    bare: String,
    nonce: String,
}

/// What a client was asked.
#[derive(Debug)]
pub(super) struct Challenge {
    first: ClientFirst,
    nonce: String,
    /// What is sent to the client.
    pub(super) text: String,
}

/// What came is not a message of this exchange, or the proof is wrong. A client is not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotProved;

impl ClientFirst {
    /// Reads `gs2-header client-first-message-bare`.
    pub(super) fn read(message: &[u8]) -> Result<Self, NotProved> {
        let text = std::str::from_utf8(message).map_err(|_| NotProved)?;
        // `n`: no channel binding; `y`: the client could, and knows that we cannot. An identity to act as is not ours.
        let header = ["n,,", "y,,"].into_iter().find(|header| text.starts_with(header));
        let header = header.ok_or(NotProved)?;
        let bare = &text[header.len()..];
        // An `m=` here is an extension that must be understood; the fields have an order.
        let (user, rest) =
            bare.strip_prefix("n=").and_then(|rest| rest.split_once(',')).ok_or(NotProved)?;
        let nonce = rest.strip_prefix("r=").ok_or(NotProved)?;
        let nonce = nonce.split_once(',').map_or(nonce, |(nonce, _)| nonce);
        if nonce.is_empty() || NONCE_BYTES_MAX < nonce.len() || !nonce.bytes().all(is_printable) {
            return Err(NotProved);
        }
        Ok(Self {
            user: unescape(user)?,
            header: header.to_owned(),
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
        })
    }

    /// The challenge, with half of a nonce of ours.
    pub(super) fn challenge(self, ours: &str, salt: &[u8], rounds: u32) -> Challenge {
        let nonce = format!("{}{ours}", self.nonce);
        let text = format!("r={nonce},s={},i={rounds}", STANDARD.encode(salt));
        Challenge { first: self, nonce, text }
    }
}

impl Challenge {
    /// Checks the proof against every verifier; which one it fits, and what to answer.
    pub(super) fn check<'a>(
        &self,
        message: &[u8],
        verifiers: impl Iterator<Item = &'a Verifier>,
    ) -> Result<(usize, String), NotProved> {
        let text = std::str::from_utf8(message).map_err(|_| NotProved)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(NotProved)?;
        let proof: [u8; 32] =
            STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or(NotProved)?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|field| field.strip_prefix("c=")).ok_or(NotProved)?;
        let nonce = fields.next().and_then(|field| field.strip_prefix("r=")).ok_or(NotProved)?;
        let bound = STANDARD.decode(binding).map_err(|_| NotProved)?;
        if bound != self.first.header.as_bytes() || nonce != self.nonce {
            return Err(NotProved);
        }
        let whole = format!("{},{},{without_proof}", self.first.bare, self.text);
        let mut fits = None;
        // All are looked at, so that the time says nothing.
        for (place, verifier) in verifiers.enumerate() {
            if proves(&proof, verifier, whole.as_bytes()) {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &verifier.server_key);
                let signature = hmac::sign(&key, whole.as_bytes());
                fits = Some((place, format!("v={}", STANDARD.encode(signature))));
            }
        }
        fits.ok_or(NotProved)
    }
}

/// The proof is the client's key under a signature; what it hides must hash to what is stored.
fn proves(proof: &[u8; 32], verifier: &Verifier, message: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &verifier.stored_key);
    let signature = hmac::sign(&key, message);
    let mut client_key = *proof;
    client_key.iter_mut().zip(signature.as_ref()).for_each(|(byte, mask)| *byte ^= mask);
    let hash = digest::digest(&digest::SHA256, &client_key);
    secret::same(hash.as_ref(), &verifier.stored_key)
}

/// Section 5.1: a comma is `=2C` and an equals sign `=3D`; any other `=` is an error.
fn unescape(name: &str) -> Result<String, NotProved> {
    let plain = name.replace("=2C", ",").replace("=3D", "=");
    let escapes = name.matches("=2C").count() + name.matches("=3D").count();
    if name.is_empty() || name.matches('=').count() != escapes || name.contains('\0') {
        return Err(NotProved);
    }
    Ok(plain)
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x2B | 0x2D..=0x7E)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3: user `user`, password `pencil`.
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const OURS: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn pencil() -> Verifier {
        Verifier::new("pencil", STANDARD.decode(SALT).unwrap().try_into().unwrap())
    }

    fn challenge() -> Challenge {
        let first = ClientFirst::read(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(first.user, "user");
        first.challenge(OURS, &STANDARD.decode(SALT).unwrap(), 4096)
    }

    #[test]
    fn the_exchange_of_rfc_7677_is_this_one() {
        let challenge = challenge();
        let asked = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(challenge.text, asked);
        let said = challenge.check(FINAL.as_bytes(), [pencil()].iter()).unwrap();
        assert_eq!(said, (0, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_owned()));
    }

    #[test]
    fn of_two_keys_the_one_that_fits_is_found() {
        let other = Verifier::new("rubber", pencil().salt);
        let (place, _) =
            challenge().check(FINAL.as_bytes(), [other.clone(), pencil()].iter()).unwrap();
        assert_eq!(place, 1);
        assert_eq!(challenge().check(FINAL.as_bytes(), [other].iter()), Err(NotProved));
        assert_eq!(challenge().check(FINAL.as_bytes(), [].iter()), Err(NotProved));
    }

    #[test]
    fn a_proof_for_another_challenge_or_none_at_all_is_no_proof() {
        for bad in [
            "",
            "c=biws",
            &FINAL.replace("p=d", "p=e"),
            &FINAL.replace("c=biws", "c=eSws"),
            &FINAL.replace("rOpr", "rOps"),
            &FINAL.replace("VQ=", ""),
            &FINAL.replace("c=biws,", ""),
        ] {
            assert_eq!(
                challenge().check(bad.as_bytes(), [pencil()].iter()),
                Err(NotProved),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_first_message_that_asks_for_more_than_there_is_is_refused() {
        let read = |text: &str| ClientFirst::read(text.as_bytes());
        assert_eq!(read("y,,n=a=2Cb=3D,r=x").unwrap().user, "a,b=");
        for bad in [
            "",
            "n,,",
            "n,,n=user",
            "n,,n=,r=x",
            "n,,n=user,r=",
            "n,,n=us=er,r=x",
            "n,a=admin,n=user,r=x",
            "p=tls-unique,,n=user,r=x",
            "n,,m=1,n=user,r=x",
            "n,,n=user,r=a b",
        ] {
            assert_eq!(read(bad), Err(NotProved), "{bad}");
        }
        assert_eq!(ClientFirst::read(b"n,,n=\xff,r=x"), Err(NotProved));
    }
}
