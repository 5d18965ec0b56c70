//! QCVN 08-MT:2015/BTNMT, which lapsed on 12 September 2023; older contracts still ask for it. Its numbers and its first day
//! are from general knowledge, and are to be looked up before they are shown as law.

use jiff::civil::date;

use super::table::Bound::{Any, AtLeast, AtMost, Between};
use super::table::{Bound, LimitRow, Purpose, Sureness, Table};
use crate::water_quality::Analyte;

const fn row(analyte: Analyte, bounds: &'static [Bound; 4]) -> LimitRow {
    LimitRow { analyte, bounds, sureness: Sureness::Verify }
}

/// Columns by use: A1 and A2 for water supply, B1 irrigation, B2 transport.
pub(super) const SURFACE_WATER: Table = Table {
    name: "QCVN 08-MT:2015/BTNMT",
    source: "Thông tư 65/2015/TT-BTNMT, from general knowledge",
    purposes: &[Purpose::Health, Purpose::Classes],
    from: date(2016, 3, 1),
    until: Some(date(2023, 9, 12)),
    columns: &["A1", "A2", "B1", "B2"],
    beyond: "vượt B2",
    rows: &[
        row(
            Analyte::Ph,
            &[Between(6.0, 8.5), Between(6.0, 8.5), Between(5.5, 9.0), Between(5.5, 9.0)],
        ),
        row(Analyte::DissolvedOxygen, &[AtLeast(6.0), AtLeast(5.0), AtLeast(4.0), AtLeast(2.0)]),
        row(Analyte::Tss, &[AtMost(20.0), AtMost(30.0), AtMost(50.0), AtMost(100.0)]),
        row(Analyte::Cod, &[AtMost(10.0), AtMost(15.0), AtMost(30.0), AtMost(50.0)]),
        row(Analyte::Bod5, &[AtMost(4.0), AtMost(6.0), AtMost(15.0), AtMost(25.0)]),
        row(Analyte::Ammonium, &[AtMost(0.3), AtMost(0.3), AtMost(0.9), AtMost(0.9)]),
        row(Analyte::Chloride, &[AtMost(250.0), AtMost(350.0), AtMost(350.0), Any]),
        row(Analyte::Nitrate, &[AtMost(2.0), AtMost(5.0), AtMost(10.0), AtMost(15.0)]),
        row(Analyte::Phosphate, &[AtMost(0.1), AtMost(0.2), AtMost(0.3), AtMost(0.5)]),
        row(
            Analyte::Coliform,
            &[AtMost(2_500.0), AtMost(5_000.0), AtMost(7_500.0), AtMost(10_000.0)],
        ),
        row(Analyte::EscherichiaColi, &[AtMost(20.0), AtMost(50.0), AtMost(100.0), AtMost(200.0)]),
    ],
};
