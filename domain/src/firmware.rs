//! What runs in a station: a release of its firmware (for which model, which version, which bytes), how far a station
//! has come with it, and what can go wrong on the way. The bytes that a signature covers are defined here, once.

use std::fmt;
use std::str::FromStr;

use crate::ModelCode;

/// The text is not what a release is made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRelease {
    /// Not three numbers.
    #[error("`{0}` is not a version: write three numbers, as 1.4.2")]
    Version(String),
    /// Not a digest.
    #[error("`{0}` is not a sha-256: 64 of 0-9 and a-f")]
    Digest(String),
}

/// A version of a firmware: three numbers, compared one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Changes that break.
    pub major: u32,
    /// Changes that add.
    pub minor: u32,
    /// Changes that mend.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// One spelling for one version: no sign, no leading zero, so that what is signed is what is compared.
impl FromStr for Version {
    type Err = BadRelease;
    fn from_str(text: &str) -> Result<Self, BadRelease> {
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
        let mut parts = text.splitn(3, '.');
        let found = (number(parts.next()), number(parts.next()), number(parts.next()));
        match found {
            (Some(major), Some(minor), Some(patch)) => Some(Self { major, minor, patch }),
            _ => None,
        }
        .filter(|version| version.to_string() == text)
        .ok_or_else(|| BadRelease::Version(text.chars().take(40).collect()))
    }
}

/// The SHA-256 of an image: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadRelease;
    fn from_str(text: &str) -> Result<Self, BadRelease> {
        let bad = || BadRelease::Digest(text.chars().take(80).collect());
        let letter = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 64 || !text.bytes().all(letter) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

/// A firmware image by what it is for and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Which hardware it runs on.
    pub model: ModelCode,
    /// Its version.
    pub version: Version,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

impl Release {
    /// The bytes that are signed. Model and version stand in them, so that nobody can offer an image to another model,
    /// or an old image under a new version; the first line keeps a signature for this purpose from being used for any
    /// other. No field can hold a line end, so two releases never have the same bytes.
    #[must_use]
    pub fn signed(&self) -> String {
        let Self { model, version, size, digest } = self;
        format!(
            "saltline-firmware-1\nmodel: {model}\nversion: {version}\nsize: {size}\nsha256: {digest}\n"
        )
    }
}

/// How far a station has come with an image, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FirmwareState {
    /// It has taken the offer and gathers chunks.
    Downloading,
    /// It has all of it, digest and signature are right, and it will install it now.
    Verified,
    /// It is written; the station starts into it now.
    Installed,
    /// This version runs.
    Running,
    /// It will not run, and why.
    Failed,
}

impl FirmwareState {
    const ALL: [Self; 5] =
        [Self::Downloading, Self::Verified, Self::Installed, Self::Running, Self::Failed];

    /// The state as wire, book and API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Downloading => "downloading",
            Self::Verified => "verified",
            Self::Installed => "installed",
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Why an image will not run in a station. The list is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FirmwareFault {
    /// The signature is not of the key it names.
    BadSignature,
    /// The station does not have the public key that it is signed for.
    UnknownKey,
    /// It is for another model.
    WrongModel,
    /// Its version is not newer than what runs.
    Downgrade,
    /// The station has no room for it.
    TooLarge,
    /// All bytes came, and they are not the image.
    BadDigest,
    /// It could not be written, or did not start.
    InstallFailed,
    /// It started, did not do, and the station went back to what it had.
    RolledBack,
    /// The station gave no reason, or one that is not of this list.
    Unspecified,
}

impl FirmwareFault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::BadSignature,
        Self::UnknownKey,
        Self::WrongModel,
        Self::Downgrade,
        Self::TooLarge,
        Self::BadDigest,
        Self::InstallFailed,
        Self::RolledBack,
        Self::Unspecified,
    ];

    /// The reason as wire, book, labels and API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::UnknownKey => "unknown_key",
            Self::WrongModel => "wrong_model",
            Self::Downgrade => "downgrade",
            Self::TooLarge => "too_large",
            Self::BadDigest => "bad_digest",
            Self::InstallFailed => "install_failed",
            Self::RolledBack => "rolled_back",
            Self::Unspecified => "unspecified",
        }
    }

    /// The reason with this name; what is not of the list is [`FirmwareFault::Unspecified`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|fault| fault.as_str() == text).unwrap_or(Self::Unspecified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_spelling_and_is_compared_as_numbers() {
        let version = |text: &str| text.parse::<Version>();
        assert!(version("1.9.0").unwrap() < version("1.10.0").unwrap());
        assert_eq!(version("0.0.4294967295").unwrap().to_string(), "0.0.4294967295");
        for bad in
            ["", "1", "1.2", "1.2.3.4", "01.2.3", "+1.2.3", "1.2.x", "1.2.4294967296", " 1.2.3"]
        {
            assert!(version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_is_sixty_four_small_hex_letters() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        for bad in ["", "00", &"00FF".repeat(16), &"0".repeat(65), &"é".repeat(32)] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_signed_says_model_version_size_and_digest() {
        let release = Release {
            model: ModelCode::new("sl-200").unwrap(),
            version: Version { major: 1, minor: 4, patch: 2 },
            size: 5,
            digest: Digest([0xab; 32]),
        };
        let wanted = format!(
            "saltline-firmware-1\nmodel: sl-200\nversion: 1.4.2\nsize: 5\nsha256: {}\n",
            "ab".repeat(32)
        );
        assert_eq!(release.signed(), wanted);
    }

    #[test]
    fn a_reason_that_is_not_of_the_list_is_none_of_it() {
        assert_eq!(FirmwareFault::parse("bad_digest"), FirmwareFault::BadDigest);
        assert_eq!(FirmwareFault::parse("the dog ate it"), FirmwareFault::Unspecified);
        for fault in FirmwareFault::ALL {
            assert_eq!(FirmwareFault::parse(fault.as_str()), fault);
        }
    }
}
