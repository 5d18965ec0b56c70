//! Each test's own flag, packed: three bits a test in one word, so that a store can keep it beside the reading.
//!
//! Bits `3n..3n+3` belong to the test numbered `n`: 0 did not run, 1 good, 2 not evaluated, 3 suspect, 4 bad, 5 missing.
//! Numbers and names are for ever: they are on disk. A test that is added takes the next number; 21 fit.

use std::fmt;

use crate::{Flag, ParameterCode, Timestamp};

/// A quality test. The first eleven but [`QualityTest::Sensor`] are QARTOD's (IOOS, "Real-Time Quality Control of In-situ
/// Temperature and Salinity Data", v2.1); the rest are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum QualityTest {
    /// What the sensor said of itself.
    Sensor = 0,
    /// The payload could be read; judged where readings are admitted.
    Syntax = 1,
    /// It came in the rhythm of the station. Tells of the line, not of the number, so it has no weight in the worst.
    Timing = 2,
    /// The station is where it was.
    Location = 3,
    /// Within what the sensor can measure and what the water has been.
    GrossRange = 4,
    /// Within what the water is in this season and tide.
    Climatology = 5,
    /// Not far from the middle of its neighbours.
    SpikeAverage = 6,
    /// Not a step there and back.
    SpikeDifferential = 7,
    /// Not faster than water changes.
    RateOfChange = 8,
    /// Not standing still.
    FlatLine = 9,
    /// Swings as a tide does.
    AttenuatedSignal = 10,
    /// Conductivity, temperature and salinity tell one story.
    Multivariate = 11,
    /// Agrees with the water down the river.
    Neighbour = 12,
    /// In the unit that it was in before.
    UnitSlip = 13,
    /// The station's clock moves.
    StuckClock = 14,
    /// In its own column.
    SwappedColumns = 15,
    /// The probe is below the water.
    Exposure = 16,
    /// Of a derived value: what it is made of can be trusted.
    Inputs = 17,
}

impl QualityTest {
    /// All tests, by number.
    pub const ALL: [Self; 18] = [
        Self::Sensor,
        Self::Syntax,
        Self::Timing,
        Self::Location,
        Self::GrossRange,
        Self::Climatology,
        Self::SpikeAverage,
        Self::SpikeDifferential,
        Self::RateOfChange,
        Self::FlatLine,
        Self::AttenuatedSignal,
        Self::Multivariate,
        Self::Neighbour,
        Self::UnitSlip,
        Self::StuckClock,
        Self::SwappedColumns,
        Self::Exposure,
        Self::Inputs,
    ];

    /// Its name in logs, files and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Syntax => "syntax",
            Self::Timing => "timing",
            Self::Location => "location",
            Self::GrossRange => "gross_range",
            Self::Climatology => "climatology",
            Self::SpikeAverage => "spike_average",
            Self::SpikeDifferential => "spike_differential",
            Self::RateOfChange => "rate_of_change",
            Self::FlatLine => "flat_line",
            Self::AttenuatedSignal => "attenuated_signal",
            Self::Multivariate => "multivariate",
            Self::Neighbour => "neighbour",
            Self::UnitSlip => "unit_slip",
            Self::StuckClock => "stuck_clock",
            Self::SwappedColumns => "swapped_columns",
            Self::Exposure => "exposure",
            Self::Inputs => "inputs",
        }
    }

    /// The test of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|test| test.name() == name)
    }

    const fn shift(self) -> u32 {
        self as u32 * BITS
    }
}

impl fmt::Display for QualityTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const BITS: u32 = 3;
const MASK: u64 = 0b111;
/// The lowest bit of each test.
const LOWEST: u64 = 0o111_111_111_111_111_111_111;

/// The flags that the tests gave to one reading.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TestFlags(u64);

/// What the tests say now of a reading that came before: its neighbours are known by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    /// What was measured, at the station whose report brought the revision.
    pub parameter: ParameterCode,
    /// When that reading was taken.
    pub taken_at: Timestamp,
    /// The flags that it has from now on.
    pub flags: TestFlags,
}

/// The word holds what no test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0:#x} is not the flags of quality tests")]
pub struct NotTestFlags(u64);

impl TestFlags {
    /// No test ran.
    pub const NONE: Self = Self(0);

    /// These, with what `test` says: it replaces what the same test said before.
    #[must_use]
    pub const fn with(self, test: QualityTest, flag: Flag) -> Self {
        Self(self.0 & !(MASK << test.shift()) | code(flag) << test.shift())
    }

    /// What `test` said; `None` when it did not run.
    #[must_use]
    pub const fn get(self, test: QualityTest) -> Option<Flag> {
        flag(self.0 >> test.shift() & MASK)
    }

    /// The flag of the reading: the worst of all tests but [`QualityTest::Timing`], in the order of [`Flag::worse`];
    /// [`Flag::NotEvaluated`] when none ran.
    #[must_use]
    pub const fn worst(self) -> Flag {
        // All tests at once: the lowest, middle and highest bit of each, each where the lowest stands.
        let rest = self.0 & !(MASK << QualityTest::Timing.shift());
        let (low, middle, high) = (rest & LOWEST, rest >> 1 & LOWEST, rest >> 2 & LOWEST);
        if high & !low != 0 {
            Flag::Bad
        } else if middle & low != 0 {
            Flag::Suspect
        } else if low & !high != 0 {
            Flag::Good
        } else if middle != 0 || high == 0 {
            Flag::NotEvaluated
        } else {
            Flag::Missing
        }
    }

    /// The tests that ran, by number, with what they said.
    pub fn iter(self) -> impl Iterator<Item = (QualityTest, Flag)> {
        QualityTest::ALL.into_iter().filter_map(move |test| Some((test, self.get(test)?)))
    }

    /// Does the other say the same wherever these say anything? Who judged a reading by itself says a part of what is
    /// known when its neighbours are.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        self.iter().all(|(test, flag)| other.get(test) == Some(flag))
    }

    /// The word that a store keeps.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl From<TestFlags> for u64 {
    fn from(verdicts: TestFlags) -> Self {
        verdicts.0
    }
}

impl TryFrom<u64> for TestFlags {
    type Error = NotTestFlags;

    fn try_from(bits: u64) -> Result<Self, NotTestFlags> {
        let known =
            QualityTest::ALL.into_iter().fold(0, |known, test| known | MASK << test.shift());
        let sound = QualityTest::ALL
            .into_iter()
            .all(|test| bits >> test.shift() & MASK <= code(Flag::Missing));
        if bits & !known == 0 && sound { Ok(Self(bits)) } else { Err(NotTestFlags(bits)) }
    }
}

/// `gross_range=1 spike_average=3`, by number of the test.
impl fmt::Display for TestFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (test, flag)) in self.iter().enumerate() {
            let between = if i == 0 { "" } else { " " };
            write!(f, "{between}{test}={}", flag.number())?;
        }
        Ok(())
    }
}

impl fmt::Debug for TestFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const fn code(flag: Flag) -> u64 {
    match flag {
        Flag::Good => 1,
        Flag::NotEvaluated => 2,
        Flag::Suspect => 3,
        Flag::Bad => 4,
        Flag::Missing => 5,
    }
}

const fn flag(code: u64) -> Option<Flag> {
    match code {
        1 => Some(Flag::Good),
        2 => Some(Flag::NotEvaluated),
        3 => Some(Flag::Suspect),
        4 => Some(Flag::Bad),
        5 => Some(Flag::Missing),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_all_at_once_is_the_worst_one_by_one() {
        let flags = [Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad, Flag::Missing];
        let one_by_one = |it: TestFlags| {
            let said = it.iter().filter(|(test, _)| *test != QualityTest::Timing);
            said.map(|(_, flag)| flag).reduce(Flag::worse).unwrap_or(Flag::NotEvaluated)
        };
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut it = TestFlags::NONE;
            for test in QualityTest::ALL {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let pick = usize::try_from(seed >> 33).unwrap() % 23;
                it = flags.get(pick).map_or(it, |flag| it.with(test, *flag));
            }
            assert_eq!(it.worst(), one_by_one(it), "{it}");
        }
        assert_eq!(TestFlags::NONE.worst(), Flag::NotEvaluated);
        for flag in flags {
            for test in QualityTest::ALL.into_iter().filter(|test| *test != QualityTest::Timing) {
                assert_eq!(TestFlags::NONE.with(test, flag).worst(), flag);
            }
        }
    }
}
