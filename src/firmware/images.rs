//! The bytes of firmware images: one file each in the data folder, named by its digest, written whole and synced
//! before the book knows of it. What is read is proved again, once after each start.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ::firmware::{Chunks, KeyRing, SIGNATURE_BYTES, SignedRelease, Unproven, frame};
use domain::Digest;
use registry::Image;

/// The folder of the images.
const FOLDER: &str = "firmware";

/// Why an image cannot be kept or served.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nobody whom we believe vouches for it.
    #[error("the image is not believed")]
    Unproven(#[from] Unproven),
    /// It is larger than the configuration allows.
    #[error("the image has {found} bytes, at most {most} are allowed (firmware.image_max)")]
    TooLarge {
        /// As many as it has.
        found: u64,
        /// The most.
        most: u64,
    },
    /// There is nothing in it.
    #[error("the image is empty")]
    Empty,
    /// The signature in the book is none.
    #[error("the signature is not {} bytes in hex", SIGNATURE_BYTES)]
    BadSignature,
    /// The disk does not serve.
    #[error("cannot use `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where the images are, and whose word counts.
#[derive(Debug, Clone)]
pub struct Images {
    dir: PathBuf,
    keys: KeyRing,
    bytes_max: u64,
}

/// An image that was proved.
#[derive(Debug)]
pub struct Open {
    digest: Digest,
    path: PathBuf,
    file: File,
}

impl Images {
    /// The images below a data folder.
    #[must_use]
    pub fn new(data: &Path, keys: KeyRing, bytes_max: u64) -> Self {
        Self { dir: data.join(FOLDER), keys, bytes_max }
    }

    /// Reads an image that somebody gives us, but not more than we would keep.
    ///
    /// # Errors
    /// [`ImageError::TooLarge`], [`ImageError::Empty`], [`ImageError::Io`].
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, ImageError> {
        let failed = |source| ImageError::Io { path: path.to_owned(), source };
        let mut image = Vec::new();
        let file = File::open(path).map_err(failed)?;
        let long = file.metadata().map_err(failed)?.len();
        if self.bytes_max < long {
            return Err(ImageError::TooLarge { found: long, most: self.bytes_max });
        }
        file.take(self.bytes_max).read_to_end(&mut image).map_err(failed)?;
        if image.is_empty() { Err(ImageError::Empty) } else { Ok(image) }
    }

    /// Is this what somebody vouches for whom we believe?
    ///
    /// # Errors
    /// [`ImageError::Unproven`].
    pub fn prove(&self, signed: &SignedRelease, image: &[u8]) -> Result<(), ImageError> {
        Ok(self.keys.prove_image(signed, image)?)
    }

    /// Keeps an image that was proved: after this it is on disk.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn keep(&self, signed: &SignedRelease, image: &[u8]) -> Result<(), ImageError> {
        self.prove(signed, image)?;
        let path = self.path(&signed.release.digest);
        let failed = |source| ImageError::Io { path: path.clone(), source };
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        let beside = path.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let written = file.and_then(|mut file| {
            file.write_all(image)?;
            file.sync_all()
        });
        written.map_err(failed)?;
        std::fs::rename(&beside, &path).map_err(failed)?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }

    /// Lets go of the bytes of an image; of none, where there are none.
    ///
    /// # Errors
    /// [`ImageError::Io`].
    pub fn remove(&self, digest: &Digest) -> Result<(), ImageError> {
        let path = self.path(digest);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ImageError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Opens an image of the book, and proves it again: the file may have been damaged, a key been taken out of the
    /// configuration.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn open(&self, image: &Image) -> Result<Open, ImageError> {
        let signed = signed(image).ok_or(ImageError::BadSignature)?;
        let (digest, path) = (image.release.digest, self.path(&image.release.digest));
        let bytes = self.read(&path)?;
        self.prove(&signed, &bytes)?;
        let file = File::open(&path);
        let file = file.map_err(|source| ImageError::Io { path: path.clone(), source })?;
        Ok(Open { digest, path, file })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }
}

impl Open {
    /// A chunk as it goes over the wire; `None` where there is no such chunk.
    ///
    /// # Errors
    /// [`ImageError::Io`].
    pub fn chunk(&self, chunks: Chunks, number: u32) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(place) = chunks.place(number) else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(place.end - place.start).unwrap_or(0)];
        let read = self.file.read_exact_at(&mut bytes, place.start);
        read.map_err(|source| ImageError::Io { path: self.path.clone(), source })?;
        Ok(Some(frame(&self.digest, number, &bytes)))
    }
}

/// What the book says of who vouches for an image.
fn signed(image: &Image) -> Option<SignedRelease> {
    let signature = unhex(&image.signature)?;
    Some(SignedRelease { release: image.release.clone(), key: image.key.clone(), signature })
}

/// Bytes in hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

/// A signature from hex.
#[must_use]
pub fn unhex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let (low, high) = text.split_at_checked(SIGNATURE_BYTES)?;
    // Each half has as many bytes as a digest, and is written like one.
    let (Digest(low), Digest(high)) = (low.parse().ok()?, high.parse().ok()?);
    [low, high].concat().try_into().ok()
}

#[cfg(test)]
mod tests {
    use ::firmware::{SecretKey, digest};
    use domain::{ModelCode, Release, Timestamp, Version};

    use super::*;

    fn signed_by(key: &SecretKey, image: &[u8]) -> SignedRelease {
        key.sign(&Release {
            model: ModelCode::new("sl-200").unwrap(),
            version: Version { major: 1, minor: 0, patch: 0 },
            size: image.len() as u64,
            digest: digest(image),
        })
    }

    fn in_book(signed: &SignedRelease) -> Image {
        Image {
            release: signed.release.clone(),
            key: signed.key.clone(),
            signature: hex(&signed.signature),
            added_at: Timestamp::from_millis(0),
            added_by: "cli".to_owned(),
        }
    }

    #[test]
    fn an_image_is_kept_whole_and_served_in_pieces_only_while_it_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let (key, image) = (SecretKey::generate().unwrap(), vec![7_u8; 1_000]);
        let images = Images::new(dir.path(), KeyRing::new(vec![key.public()]), 1_000);
        let signed = signed_by(&key, &image);
        images.keep(&signed, &image).unwrap();
        images.keep(&signed, &image).unwrap();
        let open = images.open(&in_book(&signed)).unwrap();
        let chunks = Chunks::new(1_000, 512);
        assert_eq!(open.chunk(chunks, 1).unwrap().unwrap().len(), 16 + 488);
        assert!(open.chunk(chunks, 2).unwrap().is_none());
        // One flipped bit on our own disk, and it is served to nobody.
        let path = dir.path().join(FOLDER).join(signed.release.digest.to_string());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[500] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = images.open(&in_book(&signed)).unwrap_err();
        assert!(matches!(error, ImageError::Unproven(Unproven::Digest(_))), "{error}");
        images.remove(&signed.release.digest).unwrap();
        images.remove(&signed.release.digest).unwrap();
        assert!(matches!(images.open(&in_book(&signed)), Err(ImageError::Io { .. })));
    }

    #[test]
    fn what_is_too_large_empty_or_a_strangers_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::generate().unwrap();
        let images = Images::new(dir.path(), KeyRing::new(vec![key.public()]), 1_000);
        let file = |bytes: usize| {
            let path = dir.path().join("image");
            std::fs::write(&path, vec![1_u8; bytes]).unwrap();
            images.read(&path)
        };
        assert!(matches!(file(1_001), Err(ImageError::TooLarge { found: 1_001, most: 1_000 })));
        assert!(matches!(file(0), Err(ImageError::Empty)));
        assert_eq!(file(1_000).unwrap().len(), 1_000);
        let stranger = signed_by(&SecretKey::generate().unwrap(), b"x");
        assert!(matches!(images.keep(&stranger, b"x"), Err(ImageError::Unproven(_))));
        assert!(!dir.path().join(FOLDER).exists());
        let mut none = in_book(&stranger);
        none.signature = "00".to_owned();
        assert!(matches!(images.open(&none), Err(ImageError::BadSignature)));
    }

    #[test]
    fn a_signature_survives_its_letters() {
        let bytes: [u8; SIGNATURE_BYTES] = std::array::from_fn(|n| n as u8 * 3);
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        for bad in ["", &"0".repeat(127), &"0".repeat(129), &"g".repeat(128), &"é".repeat(64)] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
