//! The profiles there are.

use rust_embed::RustEmbed;

use super::Profile;
use crate::line::{ProfileError, Shelf};

#[derive(RustEmbed)]
#[folder = "../configs/profiles"]
struct Shipped;

/// Modbus devices by name.
pub type Profiles = Shelf<Profile>;

impl Profiles {
    /// Those that are shipped.
    ///
    /// # Errors
    /// [`ProfileError`] for the first that cannot be meant; a test reads them all.
    pub fn shipped() -> Result<Self, ProfileError> {
        // Folders below hold what other lines speak.
        let files = Shipped::iter().filter(|file| !file.contains('/'));
        Self::of(files.filter_map(|file| Some((file.clone(), Shipped::get(&file)?.data))))
    }
}
