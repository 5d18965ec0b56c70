//! Who vouches for an image: Ed25519 over [`Release::signed`]. The private key is a file of the operator's, in the form
//! that OpenSSL writes too (PKCS#8, PEM); the engine and the stations know only public keys, by 64 hex letters.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{Digest, Release};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// What stands before the 32 bytes of a private key in PKCS#8 (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not 64 hex letters.
    #[error("`{0}` is not a public key: 64 of 0-9 and a-f")]
    Public(String),
    /// Not what `keygen` or `openssl genpkey -algorithm ed25519` writes.
    #[error("this is not an ed25519 private key (PKCS#8, PEM)")]
    Private,
    /// The operating system gives no random numbers.
    #[error("no random numbers from the operating system")]
    NoRandomness,
}

/// The SHA-256 of an image's bytes.
#[must_use]
pub fn digest(image: &[u8]) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, image).as_ref());
    Digest(bytes)
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// 16 letters that tell it from any other: the beginning of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        digest(&self.0).to_string()[..16].to_owned()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Digest(self.0), f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        // As many bytes in as many letters as a digest.
        let read = text.trim().parse::<Digest>();
        read.map(|Digest(key)| Self(key))
            .map_err(|_| BadKey::Public(text.chars().take(80).collect()))
    }
}

/// A private key. `Debug` does not print it.
pub struct SecretKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

impl SecretKey {
    /// A new one.
    ///
    /// # Errors
    /// [`BadKey::NoRandomness`].
    pub fn generate() -> Result<Self, BadKey> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| BadKey::NoRandomness)?;
        Self::of(seed)
    }

    fn of(seed: [u8; 32]) -> Result<Self, BadKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| BadKey::Private)?;
        Ok(Self { seed, pair })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`BadKey::Private`] where it is none.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let inner = text.split_once(PEM_BEGIN).and_then(|(_, rest)| rest.split_once(PEM_END));
        let (inner, _) = inner.ok_or(BadKey::Private)?;
        let letters: String = inner.split_whitespace().collect();
        let der = STANDARD.decode(letters).map_err(|_| BadKey::Private)?;
        let seed = der.strip_prefix(&PKCS8_HEAD).ok_or(BadKey::Private)?;
        Self::of(seed.try_into().map_err(|_| BadKey::Private)?)
    }

    /// The key file.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let der: Vec<u8> = PKCS8_HEAD.iter().chain(&self.seed).copied().collect();
        format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode(der))
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let bytes = self.pair.public_key().as_ref();
        PublicKey(bytes.try_into().expect("an ed25519 public key has 32 bytes"))
    }

    /// Vouches for a release.
    #[must_use]
    pub fn sign(&self, release: &Release) -> SignedRelease {
        let signature = self.pair.sign(release.signed().as_bytes());
        let bytes = signature.as_ref().try_into().expect("an ed25519 signature has 64 bytes");
        SignedRelease { release: release.clone(), key: self.public().id(), signature: bytes }
    }
}

/// A release and who is said to vouch for it: believed only after [`KeyRing::prove`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRelease {
    /// What is vouched for.
    pub release: Release,
    /// The id of the key.
    pub key: String,
    /// The signature.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// Why a release is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// None of our keys has this id.
    #[error("it is signed with the key {0}, which is none of ours")]
    UnknownKey(String),
    /// The signature is not of that key, or not for this release.
    #[error("the signature is not right: it is not for this model, version, size and content")]
    BadSignature,
    /// The bytes are not those that were vouched for.
    #[error("the image has {found} bytes, {wanted} are signed")]
    Size {
        /// What is signed.
        wanted: u64,
        /// What is there.
        found: u64,
    },
    /// The bytes are not those that were vouched for.
    #[error("the image is not the one that was signed: its sha-256 is {0}")]
    Digest(Digest),
}

/// The public keys whose word counts.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(Vec<PublicKey>);

impl KeyRing {
    /// These, and no others.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self(keys)
    }

    /// Is there no key at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Did one of them vouch for this release?
    ///
    /// # Errors
    /// [`Unproven::UnknownKey`], [`Unproven::BadSignature`].
    pub fn prove(&self, signed: &SignedRelease) -> Result<(), Unproven> {
        let key = self.0.iter().find(|key| key.id() == signed.key);
        let key = key.ok_or_else(|| Unproven::UnknownKey(signed.key.chars().take(64).collect()))?;
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(signed.release.signed().as_bytes(), &signed.signature)
            .map_err(|_| Unproven::BadSignature)
    }

    /// The same, and are these the bytes?
    ///
    /// # Errors
    /// [`Unproven`].
    pub fn prove_image(&self, signed: &SignedRelease, image: &[u8]) -> Result<(), Unproven> {
        self.prove(signed)?;
        let (wanted, found) = (signed.release.size, image.len() as u64);
        if wanted != found {
            return Err(Unproven::Size { wanted, found });
        }
        let found = digest(image);
        if found != signed.release.digest { Err(Unproven::Digest(found)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use domain::{ModelCode, Version};

    use super::*;

    fn release(image: &[u8]) -> Release {
        Release {
            model: ModelCode::new("sl-200").unwrap(),
            version: Version { major: 1, minor: 4, patch: 2 },
            size: image.len() as u64,
            digest: digest(image),
        }
    }

    #[test]
    fn a_key_survives_its_file_and_a_file_that_openssl_wrote_is_one() {
        let key = SecretKey::generate().unwrap();
        let again = SecretKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(key.public(), again.public());
        assert!(!format!("{key:?}").contains(&STANDARD.encode(key.seed)));
        // RFC 8410, section 10.3, and the public key of its section 10.1.
        let rfc = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
        let public = SecretKey::from_pem(rfc).unwrap().public().to_string();
        assert_eq!(public, "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
        for bad in ["", "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", PEM_BEGIN] {
            assert_eq!(SecretKey::from_pem(bad).unwrap_err(), BadKey::Private);
        }
    }

    #[test]
    fn a_public_key_is_read_as_it_is_written() {
        let key = SecretKey::generate().unwrap().public();
        assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
        assert!("abc".parse::<PublicKey>().is_err());
        assert_eq!(key.id().len(), 16);
    }

    #[test]
    fn what_was_signed_is_believed_and_nothing_else() {
        let (image, key) = (b"firmware".as_slice(), SecretKey::generate().unwrap());
        let ring = KeyRing::new(vec![SecretKey::generate().unwrap().public(), key.public()]);
        let good = key.sign(&release(image));
        ring.prove_image(&good, image).unwrap();
        let changed = |change: &dyn Fn(&mut SignedRelease)| {
            let mut signed = good.clone();
            change(&mut signed);
            ring.prove_image(&signed, image).unwrap_err()
        };
        // For another model; an old image under a new version; another length; other bytes.
        let model = |s: &mut SignedRelease| s.release.model = ModelCode::new("sl-100").unwrap();
        assert_eq!(changed(&model), Unproven::BadSignature);
        assert_eq!(changed(&|s| s.release.version.major = 2), Unproven::BadSignature);
        assert_eq!(changed(&|s| s.release.size = 9), Unproven::BadSignature);
        assert_eq!(changed(&|s| s.release.digest.0[0] ^= 1), Unproven::BadSignature);
        assert_eq!(changed(&|s| s.signature[63] ^= 1), Unproven::BadSignature);
        assert_eq!(changed(&|s| s.key = "0".repeat(16)), Unproven::UnknownKey("0".repeat(16)));
        let other = ring.prove_image(&good, b"firmwarf").unwrap_err();
        assert_eq!(other, Unproven::Digest(digest(b"firmwarf")));
        let short = ring.prove_image(&good, b"firm").unwrap_err();
        assert_eq!(short, Unproven::Size { wanted: 8, found: 4 });
        let stranger = SecretKey::generate().unwrap().sign(&release(image));
        assert!(matches!(ring.prove(&stranger), Err(Unproven::UnknownKey(_))));
    }

    #[test]
    fn a_stranger_who_names_our_key_is_not_believed() {
        let (ours, stranger) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let mut signed = stranger.sign(&release(b"x"));
        signed.key = ours.public().id();
        let ring = KeyRing::new(vec![ours.public()]);
        assert_eq!(ring.prove(&signed), Err(Unproven::BadSignature));
        assert!(KeyRing::default().is_empty());
    }
}
