//! What a laboratory or a probe measures of water.

use std::collections::BTreeMap;

/// What is measured, each in its one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    missing_docs,
    reason = "each variant is its name, and its symbol and unit stand in the table below"
)]
pub enum Analyte {
    Ph,
    DissolvedOxygen,
    Bod5,
    Cod,
    Toc,
    Tss,
    Ammonium,
    Nitrate,
    Nitrite,
    Phosphate,
    TotalPhosphorus,
    TotalNitrogen,
    Chloride,
    Fluoride,
    Cyanide,
    Arsenic,
    Cadmium,
    Lead,
    Chromium6,
    TotalChromium,
    Copper,
    Zinc,
    Nickel,
    Manganese,
    Mercury,
    Iron,
    Surfactant,
    Phenol,
    Oil,
    Coliform,
    HeatResistantColiform,
    EscherichiaColi,
}

/// One sample of water: what was measured of it.
pub type Sample = BTreeMap<Analyte, f64>;

impl Analyte {
    /// All of them.
    pub const ALL: [Self; 32] = [
        Self::Ph,
        Self::DissolvedOxygen,
        Self::Bod5,
        Self::Cod,
        Self::Toc,
        Self::Tss,
        Self::Ammonium,
        Self::Nitrate,
        Self::Nitrite,
        Self::Phosphate,
        Self::TotalPhosphorus,
        Self::TotalNitrogen,
        Self::Chloride,
        Self::Fluoride,
        Self::Cyanide,
        Self::Arsenic,
        Self::Cadmium,
        Self::Lead,
        Self::Chromium6,
        Self::TotalChromium,
        Self::Copper,
        Self::Zinc,
        Self::Nickel,
        Self::Manganese,
        Self::Mercury,
        Self::Iron,
        Self::Surfactant,
        Self::Phenol,
        Self::Oil,
        Self::Coliform,
        Self::HeatResistantColiform,
        Self::EscherichiaColi,
    ];

    /// The code of the parameter that measures it, in [its unit](Self::symbol_and_unit).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ph => "ph",
            Self::DissolvedOxygen => "dissolved_oxygen",
            Self::Bod5 => "bod5",
            Self::Cod => "cod",
            Self::Toc => "toc",
            Self::Tss => "tss",
            Self::Ammonium => "ammonium",
            Self::Nitrate => "nitrate",
            Self::Nitrite => "nitrite",
            Self::Phosphate => "phosphate",
            Self::TotalPhosphorus => "total_phosphorus",
            Self::TotalNitrogen => "total_nitrogen",
            Self::Chloride => "chloride",
            Self::Fluoride => "fluoride",
            Self::Cyanide => "cyanide",
            Self::Arsenic => "arsenic",
            Self::Cadmium => "cadmium",
            Self::Lead => "lead",
            Self::Chromium6 => "chromium6",
            Self::TotalChromium => "total_chromium",
            Self::Copper => "copper",
            Self::Zinc => "zinc",
            Self::Nickel => "nickel",
            Self::Manganese => "manganese",
            Self::Mercury => "mercury",
            Self::Iron => "iron",
            Self::Surfactant => "surfactant",
            Self::Phenol => "phenol",
            Self::Oil => "oil",
            Self::Coliform => "coliform",
            Self::HeatResistantColiform => "heat_resistant_coliform",
            Self::EscherichiaColi => "escherichia_coli",
        }
    }

    /// Its symbol and its unit, as people read them. Nitrogen and phosphorus compounds are mg of N or P in a litre, bacteria
    /// are MPN or CFU in 100 mL.
    #[must_use]
    pub const fn symbol_and_unit(self) -> (&'static str, &'static str) {
        match self {
            Self::Ph => ("pH", ""),
            Self::DissolvedOxygen => ("DO", "mg/L"),
            Self::Bod5 => ("BOD5", "mg/L"),
            Self::Cod => ("COD", "mg/L"),
            Self::Toc => ("TOC", "mg/L"),
            Self::Tss => ("TSS", "mg/L"),
            Self::Ammonium => ("N-NH4", "mg/L"),
            Self::Nitrate => ("N-NO3", "mg/L"),
            Self::Nitrite => ("N-NO2", "mg/L"),
            Self::Phosphate => ("P-PO4", "mg/L"),
            Self::TotalPhosphorus => ("TP", "mg/L"),
            Self::TotalNitrogen => ("TN", "mg/L"),
            Self::Chloride => ("Cl⁻", "mg/L"),
            Self::Fluoride => ("F⁻", "mg/L"),
            Self::Cyanide => ("CN⁻", "mg/L"),
            Self::Arsenic => ("As", "mg/L"),
            Self::Cadmium => ("Cd", "mg/L"),
            Self::Lead => ("Pb", "mg/L"),
            Self::Chromium6 => ("Cr⁶⁺", "mg/L"),
            Self::TotalChromium => ("Cr", "mg/L"),
            Self::Copper => ("Cu", "mg/L"),
            Self::Zinc => ("Zn", "mg/L"),
            Self::Nickel => ("Ni", "mg/L"),
            Self::Manganese => ("Mn", "mg/L"),
            Self::Mercury => ("Hg", "mg/L"),
            Self::Iron => ("Fe", "mg/L"),
            Self::Surfactant => ("chất hoạt động bề mặt anion", "mg/L"),
            Self::Phenol => ("phenol", "mg/L"),
            Self::Oil => ("dầu mỡ", "mg/L"),
            Self::Coliform => ("coliform", "/100 mL"),
            Self::HeatResistantColiform => ("coliform chịu nhiệt", "/100 mL"),
            Self::EscherichiaColi => ("E. coli", "/100 mL"),
        }
    }

    /// Can water have this much of it? Not a negative amount, not what is no number, pH from 0 to 14.
    #[must_use]
    pub fn can_be(self, value: f64) -> bool {
        value.is_finite() && 0.0 <= value && (self != Self::Ph || value <= 14.0)
    }
}
