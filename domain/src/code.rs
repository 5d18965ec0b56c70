//! Names that are also keys: short, lower case, safe in a topic, a path and an SMS. Cheap to clone, because a reading
//! carries two of them.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The text is not a code: what it may be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: use 1 to {longest} of {alphabet}")]
pub struct BadCode {
    what: &'static str,
    alphabet: &'static str,
    longest: usize,
    text: String,
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal, $alphabet:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Clone, Eq, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        /// Two copies of one code share their text, which is seen without reading it.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl $name {
            /// Reads a code.
            ///
            /// # Errors
            /// [`BadCode`] where a letter is outside the alphabet or the length is wrong.
            pub fn new(text: &str) -> Result<Self, BadCode> {
                let fits = |b: u8| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || $extra.contains(&b)
                };
                if text.is_empty() || $longest < text.len() || !text.bytes().all(fits) {
                    return Err(BadCode {
                        what: $what,
                        alphabet: $alphabet,
                        longest: $longest,
                        text: text.chars().take(64).collect(),
                    });
                }
                Ok(Self(Arc::from(text)))
            }

            /// The code as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadCode;
            fn from_str(text: &str) -> Result<Self, BadCode> {
                Self::new(text)
            }
        }
    };
}

code!(
    /// A station's name in topics, paths and texts, as `xuan-hoa`.
    StationCode, "station code", 32, "a-z, 0-9 and -", b"-"
);
code!(
    /// A measured quantity, as `water_level`.
    ParameterCode, "parameter code", 32, "a-z, 0-9 and _", b"_"
);
code!(
    /// A rule, as `salinity-intake`.
    RuleCode, "rule code", 64, "a-z, 0-9 and -", b"-"
);
code!(
    /// A person of the roster, as `ba-tu`.
    PersonId, "person id", 64, "a-z, 0-9, -, . and _", b"-._"
);
code!(
    /// A kind of hardware that a firmware image is made for, as `sl-200`.
    ModelCode, "model", 32, "a-z, 0-9, -, . and _", b"-._"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_safe_in_a_topic() {
        for good in ["xuan-hoa", "a", "9", &"a".repeat(32)] {
            assert!(StationCode::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Xuan", "a/b", "+", "#", "xuân", "a b", "a_b", &"a".repeat(33)] {
            assert!(StationCode::new(bad).is_err(), "{bad}");
        }
    }
}
