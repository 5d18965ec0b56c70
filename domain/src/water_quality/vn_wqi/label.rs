//! The word and the colour of an index.

/// The steps of VN_WQI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Below 10.
    VeryHeavilyPolluted,
    /// 10 to 25.
    Poor,
    /// 26 to 50.
    Bad,
    /// 51 to 75.
    Fair,
    /// 76 to 90.
    Good,
    /// 91 to 100.
    VeryGood,
}

impl Label {
    /// Of an index.
    #[must_use]
    pub const fn of(index: u8) -> Self {
        match index {
            0..=9 => Self::VeryHeavilyPolluted,
            10..=25 => Self::Poor,
            26..=50 => Self::Bad,
            51..=75 => Self::Fair,
            76..=90 => Self::Good,
            _ => Self::VeryGood,
        }
    }

    /// As the Decision has it.
    #[must_use]
    pub const fn vi(self) -> &'static str {
        match self {
            Self::VeryHeavilyPolluted => "ô nhiễm rất nặng",
            Self::Poor => "kém",
            Self::Bad => "xấu",
            Self::Fair => "trung bình",
            Self::Good => "tốt",
            Self::VeryGood => "rất tốt",
        }
    }

    /// In English.
    #[must_use]
    pub const fn en(self) -> &'static str {
        match self {
            Self::VeryHeavilyPolluted => "very heavily polluted",
            Self::Poor => "poor",
            Self::Bad => "bad",
            Self::Fair => "fair",
            Self::Good => "good",
            Self::VeryGood => "very good",
        }
    }

    /// Its colour: red, green, blue. The colours' names are the Decision's, their numbers from general knowledge.
    #[must_use]
    pub const fn rgb(self) -> [u8; 3] {
        match self {
            Self::VeryHeavilyPolluted => [126, 0, 35],
            Self::Poor => [255, 0, 0],
            Self::Bad => [255, 126, 0],
            Self::Fair => [255, 255, 0],
            Self::Good => [0, 228, 0],
            Self::VeryGood => [51, 51, 255],
        }
    }
}
