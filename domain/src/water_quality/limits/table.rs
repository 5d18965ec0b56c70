//! What a table of limits is, and what it says of a sample.

use jiff::civil::Date;

use crate::water_quality::{Analyte, Sample};

/// What the amount may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// This much and less.
    AtMost(f64),
    /// This much and more.
    AtLeast(f64),
    /// From the one to the other, ends included.
    Between(f64, f64),
    /// The table says nothing here.
    Any,
}

/// How sure a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sureness {
    /// Read in a public copy of the regulation.
    Read,
    /// Read in a copy whose columns had lost their order, or known in general: look it up before it is shown as law.
    Verify,
}

/// What one analyte may be, column by column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitRow {
    /// Of what.
    pub analyte: Analyte,
    /// One for each column of the table, the strictest first.
    pub bounds: &'static [Bound],
    /// How sure it is.
    pub sureness: Sureness,
}

/// What a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Limits that protect people's health, whatever the water is used for.
    Health,
    /// Classes of the quality of rivers and canals.
    Classes,
}

/// A table of limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Table {
    /// The name of the regulation and of the table in it.
    pub name: &'static str,
    /// Where its numbers were read.
    pub source: &'static str,
    /// What it is for.
    pub purposes: &'static [Purpose],
    /// The first day that it was in force.
    pub from: Date,
    /// The first day that it no longer was; `None` as long as it is.
    pub until: Option<Date>,
    /// The names of its columns, the strictest first.
    pub columns: &'static [&'static str],
    /// What water is called that is outside of all columns.
    pub beyond: &'static str,
    /// Its rows.
    pub rows: &'static [LimitRow],
}

/// The first column of a table that an amount is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// This column, counted from 0, the strictest.
    Column(usize),
    /// None of them.
    Beyond,
}

/// What a table says of a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The worst of what was measured: it decides.
    pub grade: Grade,
    /// Each analyte's own, and how sure its row is.
    pub each: Vec<(Analyte, Grade, Sureness)>,
    /// What the table asks for and was not measured: with it the grade can only be worse.
    pub unmeasured: Vec<Analyte>,
    /// Values that no water can have; they are not judged.
    pub not_a_value: Vec<Analyte>,
}

impl Bound {
    /// Is the amount inside?
    #[must_use]
    pub fn holds(self, amount: f64) -> bool {
        match self {
            Self::AtMost(limit) => amount <= limit,
            Self::AtLeast(limit) => limit <= amount,
            Self::Between(low, high) => low <= amount && amount <= high,
            Self::Any => true,
        }
    }
}

impl Table {
    /// Was it in force on this day, by the calendar of Vietnam?
    #[must_use]
    pub fn holds_on(&self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|until| day < until)
    }

    /// The name of a grade.
    #[must_use]
    pub fn name_of(&self, grade: Grade) -> &'static str {
        match grade {
            Grade::Column(column) => self.columns.get(column).copied().unwrap_or(self.beyond),
            Grade::Beyond => self.beyond,
        }
    }

    /// What it allows of an analyte in a column; `None` where it has no such row or column.
    #[must_use]
    pub fn bound(&self, analyte: Analyte, column: &str) -> Option<Bound> {
        let column = self.columns.iter().position(|name| *name == column)?;
        self.rows.iter().find(|row| row.analyte == analyte)?.bounds.get(column).copied()
    }

    /// The grade of a sample; `None` where nothing of it is in the table.
    #[must_use]
    pub fn judge(&self, sample: &Sample) -> Option<Judgement> {
        let (mut each, mut unmeasured, mut not_a_value) = (Vec::new(), Vec::new(), Vec::new());
        for row in self.rows {
            match sample.get(&row.analyte) {
                Some(&amount) if row.analyte.can_be(amount) => {
                    each.push((row.analyte, row.grade(amount), row.sureness));
                }
                Some(_) => not_a_value.push(row.analyte),
                None => unmeasured.push(row.analyte),
            }
        }
        let grade = each.iter().map(|(_, grade, _)| *grade).max()?;
        Some(Judgement { grade, each, unmeasured, not_a_value })
    }
}

impl LimitRow {
    fn grade(&self, amount: f64) -> Grade {
        let inside = self.bounds.iter().position(|bound| bound.holds(amount));
        inside.map_or(Grade::Beyond, Grade::Column)
    }
}
