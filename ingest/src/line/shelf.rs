//! The profiles there are: those that are shipped, and a folder of somebody's own, which goes first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ProfileError;

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

/// What a profile is read from.
pub trait OfText: Sized {
    /// The profile of this name.
    ///
    /// # Errors
    /// [`ProfileError`] with the place, what is wrong, and what would be accepted.
    fn of_text(name: &str, text: &str) -> Result<Self, ProfileError>;
}

/// Profiles by name.
#[derive(Debug, Clone)]
pub struct Shelf<P> {
    by_name: BTreeMap<String, Arc<P>>,
}

impl<P> Default for Shelf<P> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new() }
    }
}

impl<P: OfText> Shelf<P> {
    /// Those of these files, `NAME.toml` each.
    pub(crate) fn of(
        files: impl Iterator<Item = (Cow<'static, str>, Cow<'static, [u8]>)>,
    ) -> Result<Self, ProfileError> {
        let mut shelf = Self::default();
        for (file, held) in files {
            if let Some(name) = file.strip_suffix(".toml") {
                shelf.add(name, &String::from_utf8_lossy(&held))?;
            }
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
        self.by_name.insert(name.to_owned(), Arc::new(P::of_text(name, text)?));
        Ok(())
    }

    /// The profile with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<P>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<P>> {
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
