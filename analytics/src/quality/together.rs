//! The tests over several series of one station, on what it measured at one time. What they say is a function of that
//! time's values and of the flags that each had by itself, so that it does not matter in which order they came.

use domain::derived::Derived;
use domain::seawater::SalinityMethod;
use domain::{Flag, ParameterCode, QualityTest, Range, TestFlags};
use rustc_hash::FxHashMap;

use super::plans::{Slot, Tests, asks};
use super::table::{Off, SeriesEntry, SiteEntry};
use super::{Consistency, Exposure, Swapped, Witness};

/// One value of a station at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) slot: u16,
    pub(super) value: Option<f64>,
    /// What the sensor said.
    pub(super) said: Flag,
    /// Its flags by its own series.
    pub(super) own: TestFlags,
    /// And with those of the tests over several.
    pub(super) shown: TestFlags,
}

/// Which of them a station's series make possible.
#[derive(Debug, Clone, Default)]
pub(super) struct Together {
    consistency: Option<Salt>,
    swapped: Vec<([u16; 2], Swapped)>,
    exposure: Option<Air>,
    /// What is made, of what; in the order of the declarations.
    inputs: Vec<(u16, Vec<u16>)>,
}

#[derive(Debug, Clone)]
struct Salt {
    salinity: u16,
    conductivity: u16,
    temperature: u16,
    limits: Consistency,
    method: SalinityMethod,
}

#[derive(Debug, Clone)]
struct Air {
    level: u16,
    /// What hangs there.
    probes: Vec<u16>,
    limits: Exposure,
}

/// What it is made of.
pub(super) struct Asked<'a> {
    pub(super) slots: &'a [Slot],
    /// The table's entry of each slot.
    pub(super) entries: &'a [Option<&'a SeriesEntry>],
    pub(super) site: Option<&'a SiteEntry>,
    pub(super) derived: &'a [Derived],
    pub(super) by_code: &'a FxHashMap<ParameterCode, u16>,
}

/// What a probe in the water measures.
const IN_WATER: [&str; 9] = [
    "salinity",
    "conductivity",
    "conductivity_25",
    "water_temperature",
    "ph",
    "dissolved_oxygen",
    "turbidity",
    "ammonium",
    "nitrate",
];

impl Together {
    pub(super) fn new(asked: &Asked<'_>) -> Self {
        let all = Self {
            consistency: salt(asked),
            swapped: swapped(asked),
            exposure: air(asked),
            inputs: Vec::new(),
        };
        // Without a single test a report is judged value by value, as without a table.
        let tested = asked.entries.iter().any(Option::is_some) || all.slots().next().is_some();
        Self { inputs: if tested { inputs(asked) } else { Vec::new() }, ..all }
    }

    /// The series that they look at; one may come twice.
    pub(super) fn slots(&self) -> impl Iterator<Item = u16> + '_ {
        let salt = self.consistency.iter();
        let air = self.exposure.iter();
        let made = self.inputs.iter();
        salt.flat_map(|it| [it.salinity, it.conductivity, it.temperature])
            .chain(self.swapped.iter().flat_map(|(slots, _)| *slots))
            .chain(air.flat_map(|it| it.probes.iter().copied().chain([it.level])))
            .chain(made.flat_map(|(made, of)| of.iter().copied().chain([*made])))
    }

    /// Says of each value of one time what it is beside the others. A test speaks where all that it asks was measured.
    pub(super) fn judge(&self, cells: &mut [Cell]) {
        for cell in &mut *cells {
            cell.shown = cell.own;
        }
        if let Some(salt) = &self.consistency {
            salt.judge(cells);
        }
        for (slots, swapped) in &self.swapped {
            exchanged(*slots, swapped, cells);
        }
        if let Some(air) = &self.exposure {
            air.judge(cells);
        }
        for (made, of) in &self.inputs {
            trust(*made, of, cells);
        }
    }
}

impl Salt {
    fn judge(&self, cells: &mut [Cell]) {
        let witness = |slot| find(cells, slot).map(|at| witness(&cells[at]));
        let heard = witness(self.conductivity).zip(witness(self.temperature));
        let Some((at, (conductivity, temperature))) = find(cells, self.salinity).zip(heard) else {
            return;
        };
        let method = |ec, water_c| self.method.salinity(ec, water_c).map(|it| it.value);
        let flag = self.limits.judge(cells[at].value, conductivity, temperature, method);
        put(&mut cells[at], QualityTest::Multivariate, flag);
    }
}

impl Air {
    fn judge(&self, cells: &mut [Cell]) {
        let Some(level) = find(cells, self.level) else { return };
        let flag = self.limits.judge(witness(&cells[level]));
        for cell in cells.iter_mut().filter(|cell| self.probes.contains(&cell.slot)) {
            put(cell, QualityTest::Exposure, flag);
        }
    }
}

/// Both columns, if both were there. A good value is in its own range, so that no bad one accuses it.
fn exchanged([first, second]: [u16; 2], test: &Swapped, cells: &mut [Cell]) {
    let Some((first, second)) = find(cells, first).zip(find(cells, second)) else { return };
    let flag = test.judge(cells[first].value, cells[second].value);
    for at in [first, second] {
        let before = cells[at].shown.get(QualityTest::SwappedColumns);
        let worst = before.map_or(flag, |before| before.worse(flag));
        put(&mut cells[at], QualityTest::SwappedColumns, worst);
    }
}

/// What is made is trusted as far as what it is made of: those of its inputs that have a value.
fn trust(made: u16, of: &[u16], cells: &mut [Cell]) {
    let Some(at) = find(cells, made) else { return };
    let inputs = of.iter().filter_map(|&slot| find(cells, slot)).map(|at| cells[at]);
    let flags = inputs.filter(|cell| cell.value.is_some()).map(|cell| cell.shown.worst());
    let flag = Flag::composed(flags);
    if flag != Flag::Missing {
        put(&mut cells[at], QualityTest::Inputs, flag);
    }
}

fn find(cells: &[Cell], slot: u16) -> Option<usize> {
    cells.iter().position(|cell| cell.slot == slot)
}

const fn put(cell: &mut Cell, test: QualityTest, flag: Flag) {
    cell.shown = cell.shown.with(test, flag);
}

fn witness(cell: &Cell) -> Witness {
    Witness { value: cell.value, flag: cell.own.worst() }
}

fn slot(asked: &Asked<'_>, code: &str) -> Option<u16> {
    asked.by_code.get(code).copied()
}

/// A salinity that is made here of the same two is in agreement with them by itself.
fn salt(asked: &Asked<'_>) -> Option<Salt> {
    let salinity = slot(asked, "salinity")?;
    let made = asked.derived.iter().any(|it| it.parameter().as_str() == "salinity");
    let entry = asked.entries[usize::from(salinity)];
    let method = asked.site.and_then(|site| site.salinity_method.as_ref());
    (!made && asks(entry, Off::Multivariate)).then_some(Salt {
        salinity,
        conductivity: slot(asked, "conductivity")?,
        temperature: slot(asked, "water_temperature")?,
        limits: asked.site.and_then(|site| site.consistency).unwrap_or_default(),
        method: method.and_then(|it| it.parse().ok()).unwrap_or(SalinityMethod::Practical),
    })
}

/// Pairs of which nobody can mistake the one for the other: their usual ranges have nothing in common.
fn swapped(asked: &Asked<'_>) -> Vec<([u16; 2], Swapped)> {
    let usual = |(at, slot): (u16, &Slot)| {
        let Tests::Plan(plan) = &slot.tests else { return None };
        let asked = asks(asked.entries[usize::from(at)], Off::SwappedColumns);
        Some((at, plan.gross?.suspect.filter(|_| asked)?))
    };
    let all: Vec<(u16, Range)> = (0..).zip(asked.slots).filter_map(usual).collect();
    let apart = |a: Range, b: Range| a.high < b.low || b.high < a.low;
    let pairs = all.iter().enumerate().flat_map(|(at, one)| {
        all[at + 1..].iter().filter(|other| apart(one.1, other.1)).map(|other| (*one, *other))
    });
    pairs
        .map(|(one, other)| ([one.0, other.0], Swapped { first: one.1, second: other.1 }))
        .collect()
}

fn air(asked: &Asked<'_>) -> Option<Air> {
    let limits = asked.site?.exposure?;
    let level = slot(asked, "water_level")?;
    let is_on = |slot: &u16| {
        asked.entries[usize::from(*slot)].is_none_or(|entry| !entry.is_off(Off::Exposure))
    };
    let probes = IN_WATER.iter().filter_map(|code| slot(asked, code)).filter(is_on).collect();
    Some(Air { level, probes, limits })
}

fn inputs(asked: &Asked<'_>) -> Vec<(u16, Vec<u16>)> {
    let of = |derived: &Derived| {
        let made = *asked.by_code.get(derived.parameter())?;
        let of = derived.inputs().iter().filter_map(|it| asked.by_code.get(it).copied());
        Some((made, of.collect()))
    };
    asked.derived.iter().filter_map(of).collect()
}
