//! Codes as small numbers: a code is held once, and everything inside counts with its number.

use std::borrow::Borrow;
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Codes in the order in which they were first seen; a code's number never changes while the process lives.
#[derive(Debug, Clone)]
pub(crate) struct Names<C> {
    codes: Vec<C>,
    numbers: FxHashMap<C, u32>,
}

impl<C> Default for Names<C> {
    fn default() -> Self {
        Self { codes: Vec::new(), numbers: FxHashMap::default() }
    }
}

impl<C: Clone + Eq + Hash + Borrow<str>> Names<C> {
    /// The code's number; a new one where it has none.
    pub(crate) fn number(&mut self, code: &C) -> u32 {
        if let Some(&number) = self.numbers.get::<C>(code) {
            return number;
        }
        let number = u32::try_from(self.codes.len()).expect("codes are rows of the registry");
        self.codes.push(code.clone());
        self.numbers.insert(code.clone(), number);
        number
    }

    pub(crate) fn find(&self, code: &str) -> Option<u32> {
        self.numbers.get(code).copied()
    }

    pub(crate) fn code(&self, number: u32) -> &C {
        &self.codes[number as usize]
    }

    pub(crate) fn codes(&self) -> &[C] {
        &self.codes
    }
}
