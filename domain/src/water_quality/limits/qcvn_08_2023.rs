//! QCVN 08:2023/BTNMT, in force since 12 September 2023 (Circular 01/2023/TT-BTNMT of 13 March 2023).

use jiff::civil::date;

use super::table::Bound::{AtLeast, AtMost, Between};
use super::table::{Bound, LimitRow, Purpose, Sureness, Table};
use crate::water_quality::Analyte;

/// One limit, in mg/L.
const fn limit<const N: usize>(analyte: Analyte, bounds: &'static [Bound; N]) -> LimitRow {
    LimitRow { analyte, bounds, sureness: Sureness::Read }
}

const fn unsure<const N: usize>(analyte: Analyte, bounds: &'static [Bound; N]) -> LimitRow {
    LimitRow { analyte, bounds, sureness: Sureness::Verify }
}

/// Table 1: what protects people's health.
pub(super) const HEALTH: Table = Table {
    name: "QCVN 08:2023/BTNMT, bảng 1",
    source: "Thông tư 01/2023/TT-BTNMT, read in public copies",
    purposes: &[Purpose::Health],
    from: date(2023, 9, 12),
    until: None,
    columns: &["giới hạn"],
    beyond: "vượt giới hạn",
    rows: &[
        limit(Analyte::Nitrite, &[AtMost(0.05)]),
        limit(Analyte::Ammonium, &[AtMost(0.3)]),
        limit(Analyte::Chloride, &[AtMost(250.0)]),
        limit(Analyte::Fluoride, &[AtMost(1.0)]),
        limit(Analyte::Cyanide, &[AtMost(0.01)]),
        limit(Analyte::Arsenic, &[AtMost(0.01)]),
        limit(Analyte::Cadmium, &[AtMost(0.005)]),
        limit(Analyte::Lead, &[AtMost(0.02)]),
        limit(Analyte::Chromium6, &[AtMost(0.01)]),
        limit(Analyte::TotalChromium, &[AtMost(0.05)]),
        limit(Analyte::Copper, &[AtMost(0.1)]),
        limit(Analyte::Zinc, &[AtMost(0.5)]),
        limit(Analyte::Nickel, &[AtMost(0.1)]),
        limit(Analyte::Manganese, &[AtMost(0.1)]),
        limit(Analyte::Mercury, &[AtMost(0.001)]),
        limit(Analyte::Iron, &[AtMost(0.5)]),
        limit(Analyte::Surfactant, &[AtMost(0.1)]),
        limit(Analyte::Phenol, &[AtMost(0.005)]),
        limit(Analyte::Oil, &[AtMost(5.0)]),
    ],
};

/// Table 2: classes of rivers and canals. What is outside of C is D. Suspended solids over 100 mg/L are C where no trash
/// floats on the water and D where it does, which no probe sees: they are C here, at best. For oxygen the copy prints
/// "≥ 2.0" for D; less than that has no other class, and is D too.
pub(super) const CLASSES: Table = Table {
    name: "QCVN 08:2023/BTNMT, bảng 2",
    source: "Thông tư 01/2023/TT-BTNMT, read in a public copy whose columns were put in order again",
    purposes: &[Purpose::Classes],
    from: date(2023, 9, 12),
    until: None,
    columns: &["A", "B", "C"],
    beyond: "D",
    rows: &[
        limit(Analyte::Ph, &[Between(6.5, 8.5), Between(6.0, 8.5), Between(6.0, 8.5)]),
        limit(Analyte::Bod5, &[AtMost(4.0), AtMost(6.0), AtMost(10.0)]),
        limit(Analyte::Cod, &[AtMost(10.0), AtMost(15.0), AtMost(20.0)]),
        unsure(Analyte::Toc, &[AtMost(4.0), AtMost(6.0), AtMost(8.0)]),
        unsure(Analyte::Tss, &[AtMost(25.0), AtMost(100.0), Bound::Any]),
        limit(Analyte::DissolvedOxygen, &[AtLeast(6.0), AtLeast(5.0), AtLeast(4.0)]),
        limit(Analyte::TotalPhosphorus, &[AtMost(0.1), AtMost(0.3), AtMost(0.5)]),
        limit(Analyte::TotalNitrogen, &[AtMost(0.6), AtMost(1.5), AtMost(2.0)]),
        limit(Analyte::Coliform, &[AtMost(1_000.0), AtMost(5_000.0), AtMost(7_500.0)]),
        limit(Analyte::HeatResistantColiform, &[AtMost(200.0), AtMost(1_000.0), AtMost(1_500.0)]),
    ],
};
