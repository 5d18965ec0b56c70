//! The word that readings of each flag usually have in a file: nearly all good readings passed the same tests, and most
//! suspect ones failed the same. Who has the usual word of its flag takes no room on disk.

use domain::{Flag, TestFlags};

const FLAGS: [Flag; 5] = [Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad, Flag::Missing];

/// The usual word of each flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usual([TestFlags; FLAGS.len()]);

impl Usual {
    pub(super) fn of(&self, flag: Flag) -> TestFlags {
        FLAGS.iter().position(|known| *known == flag).map_or(TestFlags::NONE, |at| self.0[at])
    }

    /// In hexadecimal, in the order of the flags' worth: 1, 2, 3, 4, 9.
    pub(super) fn written(&self) -> String {
        self.0.map(|word| format!("{:x}", word.bits())).join(",")
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let word = |hex: &str| TestFlags::try_from(u64::from_str_radix(hex, 16).ok()?).ok();
        let words = text.split(',').map(word).collect::<Option<Vec<_>>>()?;
        words.try_into().ok().map(Self)
    }
}

/// How often which word was met with which flag.
#[derive(Debug, Default)]
pub(crate) struct Met(Vec<(Flag, TestFlags, u64)>);

/// Different words that are counted; a station has a handful, and what comes after these is not the usual one.
const WORDS_MAX: usize = 64;

impl Met {
    pub(crate) fn add(&mut self, flag: Flag, tests: TestFlags) {
        match self.0.iter().position(|met| (met.0, met.1) == (flag, tests)) {
            Some(at) => self.0[at].2 += 1,
            None if self.0.len() < WORDS_MAX => self.0.push((flag, tests, 1)),
            None => {}
        }
    }

    /// `None` where nothing was tested.
    pub(crate) fn usual(&self) -> Option<Usual> {
        let most = |flag: Flag| {
            let of = self.0.iter().filter(|met| met.0 == flag);
            of.max_by_key(|met| met.2).map_or(TestFlags::NONE, |met| met.1)
        };
        let tested = self.0.iter().any(|met| met.1 != TestFlags::NONE);
        tested.then(|| Usual(FLAGS.map(most)))
    }
}

#[cfg(test)]
mod tests {
    use domain::QualityTest;

    use super::*;

    #[test]
    fn the_usual_word_of_each_flag_is_the_one_met_most_and_comes_back() {
        let word = |flag| TestFlags::NONE.with(QualityTest::FlatLine, flag);
        let mut met = Met::default();
        met.add(Flag::Good, TestFlags::NONE);
        assert_eq!(met.usual(), None);
        met.add(Flag::Good, word(Flag::Good));
        met.add(Flag::Good, word(Flag::Good));
        met.add(Flag::Suspect, word(Flag::Suspect));
        let usual = met.usual().unwrap();
        assert_eq!(usual.of(Flag::Good), word(Flag::Good));
        assert_eq!(usual.of(Flag::Suspect), word(Flag::Suspect));
        assert_eq!(usual.of(Flag::Missing), TestFlags::NONE);
        assert_eq!(Usual::read(&usual.written()), Some(usual));
        for bad in ["", "0", "0,0,0,0,7", "0,0,0,0,0,0", "x,0,0,0,0"] {
            assert_eq!(Usual::read(bad), None, "{bad}");
        }
    }
}
