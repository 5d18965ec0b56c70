//! What is tested at each station: the table and the province's book brought together once, so that a report finds its
//! plan by one look. A table that contradicts itself or the book does not load, and the entry is named.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use domain::derived::Derived;
use domain::{Parameter, ParameterCode, Station, StationCode};
use rustc_hash::{FxHashMap, FxHasher};

use super::plan::Bounds;
use super::sound::{check, class, series_name, sites};
use super::table::{Off, SeriesEntry, SiteEntry};
use super::together::Together;
use super::{
    BadTable, Learned, Limits, Reach, SiteClass, StuckClock, Table, TestPlan, defaults, together,
};

/// The tests of every station.
#[derive(Debug, Clone)]
pub struct Plans {
    stations: FxHashMap<StationCode, Arc<StationPlan>>,
    /// Of a station that is not in the book: gross range alone.
    stranger: Arc<StationPlan>,
}

/// The tests of one station.
#[derive(Debug, Clone)]
pub(super) struct StationPlan {
    /// One for each parameter of the book, in its order.
    pub(super) slots: Vec<Slot>,
    by_code: Arc<FxHashMap<ParameterCode, u16>>,
    pub(super) derived: Vec<Derived>,
    pub(super) together: Together,
    pub(super) clock: Option<StuckClock>,
    /// Nothing here needs more than the value itself.
    pub(super) plain: bool,
    /// The longest gap of its series, in milliseconds.
    pub(super) gap_ms: i64,
    pub(super) reach: Reach,
    /// Two plans that test the same have the same.
    pub(super) print: u64,
}

/// The tests of one series.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) parameter: ParameterCode,
    pub(super) tests: Tests,
    /// Does a test over several series look at it?
    pub(super) together: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Tests {
    /// No entry fits: the parameter's gross range.
    Range(Bounds),
    Plan(Arc<TestPlan>),
}

impl Plans {
    /// The tests that a table asks for, of these parameters at these stations.
    ///
    /// # Errors
    /// [`BadTable`] names the first entry that is none.
    pub fn new(
        table: &Table,
        parameters: &[Parameter],
        stations: &[Station],
    ) -> Result<Self, BadTable> {
        let sites = sites(table, stations)?;
        check(table, parameters, stations, &sites)?;
        let codes = parameters.iter().zip(0_u16..).map(|(it, slot)| (it.code.clone(), slot));
        let mut maker = Maker {
            table,
            parameters,
            by_code: Arc::new(codes.collect()),
            made: FxHashMap::default(),
        };
        let site = |station: &Station| sites.get(&station.code).map(|(_, site)| *site);
        let of = |station: &Station| {
            Ok((station.code.clone(), Arc::new(maker.station(station, site(station))?)))
        };
        let stations = stations.iter().map(of).collect::<Result<_, BadTable>>()?;
        Ok(Self { stations, stranger: Arc::new(maker.stranger()) })
    }

    /// How far around readings that came late at a station the caller reads for [`super::settled`], and of each series
    /// the one reading beyond on either side.
    #[must_use]
    pub fn reach(&self, station: &StationCode) -> Reach {
        self.of(station).reach
    }

    /// Is the station in the book that these plans were made of?
    #[must_use]
    pub fn knows(&self, station: &StationCode) -> bool {
        self.stations.contains_key(station)
    }

    /// The plan of a series, if it is tested for more than its gross range.
    #[must_use]
    pub fn plan(&self, station: &StationCode, parameter: &ParameterCode) -> Option<&Arc<TestPlan>> {
        let plan = self.of(station);
        match &plan.slots.get(plan.slot(parameter)?)?.tests {
            Tests::Plan(tests) => Some(tests),
            Tests::Range(_) => None,
        }
    }

    /// Adds a climatology that was learned from a series' history to its tests, in place of one that was learned before.
    /// False where the series is tested for its gross range alone: what nobody typed is not tested. The state of the
    /// station begins anew, as with any other plan.
    pub fn learn(
        &mut self,
        station: &StationCode,
        parameter: &ParameterCode,
        learned: Arc<Learned>,
    ) -> bool {
        let Some(plan) = self.stations.get_mut(station) else { return false };
        let plan = Arc::make_mut(plan);
        let slot = plan.slot(parameter).and_then(|slot| plan.slots.get_mut(slot));
        let Some(Tests::Plan(tests)) = slot.map(|slot| &mut slot.tests) else { return false };
        let mut print = FxHasher::default();
        (plan.print, format!("{parameter} {learned:?}")).hash(&mut print);
        plan.print = print.finish();
        *tests = Arc::new(TestPlan::clone(tests).with_learned(learned));
        true
    }

    pub(super) fn of(&self, station: &StationCode) -> &StationPlan {
        self.stations.get(station).unwrap_or(&self.stranger)
    }
}

impl StationPlan {
    /// Its place among the slots; `None` for a parameter that is not in the book.
    pub(super) fn slot(&self, parameter: &ParameterCode) -> Option<usize> {
        self.by_code.get(parameter).map(|slot| usize::from(*slot))
    }
}

/// Entry, slot, class and interval: what series that are tested alike have in common.
type Like = (usize, u16, SiteClass, u32);

/// Who makes the plans: one for all series that are tested alike.
struct Maker<'a> {
    table: &'a Table,
    parameters: &'a [Parameter],
    by_code: Arc<FxHashMap<ParameterCode, u16>>,
    made: FxHashMap<Like, (Arc<TestPlan>, u64)>,
}

impl Maker<'_> {
    fn station(
        &mut self,
        station: &Station,
        site: Option<&SiteEntry>,
    ) -> Result<StationPlan, BadTable> {
        let class = class(site);
        let (mut slots, mut entries) = (Vec::new(), Vec::new());
        let mut print = FxHasher::default();
        for (at, parameter) in (0_u16..).zip(self.parameters) {
            let entry = chosen(self.table, station, class, parameter);
            let tests = match entry {
                None => Tests::Range(Bounds::of(parameter)),
                Some(entry) => Tests::Plan(self.plan(entry, at, station, class, &mut print)?),
            };
            if let Tests::Range(bounds) = &tests {
                format!("{bounds:?}").hash(&mut print);
            }
            slots.push(Slot { parameter: parameter.code.clone(), tests, together: false });
            entries.push(entry.map(|entry| &self.table.series[entry]));
        }
        let derived = station.profile.derived.clone();
        let asked = together::Asked {
            slots: &slots,
            entries: &entries,
            site,
            derived: &derived,
            by_code: &self.by_code,
        };
        let together = Together::new(&asked);
        for slot in together.slots() {
            slots[usize::from(slot)].together = true;
        }
        format!("{together:?}").hash(&mut print);
        Ok(self.whole(slots, derived, together, print.finish()))
    }

    fn stranger(&self) -> StationPlan {
        let slot = |parameter: &Parameter| Slot {
            parameter: parameter.code.clone(),
            tests: Tests::Range(Bounds::of(parameter)),
            together: false,
        };
        let slots = self.parameters.iter().map(slot).collect();
        self.whole(slots, Vec::new(), Together::default(), 0)
    }

    fn whole(
        &self,
        slots: Vec<Slot>,
        derived: Vec<Derived>,
        together: Together,
        print: u64,
    ) -> StationPlan {
        let plans = || {
            slots.iter().filter_map(|slot| match &slot.tests {
                Tests::Plan(plan) => Some(plan),
                Tests::Range(_) => None,
            })
        };
        let plain = plans().next().is_none() && together.slots().next().is_none();
        let gap_ms = plans().map(|plan| plan.gap_ms).max().unwrap_or(0);
        let longest = plans().map(|plan| plan.reach().before).max().unwrap_or(Duration::ZERO);
        let reach = longest + Duration::from_millis(gap_ms.unsigned_abs());
        StationPlan {
            by_code: Arc::clone(&self.by_code),
            clock: self.table.stuck_clock.filter(|_| !plain),
            reach: Reach { before: reach, after: reach },
            slots,
            derived,
            together,
            plain,
            gap_ms,
            print,
        }
    }

    fn plan(
        &mut self,
        entry: usize,
        slot: u16,
        station: &Station,
        class: SiteClass,
        print: &mut FxHasher,
    ) -> Result<Arc<TestPlan>, BadTable> {
        let interval_s = u32::try_from(station.interval.as_secs()).unwrap_or(u32::MAX);
        let key = (entry, slot, class, interval_s);
        if !self.made.contains_key(&key) {
            let parameter = &self.parameters[usize::from(slot)];
            let limits = limits(&self.table.series[entry], parameter, class, interval_s);
            let plan = TestPlan::new(&limits).map_err(|source| BadTable::Limits {
                entry: series_name(self.table, entry),
                parameter: parameter.code.clone(),
                station: station.code.clone(),
                source,
            })?;
            let mut one = FxHasher::default();
            format!("{limits:?}").hash(&mut one);
            self.made.insert(key, (Arc::new(plan), one.finish()));
        }
        let (plan, one) = &self.made[&key];
        one.hash(print);
        Ok(Arc::clone(plan))
    }
}

fn limits(entry: &SeriesEntry, parameter: &Parameter, class: SiteClass, interval_s: u32) -> Limits {
    let defaults = defaults(parameter, class, interval_s);
    let gross_alone =
        || Limits { gross: defaults.gross, gap_s: defaults.gap_s, ..Limits::none(interval_s) };
    entry.over(if entry.defaults { defaults.clone() } else { gross_alone() })
}

/// The first entry that fits.
fn chosen(
    table: &Table,
    station: &Station,
    class: SiteClass,
    parameter: &Parameter,
) -> Option<usize> {
    table.series.iter().position(|entry| fits(entry, station, class, parameter))
}

fn fits(entry: &SeriesEntry, station: &Station, class: SiteClass, parameter: &Parameter) -> bool {
    let stations = entry.stations.as_ref();
    entry.parameter.as_ref().is_none_or(|code| code == parameter.code.as_str())
        && stations.is_none_or(|them| them.iter().any(|code| code == station.code.as_str()))
        && entry.site.is_none_or(|site| site == class)
}

impl Slot {
    /// What a value says by itself: the range that a derived quantity asks of its inputs.
    pub(super) fn range(&self) -> Bounds {
        match &self.tests {
            Tests::Range(bounds) => *bounds,
            Tests::Plan(plan) => plan.gross.unwrap_or(Bounds::NONE),
        }
    }
}

/// May this test over several series look at it?
pub(super) fn asks(entry: Option<&SeriesEntry>, off: Off) -> bool {
    entry.is_some_and(|entry| entry.defaults && !entry.is_off(off))
}
