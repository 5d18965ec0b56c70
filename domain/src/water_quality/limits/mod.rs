//! What the law says of surface water, and when it said so. A reading of 2022 is judged by the regulation of 2022, so each
//! table has its dates, its source and how sure its numbers are.

mod qcvn_08_2015; // QCVN 08-MT:2015/BTNMT
mod qcvn_08_2023; // QCVN 08:2023/BTNMT
mod table; // what a table is, and what it says of a sample

pub use table::{Bound, Grade, Judgement, LimitRow, Purpose, Sureness, Table};

use jiff::civil::Date;

/// Every table that is known, the oldest first.
pub const TABLES: [&Table; 3] =
    [&qcvn_08_2015::SURFACE_WATER, &qcvn_08_2023::HEALTH, &qcvn_08_2023::CLASSES];

/// The table of this purpose that was in force on a day, by the calendar of Vietnam; `None` where none is known.
#[must_use]
pub fn in_force(purpose: Purpose, on: Date) -> Option<&'static Table> {
    TABLES.into_iter().find(|table| table.purposes.contains(&purpose) && table.holds_on(on))
}

#[cfg(test)]
mod tests;
