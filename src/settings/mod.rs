//! What a person configured. [`Layers`] is what was typed, file over file over environment; [`Config`] is what it
//! means. The defaults are the file `configs/saltline.toml` itself, so that what is documented is what holds.

mod layers; // what was typed, and where
mod config; // what it means
mod mqtt; // of the front door
mod drop; // folders that are watched
mod upstream; // brokers that we take from
mod entry; // an entry of a list
mod modbus; // lines that we ask on
mod serial; // loggers that write lines of text
mod sdi12; // sensors on a bus of their own
mod export; // departments that get files
mod s3; // where backups may go
mod questdb; // who keeps the same readings
mod firmware; // whose word counts, and how it goes out

pub(crate) use config::duration;
pub use config::{Channel, Config};
pub use firmware::Firmware;
pub use layers::{DEFAULTS, Layers};
pub use questdb::Reader;
pub use s3::S3;

/// A configuration that is not followed, because a part of it cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// The file, or the variable.
        origin: String,
        /// Where and what, as the parser says it.
        message: String,
    },
    /// A key that nobody reads.
    #[error("{origin}: unknown key `{key}`{hint}")]
    UnknownKey {
        /// The file, or the variable.
        origin: String,
        /// The key with its section.
        key: String,
        /// The nearest right name, if one is near.
        hint: String,
    },
    /// A value that cannot be meant.
    #[error("{origin}: `{key}` is {found}; {wanted}")]
    BadValue {
        /// The file, or the variable.
        origin: String,
        /// The key with its section.
        key: String,
        /// What was found.
        found: String,
        /// What would be accepted.
        wanted: String,
    },
}
