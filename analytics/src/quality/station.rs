//! One station as it reports: a stream for each series, and the last times whose values may still be changed by what
//! comes, a spike seen from behind or the rest of a report that came in pieces.

use domain::{Admitted, Flag, ParameterCode, QualityTest, TestFlags, Timestamp};

use super::plans::{Slot, StationPlan, Tests};
use super::saved::{Digit, Millis, Number, Word, in_order};
use super::stream::{by_itself, said};
use super::together::Cell;
use super::{ClockWatch, Judged, Point, Pushed, Revised, Revision, Stream, Unsettled};

/// Times of a station that are kept because a series is not there yet: as many as a second logger may be behind.
const ROWS_WAITING: usize = 3;

/// The state of one station.
#[derive(Debug, Clone, Default)]
pub(super) struct StationState {
    /// Of the plan that it was made by.
    print: u64,
    series: Vec<Series>,
    /// Oldest first.
    rows: Vec<Row>,
    /// The most values that one time had.
    wide: u16,
    watch: ClockWatch,
    seq: Option<u64>,
    unsettled: Option<Unsettled>,
    /// It began without what was before, and was never settled since: the record may be ahead of it.
    anew: bool,
    /// Where the values of the last report stand, by their place in it.
    places: Vec<Place>,
    /// Cells of a row that is over, for the next one.
    spare: Vec<Cell>,
}

#[derive(Debug, Clone)]
struct Series {
    slot: u16,
    stream: Stream,
}

/// What was measured at one time.
#[derive(Debug, Clone, Default)]
struct Row {
    at: Timestamp,
    cells: Vec<Cell>,
    /// How many of them were told before this report.
    told: u16,
    touched: bool,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    slot: u16,
    series: u16,
}

impl Place {
    /// Of a parameter that is not in the book.
    const NOWHERE: Self = Self { slot: u16::MAX, series: 0 };
}

in_order!(Series { slot: u16, stream: Stream });
in_order!(Cell { slot: u16, value: Option<Number>, said: Digit, own: Word, shown: Word });
in_order!(Unsettled { from: Millis, to: Millis });

type SavedRow = (i64, Vec<Cell>);

impl serde::Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.at.as_millis(), &self.cells).serialize(to)
    }
}

impl<'de> serde::Deserialize<'de> for Row {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (at, cells): SavedRow = serde::Deserialize::deserialize(from)?;
        let told = u16::try_from(cells.len()).unwrap_or(u16::MAX);
        Ok(Self { at: Timestamp::from_millis(at), cells, told, touched: false })
    }
}

impl serde::Serialize for StationState {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { print, series, rows, wide, watch, seq, unsettled, anew, places: _, spare: _ } =
            self;
        (print, series, rows, wide, watch, seq, unsettled, anew).serialize(to)
    }
}

impl<'de> serde::Deserialize<'de> for StationState {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (print, series, rows, wide, watch, seq, unsettled, anew) =
            serde::Deserialize::deserialize(from)?;
        let (places, spare) = (Vec::new(), Vec::new());
        Ok(Self { print, series, rows, wide, watch, seq, unsettled, anew, places, spare })
    }
}

/// One value of a report.
#[derive(Clone, Copy)]
struct Value {
    place: usize,
    row: Option<usize>,
    point: Point,
    clock: Option<Flag>,
}

impl StationState {
    /// Begins anew where the plan is another than the one that this state was made by.
    pub(super) fn follow(&mut self, plan: &StationPlan) {
        if self.print != plan.print {
            let (print, unsettled) = (plan.print, self.unsettled);
            *self = Self { print, unsettled, anew: true, ..Self::default() };
        }
    }

    /// Judges what a report says, `said` by its sensors.
    pub(super) fn judge(
        &mut self,
        plan: &StationPlan,
        admitted: &Admitted,
        said: &[Flag],
        out: &mut Judged,
    ) {
        let at = admitted.taken_at;
        if self.anew {
            self.unsettle(at);
        }
        let clock = self.clock(plan, admitted, said);
        let row = self.row(at);
        for (place, (measured, &said)) in admitted.values.iter().zip(said).enumerate() {
            let point = Point { at, value: measured.value, said };
            let value = Value { place, row, point, clock };
            let flags = match self.place(plan, place, &measured.parameter) {
                Some(place) => self.value(plan, place, value, out),
                None => stranger(point),
            };
            out.flags.push(flags);
        }
        self.bring_together(plan, out);
        self.tell(row, admitted, out);
        self.close_rows(plan);
    }

    /// A span of time whose flags wait for [`super::Live::settle`].
    pub(super) fn unsettle(&mut self, at: Timestamp) {
        let span = self.unsettled.get_or_insert(Unsettled { from: at, to: at });
        (span.from, span.to) = (span.from.min(at), span.to.max(at));
    }

    pub(super) const fn unsettled(&self) -> Option<Unsettled> {
        self.unsettled
    }

    /// Nothing of this span waits any more; what the store is ahead by does.
    pub(super) fn settle(&mut self, span: Unsettled, ahead: Option<Timestamp>) {
        self.unsettled = self.unsettled.and_then(|all| all.without(span));
        ahead.into_iter().for_each(|at| self.unsettle(at));
        self.anew &= self.unsettled.is_some();
    }

    pub(super) fn series(&self) -> usize {
        self.series.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let streams = self
            .series
            .iter()
            .map(|it| it.stream.bytes() - size_of::<Stream>() + size_of::<Series>());
        let cells = self.rows.iter().map(|row| row.cells.capacity()).sum::<usize>();
        let spare = self.series.capacity() - self.series.len();
        size_of::<Self>()
            + streams.sum::<usize>()
            + spare * size_of::<Series>()
            + (cells + self.spare.capacity()) * size_of::<Cell>()
            + self.rows.capacity() * size_of::<Row>()
            + self.places.capacity() * size_of::<Place>()
    }

    /// Where a value of a report stands, remembered by its place in the report.
    fn place(
        &mut self,
        plan: &StationPlan,
        place: usize,
        parameter: &ParameterCode,
    ) -> Option<Place> {
        let known = self.places.get(place).copied();
        let slot_of = |it: &Place| plan.slots.get(usize::from(it.slot));
        if let Some(known) =
            known.filter(|it| slot_of(it).is_some_and(|it| it.parameter == *parameter))
        {
            return Some(known);
        }
        let found = plan.slot(parameter).and_then(|at| {
            let tested = matches!(plan.slots[at].tests, Tests::Plan(_));
            let slot = u16::try_from(at).ok()?;
            Some(Place { slot, series: if tested { self.series_of(slot) } else { 0 } })
        });
        if self.places.len() <= place {
            self.places.resize(place + 1, Place::NOWHERE);
        }
        self.places[place] = found.unwrap_or(Place::NOWHERE);
        found
    }

    fn series_of(&mut self, slot: u16) -> u16 {
        let at = self.series.iter().position(|it| it.slot == slot).unwrap_or_else(|| {
            self.series.reserve_exact(1);
            self.series.push(Series { slot, stream: Stream::default() });
            self.series.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// The row of a time: a new one for the newest, none where it was closed already.
    fn row(&mut self, at: Timestamp) -> Option<usize> {
        if self.rows.last().is_none_or(|newest| newest.at < at) {
            let cells = std::mem::take(&mut self.spare);
            self.rows.push(Row { at, cells, told: 0, touched: false });
            return Some(self.rows.len() - 1);
        }
        self.rows.iter().rposition(|row| row.at == at)
    }

    fn value(
        &mut self,
        plan: &StationPlan,
        place: Place,
        value: Value,
        out: &mut Judged,
    ) -> TestFlags {
        let slot = &plan.slots[usize::from(place.slot)];
        if !slot.is_kept() {
            return slot.by_itself(value.point);
        }
        let there = value.row.and_then(|row| self.rows[row].cell(place.slot));
        if let Some(cell) = there {
            let again = same(cell, value.point) && value.clock.is_none();
            return if again { cell.shown } else { self.late(slot, value, out) };
        }
        let own = match &slot.tests {
            Tests::Range(_) => slot.by_itself(value.point),
            Tests::Plan(tests) => {
                let stream = &mut self.series[usize::from(place.series)].stream;
                match stream.push(tests, value.point) {
                    Pushed::Late => return self.late(slot, value, out),
                    Pushed::Judged { now, revised } => {
                        if let Some(it) = revised {
                            self.revise(slot, place.slot, it, out);
                        }
                        now
                    }
                }
            }
        };
        self.enter(place.slot, own, value, out);
        own
    }

    /// What it says by itself; the rest when it is settled.
    fn late(&mut self, slot: &Slot, value: Value, out: &mut Judged) -> TestFlags {
        self.unsettle(value.point.at);
        out.late.push(value.place);
        let flags = slot.by_itself(value.point);
        value.clock.map_or(flags, |stuck| flags.with(QualityTest::StuckClock, stuck))
    }

    /// Puts it beside what was measured at its time. Where that is closed already, nobody here knows the others.
    fn enter(&mut self, at: u16, own: TestFlags, value: Value, out: &mut Judged) {
        let Some(row) = value.row else {
            self.unsettle(value.point.at);
            out.late.push(value.place);
            return;
        };
        let Point { value, said, .. } = value.point;
        let row = &mut self.rows[row];
        row.cells.push(Cell { slot: at, value, said, own, shown: own });
        row.touched = true;
    }

    /// What the newest value tells of the one before it.
    fn revise(&mut self, slot: &Slot, at: u16, revision: Revision, out: &mut Judged) {
        let row = self.rows.iter_mut().rfind(|row| row.at == revision.at);
        let flags = match row.and_then(|row| row.revise(at, revision.flags)) {
            Some(flags) => flags,
            None if slot.together => return self.unsettle(revision.at),
            None => Some(revision.flags),
        };
        out.revised.extend(flags.map(|flags| Revised {
            parameter: slot.parameter.clone(),
            taken_at: revision.at,
            flags,
        }));
    }

    /// Compares the values of each time at which something changed; what was told before and is otherwise now is told.
    fn bring_together(&mut self, plan: &StationPlan, out: &mut Judged) {
        for row in self.rows.iter_mut().filter(|row| row.touched) {
            out.was.clear();
            out.was.extend(row.cells.iter().map(|cell| cell.shown));
            plan.together.judge(&mut row.cells);
            let told = row.cells.iter().zip(&out.was).take(usize::from(row.told));
            for (cell, _) in told.filter(|(cell, was)| cell.shown != **was) {
                out.revised.push(Revised {
                    parameter: plan.slots[usize::from(cell.slot)].parameter.clone(),
                    taken_at: row.at,
                    flags: cell.shown,
                });
            }
            row.told = u16::try_from(row.cells.len()).unwrap_or(u16::MAX);
            row.touched = false;
            self.wide = self.wide.max(row.told);
        }
    }

    /// Gives the values of this report the flags that they have beside each other.
    fn tell(&self, row: Option<usize>, admitted: &Admitted, out: &mut Judged) {
        let Some(row) = row.map(|row| &self.rows[row]) else { return };
        for (place, known) in self.places.iter().enumerate().take(admitted.values.len()) {
            if let Some(cell) = row.cell(known.slot)
                && !out.late.contains(&place)
                && let Some(flags) = out.flags.get_mut(place)
            {
                *flags = cell.shown;
            }
        }
    }

    /// Lets go the times that nothing can change any more.
    fn close_rows(&mut self, plan: &StationPlan) {
        let Some(newest) = self.rows.last().map(|row| row.at) else { return };
        let mut at = 0;
        while at + 1 < self.rows.len() {
            let row = &self.rows[at];
            let near = newest.since(row.at).as_millis() <= u128::from(plan.gap_ms.unsigned_abs());
            let open = || self.series.iter().any(|it| it.stream.open() == Some(row.at));
            let waits = row.told < self.wide && self.rows.len() - at <= ROWS_WAITING;
            if near && (waits || open()) {
                at += 1;
            } else {
                self.spare = self.rows.remove(at).cells;
                self.spare.clear();
            }
        }
    }

    /// The flag of a clock that stands: of a report with a time that was there, and other values. A packet that comes
    /// twice is not one, nor the rest of a report that comes in pieces.
    fn clock(&mut self, plan: &StationPlan, admitted: &Admitted, said: &[Flag]) -> Option<Flag> {
        let limits = plan.clock.filter(|_| !admitted.replay)?;
        let newest = self.rows.last().map(|row| row.at);
        let counted = match newest {
            Some(newest) if admitted.taken_at < newest => false,
            Some(newest) if admitted.taken_at == newest => self.repeats(plan, admitted, said),
            _ => true,
        };
        self.seq = admitted.seq;
        let step = || self.watch.step(limits, admitted.taken_at, admitted.received_at);
        let flag = counted.then(step)?;
        matches!(flag, Flag::Suspect | Flag::Bad).then_some(flag)
    }

    fn repeats(&self, plan: &StationPlan, admitted: &Admitted, said: &[Flag]) -> bool {
        let Some(row) = self.rows.last() else { return false };
        let counts_on = admitted.seq.is_some() && admitted.seq != self.seq;
        admitted.values.iter().zip(said).any(|(measured, &said)| {
            let slot = plan.slot(&measured.parameter).and_then(|slot| u16::try_from(slot).ok());
            let cell = slot.and_then(|slot| row.cell(slot));
            let point = Point { at: row.at, value: measured.value, said };
            cell.is_some_and(|cell| counts_on || !same(cell, point))
        })
    }

    /// Takes over streams and rows that were made of the record; see [`super::Live::settle`].
    pub(super) fn take_over(&mut self, slot: u16, stream: Stream) {
        let at = usize::from(self.series_of(slot));
        self.series[at].stream = stream;
    }

    /// The time of the newest reading of a series.
    pub(super) fn newest(&self, slot: u16) -> Option<Timestamp> {
        self.series.iter().find(|it| it.slot == slot)?.stream.newest()
    }

    /// The times of which the state knows the values, or that a stream may still revise.
    pub(super) fn open_times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let rows = self.rows.iter().map(|row| row.at);
        rows.chain(self.series.iter().filter_map(|it| it.stream.open()))
    }

    /// Puts the values of a time in the place of what was known of it.
    pub(super) fn take_over_row(
        &mut self,
        plan: &StationPlan,
        at: Timestamp,
        mut cells: Vec<Cell>,
    ) {
        plan.together.judge(&mut cells);
        let told = u16::try_from(cells.len()).unwrap_or(u16::MAX);
        self.wide = self.wide.max(told);
        let place = self.rows.partition_point(|row| row.at < at);
        let row = Row { at, cells, told, touched: false };
        match self.rows.get_mut(place).filter(|it| it.at == at) {
            Some(there) => *there = row,
            None => self.rows.insert(place, row),
        }
    }

    /// After everything was taken over.
    pub(super) fn taken_over(&mut self, plan: &StationPlan) {
        self.close_rows(plan);
    }
}

impl Row {
    fn cell(&self, slot: u16) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.slot == slot)
    }

    /// New flags of a series by itself; `None` where it is not here. Its flags beside the others are given, unless they
    /// are to be compared again because it is heard otherwise now.
    fn revise(&mut self, slot: u16, own: TestFlags) -> Option<Option<TestFlags>> {
        let cell = self.cells.iter_mut().find(|cell| cell.slot == slot)?;
        let own = arrived(cell.own, own);
        if own.worst() == cell.own.worst() {
            (cell.own, cell.shown) = (own, beside(cell.shown, own));
            return Some(Some(cell.shown));
        }
        cell.own = own;
        self.touched = true;
        Some(None)
    }
}

impl Slot {
    /// Is it remembered? What is tested for its range alone and looked at by nobody is not.
    pub(super) const fn is_kept(&self) -> bool {
        self.together || matches!(self.tests, Tests::Plan(_))
    }

    /// What a value tells without any other.
    pub(super) fn by_itself(&self, point: Point) -> TestFlags {
        match &self.tests {
            Tests::Plan(plan) => by_itself(plan, point),
            Tests::Range(bounds) => {
                said(point).with(QualityTest::GrossRange, bounds.flag(point.value))
            }
        }
    }
}

/// A value of a parameter that is not in the book.
pub(super) fn stranger(point: Point) -> TestFlags {
    let range = super::plan::Bounds::NONE.flag(point.value);
    said(point).with(QualityTest::GrossRange, range)
}

/// New flags, with what the tests said that look at how a reading came and not at the record.
pub(super) fn arrived(before: TestFlags, now: TestFlags) -> TestFlags {
    const OF_ARRIVAL: [QualityTest; 4] = [
        QualityTest::Syntax,
        QualityTest::Location,
        QualityTest::Neighbour,
        QualityTest::StuckClock,
    ];
    keep(OF_ARRIVAL, before, now)
}

/// New flags of its own series, with what the tests over several said.
fn beside(before: TestFlags, own: TestFlags) -> TestFlags {
    const OF_SEVERAL: [QualityTest; 4] = [
        QualityTest::Multivariate,
        QualityTest::SwappedColumns,
        QualityTest::Exposure,
        QualityTest::Inputs,
    ];
    keep(OF_SEVERAL, before, own)
}

fn keep(tests: [QualityTest; 4], before: TestFlags, now: TestFlags) -> TestFlags {
    let said = tests.into_iter().filter_map(|test| Some((test, before.get(test)?)));
    said.fold(now, |now, (test, flag)| now.with(test, flag))
}

fn same(cell: &Cell, point: Point) -> bool {
    cell.value.map(f64::to_bits) == point.value.map(f64::to_bits) && cell.said == point.said
}
