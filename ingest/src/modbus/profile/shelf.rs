//! The profiles there are: those that are shipped, and a folder of somebody's own, which goes first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rust_embed::RustEmbed;

use super::{Profile, ProfileError};

#[derive(RustEmbed)]
#[folder = "../configs/profiles"]
struct Shipped;

/// A folder of profiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// It cannot be read.
    #[error("cannot read profiles in `{path}`")]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One of them is none.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

/// Profiles by name.
#[derive(Debug, Clone, Default)]
pub struct Profiles {
    by_name: BTreeMap<String, Arc<Profile>>,
}

impl Profiles {
    /// Those that are shipped.
    ///
    /// # Errors
    /// [`ProfileError`] for the first that cannot be meant; a test reads them all.
    pub fn shipped() -> Result<Self, ProfileError> {
        let mut shelf = Self::default();
        for file in Shipped::iter() {
            let (Some(name), Some(held)) = (file.strip_suffix(".toml"), Shipped::get(&file)) else {
                continue;
            };
            shelf.add(name, &String::from_utf8_lossy(&held.data))?;
        }
        Ok(shelf)
    }

    /// Adds every `*.toml` of a folder; one with a name that is there already takes its place.
    ///
    /// # Errors
    /// [`ShelfError`] where the folder cannot be read, or one of its files is no profile.
    pub fn add_folder(&mut self, folder: &Path) -> Result<(), ShelfError> {
        let unread = |path: &Path| {
            let path = path.to_owned();
            move |source| ShelfError::Read { path, source }
        };
        for entry in std::fs::read_dir(folder).map_err(unread(folder))? {
            let path = entry.map_err(unread(folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(name) = name.strip_suffix(".toml") else { continue };
            let text = std::fs::read_to_string(&path).map_err(unread(&path))?;
            self.add(name, &text)?;
        }
        Ok(())
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`ProfileError`] where the text is none.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), ProfileError> {
        let profile = Arc::new(Profile::read(name, text)?);
        self.by_name.insert(name.to_owned(), profile);
        Ok(())
    }

    /// The profile with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.by_name.values()
    }

    /// For a name that is not there: the nearest, or all.
    #[must_use]
    pub fn hint(&self, name: &str) -> String {
        let near = |other: &&String| strsim::jaro_winkler(other, name);
        let best = self.by_name.keys().max_by(|a, b| near(a).total_cmp(&near(b)));
        match best.filter(|best| 0.75 < near(best)) {
            Some(best) => format!("did you mean `{best}`?"),
            None => {
                let names: Vec<_> = self.by_name.keys().map(String::as_str).collect();
                format!("there are {}", names.join(", "))
            }
        }
    }
}
