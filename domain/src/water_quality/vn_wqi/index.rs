//! From sub-indices to the index, where there is enough of them.

use super::breakpoints::{oxygen_saturation_1460, sub_index};
use super::label::Label;
use crate::water_quality::{Analyte, Sample};

/// The groups of the Decision. Group II, pesticides, is not computed (see above).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// I: pH.
    Acidity,
    /// II: pesticides.
    Pesticides,
    /// III: heavy metals.
    Metals,
    /// IV: oxygen, organic matter and nutrients; without it there is no index.
    OrganicAndNutrients,
    /// V: bacteria.
    Bacteria,
}

/// Groups that an index needs.
const GROUPS_MIN: usize = 3;
/// Analytes that it needs of group IV.
const OF_GROUP_IV_MIN: usize = 3;

/// An index that can be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    /// 0 to 100.
    pub value: u8,
    /// Its word and colour.
    pub label: Label,
    /// What it was made of, each with its sub-index.
    pub sub_indices: Vec<(Analyte, f64)>,
    /// The groups that are in it.
    pub groups: Vec<Group>,
    /// Oxygen is in it, against fresh water: of brackish water its sub-index is not right (see
    /// [`oxygen_saturation_1460`]), and whoever shows the index says so.
    pub oxygen_without_salt: bool,
}

/// What an index lacks.
#[derive(Debug, Clone, PartialEq)]
pub enum Missing {
    /// This value is there and is none that water can have.
    NotAValue(Analyte),
    /// Oxygen needs the water's temperature for its saturation.
    WaterTemperature,
    /// So many more analytes of group IV: oxygen, BOD5, COD, TOC, ammonium, nitrate, nitrite, phosphate.
    OfGroupIv(usize),
    /// So many more groups, out of these.
    Groups(usize, Vec<Group>),
}

/// The index, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Computability {
    /// It can be published.
    Computed(Index),
    /// It cannot.
    NotComputable {
        /// All that would have to be there.
        missing: Vec<Missing>,
    },
}

impl Group {
    /// Those that can be computed.
    const ALL: [Self; 4] = [Self::Acidity, Self::Metals, Self::OrganicAndNutrients, Self::Bacteria];

    /// Its number in the Decision.
    #[must_use]
    pub const fn roman(self) -> &'static str {
        match self {
            Self::Acidity => "I",
            Self::Pesticides => "II",
            Self::Metals => "III",
            Self::OrganicAndNutrients => "IV",
            Self::Bacteria => "V",
        }
    }

    /// The group of an analyte that the index knows.
    #[must_use]
    pub const fn of(analyte: Analyte) -> Option<Self> {
        Some(match analyte {
            Analyte::Ph => Self::Acidity,
            Analyte::Arsenic
            | Analyte::Cadmium
            | Analyte::Lead
            | Analyte::Chromium6
            | Analyte::Copper
            | Analyte::Zinc
            | Analyte::Mercury => Self::Metals,
            Analyte::DissolvedOxygen
            | Analyte::Bod5
            | Analyte::Cod
            | Analyte::Toc
            | Analyte::Ammonium
            | Analyte::Nitrate
            | Analyte::Nitrite
            | Analyte::Phosphate => Self::OrganicAndNutrients,
            Analyte::Coliform | Analyte::EscherichiaColi => Self::Bacteria,
            _ => return None,
        })
    }
}

/// The index of a sample whose water had this temperature.
///
/// WQI = I/100 · (geometric mean of III)/100 · (mean of IV squared · mean of V)^(1/3), where an absent group I or III is a
/// factor of 1 and without group V the mean of IV stands in place of the root; rounded. It needs three groups, among them
/// IV with three analytes. What is in the sample and not in the index is not heeded; a value that water cannot have makes
/// no index rather than a better one.
#[must_use]
pub fn vn_wqi(sample: &Sample, water_c: Option<f64>) -> Computability {
    let known = sample.iter().filter(|(analyte, _)| Group::of(**analyte).is_some());
    let (mut sub_indices, mut missing) = (Vec::new(), Vec::new());
    for (&analyte, &amount) in known {
        match sub_index_of(analyte, amount, water_c) {
            Ok(index) => sub_indices.push((analyte, index)),
            Err(lacks) => missing.push(lacks),
        }
    }
    missing.extend(lacking(&sub_indices));
    if !missing.is_empty() {
        return Computability::NotComputable { missing };
    }
    let value = aggregate(&sub_indices).round().clamp(0.0, 100.0) as u8;
    Computability::Computed(Index {
        value,
        label: Label::of(value),
        groups: Group::ALL
            .into_iter()
            .filter(|group| in_group(&sub_indices, *group).count() > 0)
            .collect(),
        oxygen_without_salt: sub_indices.iter().any(|(it, _)| *it == Analyte::DissolvedOxygen),
        sub_indices,
    })
}

fn sub_index_of(analyte: Analyte, amount: f64, water_c: Option<f64>) -> Result<f64, Missing> {
    let amount = if analyte == Analyte::DissolvedOxygen && analyte.can_be(amount) {
        let water_c = water_c.ok_or(Missing::WaterTemperature)?;
        oxygen_saturation_1460(amount, water_c).ok_or(if (0.0..=40.0).contains(&water_c) {
            Missing::NotAValue(analyte)
        } else {
            Missing::WaterTemperature
        })?
    } else {
        amount
    };
    sub_index(analyte, amount).ok_or(Missing::NotAValue(analyte))
}

/// What the rule for publishing still asks for.
fn lacking(sub_indices: &[(Analyte, f64)]) -> Vec<Missing> {
    let mut missing = Vec::new();
    let of_iv = in_group(sub_indices, Group::OrganicAndNutrients).count();
    if of_iv < OF_GROUP_IV_MIN {
        missing.push(Missing::OfGroupIv(OF_GROUP_IV_MIN - of_iv));
    }
    let absent: Vec<Group> =
        Group::ALL.into_iter().filter(|group| in_group(sub_indices, *group).count() == 0).collect();
    let have = Group::ALL.len() - absent.len();
    if have < GROUPS_MIN {
        missing.push(Missing::Groups(GROUPS_MIN - have, absent));
    }
    missing
}

fn in_group(sub_indices: &[(Analyte, f64)], group: Group) -> impl Iterator<Item = f64> {
    sub_indices
        .iter()
        .filter(move |(analyte, _)| Group::of(*analyte) == Some(group))
        .map(|(_, index)| *index)
}

fn aggregate(sub_indices: &[(Analyte, f64)]) -> f64 {
    let of = |group| in_group(sub_indices, group).collect::<Vec<_>>();
    let factor = |group| geometric_mean(&of(group)).map_or(1.0, |mean| mean / 100.0);
    let organic = mean(&of(Group::OrganicAndNutrients)).unwrap_or(0.0);
    let core = mean(&of(Group::Bacteria))
        .map_or(organic, |bacteria| (organic * organic * bacteria).cbrt());
    factor(Group::Acidity) * factor(Group::Metals) * core
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    mean(&logarithms).map(f64::exp)
}
