//! What late readings change. The flags that a station's record has in the end are a function of the record alone:
//! [`settled`] is that function over a part of it, and says which of the stored flags are others. [`Live::settle`] also
//! makes the streams anew where the late readings lie within reach of the newest.
//!
//! What is read around the late ones ([`Plans::reach`]) is more than what can change by a gap on both sides, so that
//! nothing is judged by a part of what it needs.

use std::time::Duration;

use domain::{Flag, ParameterCode, QualityTest, StationCode, TestFlags, Timestamp};

use super::plans::{StationPlan, Tests};
use super::station::{StationState, arrived};
use super::together::Cell;
use super::{Live, Plans, Point, Revised, Stream, judge};

/// A span of time of one station whose flags wait for late readings to be judged, ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// The oldest of the late readings.
    pub from: Timestamp,
    /// The newest.
    pub to: Timestamp,
}

/// A stored reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// What was measured, and what the sensor said.
    pub point: Point,
    /// The flags that are stored.
    pub flags: TestFlags,
}

impl Kept {
    /// A reading with the flags of its tests; what the sensor said is among them.
    #[must_use]
    pub fn new(at: Timestamp, value: Option<f64>, flags: TestFlags) -> Self {
        let said = flags.get(QualityTest::Sensor).unwrap_or(Flag::NotEvaluated);
        Self { point: Point { at, value, said }, flags }
    }

    /// A reading that was stored with one flag only. What was suspect or bad may have been so by its sensor, which
    /// nobody can tell any more, and stays it.
    #[must_use]
    pub fn with_one_flag(at: Timestamp, value: Option<f64>, flag: Flag) -> Self {
        let said = if flag == Flag::Good { Flag::NotEvaluated } else { flag };
        Self { point: Point { at, value, said }, flags: TestFlags::NONE }
    }
}

impl Unsettled {
    /// The first part of it that is no longer than this, for one reading of a store.
    #[must_use]
    pub fn first(self, longest: Duration) -> Self {
        Self { to: self.to.min(self.from + longest), ..self }
    }
}

/// The flags that are others than what is stored, because readings of `span` came late. `record` is what is stored of
/// the station with the late readings in it: of each parameter, oldest first and one for each time, what lies from
/// `span.from` less [`Plans::reach`] before to `span.to` and as much after, and the one reading beyond on either side.
///
/// What only the coming of a reading tells (a clock that stands) is kept as it is stored.
#[must_use]
pub fn settled(
    plans: &Plans,
    station: &StationCode,
    span: Unsettled,
    record: &[(ParameterCode, Vec<Kept>)],
) -> Vec<Revised> {
    let plan = plans.of(station);
    Record::judged(plan, record).revised(plan, span)
}

impl Live {
    /// As [`settled`], and the state of the station made anew where the late readings lie within reach of what is to
    /// come. The span is settled then; a part of it ([`Unsettled::first`]) leaves the rest.
    ///
    /// Nothing may be judged between reading the record and this.
    pub fn settle(
        &mut self,
        plans: &Plans,
        station: &StationCode,
        span: Unsettled,
        record: &[(ParameterCode, Vec<Kept>)],
    ) -> Vec<Revised> {
        let plan = plans.of(station);
        let record = Record::judged(plan, record);
        let state = self.state_mut(station, plan);
        let ahead = record.ahead(plan, span, state);
        record.rebuild(plan, span, state);
        state.settle(span, ahead);
        record.revised(plan, span)
    }
}

impl Unsettled {
    /// What is left after a part was settled; only its beginning is taken away, so that it stays one span.
    pub(super) fn without(self, part: Self) -> Option<Self> {
        match part.from <= self.from {
            true if self.to <= part.to => None,
            true => Some(Self { from: self.from.max(part.to + Duration::from_millis(1)), ..self }),
            false => Some(self),
        }
    }
}

/// A part of a station's record, judged.
struct Record<'a> {
    series: Vec<Judgement<'a>>,
}

/// One series of it.
struct Judgement<'a> {
    slot: u16,
    kept: &'a [Kept],
    points: Vec<Point>,
    own: Vec<TestFlags>,
}

impl<'a> Record<'a> {
    fn judged(plan: &StationPlan, record: &'a [(ParameterCode, Vec<Kept>)]) -> Self {
        let series = record.iter().filter_map(|(parameter, kept)| {
            let at = plan.slot(parameter)?;
            let slot = &plan.slots[at];
            let points: Vec<Point> = kept.iter().map(|kept| kept.point).collect();
            let own = match &slot.tests {
                Tests::Plan(tests) => judge(tests, &points),
                Tests::Range(_) => points.iter().map(|it| slot.by_itself(*it)).collect(),
            };
            let own = own.iter().zip(kept).map(|(own, kept)| arrived(kept.flags, *own));
            let own = own.collect();
            Some(Judgement { slot: u16::try_from(at).ok()?, kept, points, own })
        });
        Self { series: series.collect() }
    }

    fn revised(&self, plan: &StationPlan, span: Unsettled) -> Vec<Revised> {
        let gap = Duration::from_millis(plan.gap_ms.unsigned_abs());
        let (from, to) = (span.from - gap, span.to + plan.reach.after - gap);
        let mut revised = Vec::new();
        let mut times: Vec<Timestamp> =
            self.series.iter().flat_map(|it| it.within(from, to)).map(|it| it.point.at).collect();
        times.sort_unstable();
        times.dedup();
        for at in times {
            let mut cells = self.cells(at);
            plan.together.judge(&mut cells);
            for cell in &cells {
                self.compare(plan, at, cell.slot, cell.shown, &mut revised);
            }
        }
        self.after_a_gap(plan, to, &mut revised);
        revised
    }

    fn compare(
        &self,
        plan: &StationPlan,
        at: Timestamp,
        slot: u16,
        flags: TestFlags,
        revised: &mut Vec<Revised>,
    ) {
        let series = self.series.iter().find(|it| it.slot == slot);
        let stored = series.and_then(|it| Some(it.kept[it.place(at)?].flags));
        if stored.is_some_and(|stored| stored != flags) {
            let parameter = plan.slots[usize::from(slot)].parameter.clone();
            revised.push(Revised { parameter, taken_at: at, flags });
        }
    }

    /// Of the first reading behind all that can change, only that there was one before it: its gap.
    fn after_a_gap(&self, plan: &StationPlan, to: Timestamp, revised: &mut Vec<Revised>) {
        for it in &self.series {
            let at = it.kept.partition_point(|kept| kept.point.at <= to);
            let Some((kept, own)) = it.kept.get(at).zip(it.own.get(at)) else { continue };
            let timing = own.get(QualityTest::Timing).filter(|_| kept.flags != TestFlags::NONE);
            if let Some(timing) = timing {
                let flags = kept.flags.with(QualityTest::Timing, timing);
                self.compare(plan, kept.point.at, it.slot, flags, revised);
            }
        }
    }

    fn cells(&self, at: Timestamp) -> Vec<Cell> {
        let cell = |it: &Judgement<'_>| {
            let place = it.place(at)?;
            let (Point { value, said, .. }, own) = (it.points[place], it.own[place]);
            Some(Cell { slot: it.slot, value, said, own, shown: own })
        };
        self.series.iter().filter_map(cell).collect()
    }

    /// The farthest reading that lies beyond what was read and that the state does not know: it began without it, and
    /// there may be more behind.
    fn ahead(
        &self,
        plan: &StationPlan,
        span: Unsettled,
        state: &StationState,
    ) -> Option<Timestamp> {
        let read = span.to + plan.reach.after;
        let last = |it: &Judgement<'_>| {
            let tested = matches!(plan.slots[usize::from(it.slot)].tests, Tests::Plan(_));
            let last = it.points.last().filter(|last| tested && read < last.at)?;
            state.newest(it.slot).is_none_or(|known| known < last.at).then_some(last.at)
        };
        self.series.iter().filter_map(last).max()
    }

    /// Streams of the series whose newest reading is in this part, and the times that are still open.
    fn rebuild(&self, plan: &StationPlan, span: Unsettled, state: &mut StationState) {
        let mut newest = None;
        for it in &self.series {
            let slot = &plan.slots[usize::from(it.slot)];
            let Some(last) = it.points.last().filter(|_| slot.is_kept()) else { continue };
            newest = newest.max(Some(last.at));
            // A stream that ends before the span is as it was, and perhaps only its last reading is here.
            let here = state.newest(it.slot).is_none_or(|known| known.max(span.from) <= last.at);
            if let Tests::Plan(tests) = &slot.tests
                && here
            {
                state.take_over(it.slot, Stream::rebuilt(tests, it.points.iter().copied()));
            }
        }
        let (from, to) = (span.from - plan.reach.before, span.to + plan.reach.after);
        let mut times: Vec<Timestamp> = state.open_times().chain(newest).collect();
        times.sort_unstable();
        times.dedup();
        // Beyond, a time may be here of one series and not of the others.
        for at in times.into_iter().filter(|at| (from..=to).contains(at)) {
            let mut cells = self.cells(at);
            cells.retain(|cell| plan.slots[usize::from(cell.slot)].is_kept());
            if !cells.is_empty() {
                state.take_over_row(plan, at, cells);
            }
        }
        state.taken_over(plan);
    }
}

impl Judgement<'_> {
    fn place(&self, at: Timestamp) -> Option<usize> {
        self.kept.binary_search_by_key(&at, |kept| kept.point.at).ok()
    }

    fn within(&self, from: Timestamp, to: Timestamp) -> &[Kept] {
        let begin = self.kept.partition_point(|kept| kept.point.at < from);
        let end = self.kept.partition_point(|kept| kept.point.at <= to);
        self.kept.get(begin..end).unwrap_or_default()
    }
}
