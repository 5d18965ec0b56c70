//! `saltline firmware …`: keys and signatures on the machine of whoever vouches for an image; images and roll-outs
//! beside a running engine.

mod rollout; // start, pause, resume, halt, status

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ::firmware::{KeyRing, PublicKey, SecretKey, SignedRelease, digest};
use clap::{Args, Subcommand};
use domain::{Digest, ModelCode, Release, Version};
use registry::{Image, Registry, StationFirmware};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble, station};
use crate::firmware::{ImageError, Images, hex, unhex};
use crate::store::open_registry;

/// Firmware of stations: sign images, add them, roll them out.
#[derive(Args)]
pub struct Firmware {
    #[command(flatten)]
    place: Place,
    /// How rows are written.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make a key pair. The private key goes into the file, which only you may read; the public key is printed, for
    /// the engine's configuration (firmware.keys) and for the stations.
    Keygen {
        /// A file that does not exist yet.
        file: PathBuf,
    },
    /// Vouch for an image: writes IMAGE.sig beside it.
    #[command(disable_version_flag = true)]
    Sign {
        /// The image.
        image: PathBuf,
        /// The file of the private key.
        #[arg(long)]
        key: PathBuf,
        /// The hardware it is for, as sl-200.
        #[arg(long)]
        model: String,
        /// Its version, as 1.4.2: stations take no older one.
        #[arg(long = "version", id = "release", value_name = "VERSION")]
        release: String,
    },
    /// Say whether an image is what somebody vouched for whom we believe.
    Verify {
        /// The image.
        image: PathBuf,
        /// What `sign` wrote; IMAGE.sig where it is left out.
        #[arg(long)]
        signature: Option<PathBuf>,
        /// A public key; those of the configuration where it is left out.
        #[arg(long)]
        key: Vec<String>,
    },
    /// Add an image that is signed with one of the configured keys.
    Add {
        /// The image.
        image: PathBuf,
        /// What `sign` wrote; IMAGE.sig where it is left out.
        #[arg(long)]
        signature: Option<PathBuf>,
    },
    /// List the images.
    List,
    /// Take an image away, with its roll-outs.
    Remove {
        /// MODEL@VERSION, or the beginning of its sha-256.
        image: String,
    },
    /// What runs in the stations, as they say.
    Stations,
    /// Bring an image to the stations, ring by ring.
    RollOut(rollout::RollOut),
}

/// What `sign` writes and `add` reads.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    model: String,
    version: String,
    size: u64,
    sha256: String,
    key: String,
    signature: String,
}

impl Firmware {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let format = self.output;
        let settings = || self.place.settings();
        match self.act {
            Act::Keygen { file } => keygen(&file, format),
            Act::Sign { image, key, model, release } => {
                sign(&image, &key, &model, &release, format)
            }
            Act::Verify { image, signature, key } => {
                let settings = settings()?;
                let keys = key.iter().map(|text| public(text)).collect::<Result<Vec<_>, _>>()?;
                let keys =
                    if keys.is_empty() { settings.firmware.keys } else { KeyRing::new(keys) };
                let most = settings.firmware.image_bytes_max;
                let (signed, _) =
                    proved(&Images::new(&settings.data_dir, keys, most), &image, signature)?;
                eprintln!("the image is what was signed");
                output::one(format, &release_row(&signed))
            }
            Act::Add { image, signature } => {
                let settings = settings()?;
                let wanted = &settings.firmware;
                if wanted.keys.is_empty() {
                    let why = "no key is configured (firmware.keys): nobody may vouch for an image";
                    return Err(Trouble::No(why.to_owned()));
                }
                let images =
                    Images::new(&settings.data_dir, wanted.keys.clone(), wanted.image_bytes_max);
                let (signed, bytes) = proved(&images, &image, signature)?;
                let registry = open_registry(&settings.data_dir).await?.by("cli");
                // The bytes first: what the book names is there.
                images.keep(&signed, &bytes).map_err(refused)?;
                let new = added(&registry, &images, &signed).await?;
                eprintln!("{}", if new { "the image is added" } else { "the image was there" });
                output::one(format, &release_row(&signed))
            }
            Act::List => {
                let registry = open_registry(&settings()?.data_dir).await?;
                let images = registry.images().await?;
                output::rows(format, &images.iter().map(image_row).collect::<Vec<_>>())
            }
            Act::Remove { image } => {
                let settings = settings()?;
                let registry = open_registry(&settings.data_dir).await?.by("cli");
                let digest = meant(&registry, &image).await?.release.digest;
                let gone = registry.drop_image(&digest).await?.release;
                let images = Images::new(&settings.data_dir, KeyRing::default(), 0);
                images.remove(&digest).map_err(refused)?;
                eprintln!("{} {} is removed", gone.model, gone.version);
                Ok(())
            }
            Act::Stations => {
                let registry = open_registry(&settings()?.data_dir).await?;
                let all = registry.station_firmwares().await?;
                output::rows(format, &all.iter().map(station_row).collect::<Vec<_>>())
            }
            Act::RollOut(act) => {
                let settings = settings()?;
                let registry = open_registry(&settings.data_dir).await?.by("cli");
                act.run(&registry, settings.firmware.terms, format).await
            }
        }
    }
}

/// Tells the book of an image whose bytes are there; bytes that the book does not take go again.
async fn added(
    registry: &Registry,
    images: &Images,
    signed: &SignedRelease,
) -> Result<bool, Trouble> {
    let (release, letters) = (&signed.release, hex(&signed.signature));
    let outcome = registry.add_image(release, &signed.key, &letters).await;
    if outcome.is_err() && registry.image(&release.digest).await?.is_none() {
        images.remove(&release.digest).map_err(refused)?;
    }
    Ok(outcome?)
}

fn usage(path: &Path, why: impl std::fmt::Display) -> Trouble {
    Trouble::Usage(format!("`{}`: {why}", path.display()))
}

/// What is wrong with an image is an answer; what is wrong with the disk is not.
fn refused(error: ImageError) -> Trouble {
    match error {
        ImageError::Io { .. } => Trouble::Later(super::chain(&error)),
        no => Trouble::No(super::chain(&no)),
    }
}

fn public(text: &str) -> Result<PublicKey, Trouble> {
    text.parse().map_err(|error: ::firmware::BadKey| Trouble::Usage(error.to_string()))
}

fn keygen(file: &Path, format: Format) -> Result<(), Trouble> {
    let key = SecretKey::generate().map_err(|error| Trouble::Later(error.to_string()))?;
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    let written = made.and_then(|mut made| {
        made.write_all(key.to_pem().as_bytes())?;
        made.sync_all()
    });
    written.map_err(|error| usage(file, error))?;
    eprintln!("the private key is in `{}`: keep it off the engine's machine", file.display());
    let public = key.public();
    output::one(format, &vec![("key", json!(public.id())), ("public", json!(public.to_string()))])
}

fn sign(
    image: &Path,
    key: &Path,
    model: &str,
    release: &str,
    format: Format,
) -> Result<(), Trouble> {
    let mode = std::fs::metadata(key).map_err(|error| usage(key, error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(usage(key, "others may read it; chmod 600, or make a new one"));
    }
    let text = std::fs::read_to_string(key).map_err(|error| usage(key, error))?;
    let secret = SecretKey::from_pem(&text).map_err(|error| usage(key, error))?;
    let bytes = std::fs::read(image).map_err(|error| usage(image, error))?;
    if bytes.is_empty() {
        return Err(usage(image, "it is empty"));
    }
    let said = |why: String| Trouble::Usage(why);
    let signed = secret.sign(&Release {
        model: ModelCode::new(model).map_err(|error| said(error.to_string()))?,
        version: release
            .parse::<Version>()
            .map_err(|error: domain::BadRelease| said(error.to_string()))?,
        size: bytes.len() as u64,
        digest: digest(&bytes),
    });
    let file = beside(image);
    let text = serde_json::to_string_pretty(&written(&signed))
        .map_err(|error| Trouble::Later(error.to_string()))?;
    std::fs::write(&file, text + "\n").map_err(|error| usage(&file, error))?;
    eprintln!("signed: `{}`", file.display());
    output::one(format, &release_row(&signed))
}

fn beside(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

fn written(signed: &SignedRelease) -> SignatureFile {
    let Release { model, version, size, digest } = &signed.release;
    SignatureFile {
        model: model.to_string(),
        version: version.to_string(),
        size: *size,
        sha256: digest.to_string(),
        key: signed.key.clone(),
        signature: hex(&signed.signature),
    }
}

/// The image and who vouches for it, proved.
fn proved(
    images: &Images,
    image: &Path,
    signature: Option<PathBuf>,
) -> Result<(SignedRelease, Vec<u8>), Trouble> {
    let file = signature.unwrap_or_else(|| beside(image));
    let text = std::fs::read_to_string(&file).map_err(|error| usage(&file, error))?;
    let read: SignatureFile = serde_json::from_str(&text).map_err(|error| usage(&file, error))?;
    let bad = |why: &dyn std::fmt::Display| usage(&file, why);
    let signed = SignedRelease {
        release: Release {
            model: ModelCode::new(&read.model).map_err(|error| bad(&error))?,
            version: read.version.parse::<Version>().map_err(|error| bad(&error))?,
            size: read.size,
            digest: read.sha256.parse::<Digest>().map_err(|error| bad(&error))?,
        },
        key: read.key,
        signature: unhex(&read.signature).ok_or_else(|| bad(&ImageError::BadSignature))?,
    };
    let bytes = images.read(image).map_err(refused)?;
    images.prove(&signed, &bytes).map_err(refused)?;
    Ok((signed, bytes))
}

/// The image that somebody means: by model and version, or by the beginning of its digest.
async fn meant(registry: &Registry, text: &str) -> Result<Image, Trouble> {
    let images = registry.images().await?;
    let is = |image: &&Image| {
        let release = &image.release;
        let named = format!("{}@{}", release.model, release.version);
        named == text || (8 <= text.len() && release.digest.to_string().starts_with(text))
    };
    let mut found = images.iter().filter(is);
    match (found.next(), found.next()) {
        (Some(image), None) => Ok(image.clone()),
        (None, _) => Err(Trouble::No(format!("there is no image `{text}`; write MODEL@VERSION"))),
        (Some(_), Some(_)) => Err(Trouble::Usage(format!("`{text}` is more than one image"))),
    }
}

fn release_row(signed: &SignedRelease) -> Row {
    let Release { model, version, size, digest } = &signed.release;
    vec![
        ("model", json!(model.as_str())),
        ("version", json!(version.to_string())),
        ("size", json!(size)),
        ("sha256", json!(digest.to_string())),
        ("key", json!(signed.key)),
    ]
}

fn image_row(image: &Image) -> Row {
    let Release { model, version, size, digest } = &image.release;
    vec![
        ("model", json!(model.as_str())),
        ("version", json!(version.to_string())),
        ("size", json!(size)),
        ("sha256", json!(digest.to_string())),
        ("key", json!(image.key)),
        ("added_at", json!(station::local(image.added_at))),
        ("added_by", json!(image.added_by)),
    ]
}

fn station_row(one: &StationFirmware) -> Row {
    vec![
        ("station", json!(one.station.as_str())),
        ("model", json!(one.model.as_ref().map(ModelCode::as_str))),
        ("version", json!(one.version.map(|version| version.to_string()))),
        ("since", json!(one.running_since.map(station::local))),
        ("state", json!(one.state.map(domain::FirmwareState::as_str))),
        ("have", json!(one.progress.map(|(have, of)| format!("{have}/{of}")))),
        ("why", json!(one.fault.map(domain::FirmwareFault::as_str))),
        ("said_at", json!(station::local(one.said_at))),
    ]
}
