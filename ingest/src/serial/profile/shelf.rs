//! The profiles there are.

use rust_embed::RustEmbed;

use super::Profile;
use crate::line::{ProfileError, Shelf};

#[derive(RustEmbed)]
#[folder = "../configs/profiles/serial"]
struct Shipped;

/// Loggers by name.
pub type Profiles = Shelf<Profile>;

impl Profiles {
    /// Those that are shipped.
    ///
    /// # Errors
    /// [`ProfileError`] for the first that cannot be meant; a test reads them all.
    pub fn shipped() -> Result<Self, ProfileError> {
        Self::of(Shipped::iter().filter_map(|file| Some((file.clone(), Shipped::get(&file)?.data))))
    }
}
