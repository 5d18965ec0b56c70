//! One series, judged reading by reading. What is known of a reading when it comes is said at once; what the next one
//! tells of it (a spike) comes as a revision. Work and memory per reading have a bound whatever the windows are.
//!
//! The state can be rebuilt by pushing the readings of the last [`TestPlan::reach`] and the one before them, and goes on
//! with the same flags to the bit, because nothing in it depends on more (sums are of integers, slots lie at fixed places
//! of the clock). A [`super::Live`] writes it down.

use domain::{Flag, QualityTest, TestFlags, Timestamp};

use super::flat::Run;
use super::gross::number_or_bad;
use super::limits::{Check, Gaps};
use super::plan::{FlatPlan, TestPlan};
use super::saved::{Number, Word, in_order};
use super::slip::Slips;
use super::steps::{Taken, rate, spike_average, spike_differential};
use super::window::Window;
use super::{Levels, Point, Revision};

/// The state of one series.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    newest: Option<i64>,
    row: i64,
    last: Option<Last>,
    run: Run,
    window: Window,
    slips: Slips,
}

/// The newest reading that others are compared with.
#[derive(Debug, Clone, Copy)]
struct Last {
    taken: Taken,
    row: i64,
    /// The value of the one before it, if they were neighbours.
    before: Option<f64>,
    flags: TestFlags,
}

in_order!(Stream {
    newest: Option<i64>,
    row: i64,
    last: Option<Last>,
    run: Run,
    window: Window,
    slips: Slips,
});
in_order!(Last { taken: Taken, row: i64, before: Option<Number>, flags: Word });

/// What came of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is the newest of its series.
    Judged {
        /// Its flags, as far as they can be known now.
        now: TestFlags,
        /// The reading whose flags changed because of it.
        revised: Option<Revision>,
    },
    /// It is not newer than the newest; nothing changed here. [`super::rejudge`] says which flags change, and the
    /// stream is to be rebuilt if the reading lies within reach of the newest.
    Late,
}

impl Stream {
    /// A stream that has seen these readings, oldest first; of what is older than the reach of the plan, before the
    /// newest, the one newest reading is enough.
    #[must_use]
    pub fn rebuilt(plan: &TestPlan, readings: impl IntoIterator<Item = Point>) -> Self {
        let mut stream = Self::default();
        for point in readings {
            stream.push(plan, point);
        }
        stream
    }

    /// The time of the newest reading.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest.map(Timestamp::from_millis)
    }

    /// How much the value swung in the plan's period up to the newest reading, in its unit; `None` without a value or
    /// a period.
    #[must_use]
    pub fn swing(&self) -> Option<f64> {
        self.window.range()
    }

    /// The newest value that the next one is compared with: the reading that it may revise.
    pub(super) fn open(&self) -> Option<Timestamp> {
        self.last.map(|last| Timestamp::from_millis(last.taken.at))
    }

    /// Bytes of this state, with what it holds on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.run.heap_bytes()
            + self.window.heap_bytes()
            + self.slips.heap_bytes()
    }

    /// Judges the next reading.
    pub fn push(&mut self, plan: &TestPlan, point: Point) -> Pushed {
        let at = millis(point.at);
        if self.newest.is_some_and(|newest| at <= newest) {
            return Pushed::Late;
        }
        let mut now = said(point).with(QualityTest::Timing, self.timing(plan, at));
        let revised = match self.usable(plan, point, &mut now) {
            Some(value) => self.compare(plan, Taken { at, value }, &mut now),
            None => self.pass_over(plan, at),
        };
        self.newest = Some(at);
        self.row += 1;
        Pushed::Judged { now, revised }
    }

    /// QARTOD's gap test: longer than the gap since the reading before is 4, as in `ioos_qc`.
    fn timing(&self, plan: &TestPlan, at: i64) -> Flag {
        match self.newest {
            None => Flag::NotEvaluated,
            Some(before) if plan.gap_ms < at - before => Flag::Bad,
            Some(_) => Flag::Good,
        }
    }

    /// What a reading tells by itself; its value, if others may be compared with it.
    fn usable(&mut self, plan: &TestPlan, point: Point, now: &mut TestFlags) -> Option<f64> {
        alone(plan, point, now);
        let Some(value) = point.number() else {
            untested(plan, Flag::Missing, now);
            return None;
        };
        if plan.gaps == Gaps::Bridge {
            self.slip(plan, Taken { at: millis(point.at), value }, now);
            return Some(value);
        }
        if !point.disowned() {
            self.slip(plan, Taken { at: millis(point.at), value }, now);
        }
        let bad = now.get(QualityTest::GrossRange) == Some(Flag::Bad) || point.disowned();
        if bad {
            let slipped = now.get(QualityTest::UnitSlip);
            untested(plan, Flag::NotEvaluated, now);
            *now = slipped.map_or(*now, |slipped| now.with(QualityTest::UnitSlip, slipped));
        }
        (!bad).then_some(value)
    }

    fn slip(&mut self, plan: &TestPlan, taken: Taken, now: &mut TestFlags) {
        if let Some(slip) = &plan.slip {
            *now = now.with(QualityTest::UnitSlip, self.slips.step(slip, plan.gap_ms, taken));
        }
    }

    /// A reading without a value to compare.
    fn pass_over(&mut self, plan: &TestPlan, at: i64) -> Option<Revision> {
        if let (Gaps::Bridge, Some(span)) = (plan.gaps, &plan.window) {
            self.window.step(span, at, None);
        }
        None
    }

    /// What a value tells beside those before it, and what it tells of the last of them.
    fn compare(&mut self, plan: &TestPlan, taken: Taken, now: &mut TestFlags) -> Option<Revision> {
        let near = self.last.filter(|last| self.neighbours(plan, last, taken));
        if let Some(span) = &plan.window {
            self.window.step(span, taken.at, Some(taken.value));
        }
        self.flat(plan, near.is_some(), taken, now);
        self.attenuated(plan, now);
        if let Some(limits) = plan.rate_per_s {
            *now = now.with(QualityTest::RateOfChange, rate_flag(plan, limits, near, taken));
        }
        for (test, _) in spikes(plan) {
            *now = now.with(test, Flag::NotEvaluated);
        }
        let revised = near.and_then(|last| spike(plan, last, taken.value));
        let before = near.map(|last| last.taken.value);
        self.last = Some(Last { taken, row: self.row, before, flags: *now });
        revised
    }

    fn neighbours(&self, plan: &TestPlan, last: &Last, now: Taken) -> bool {
        match plan.gaps {
            Gaps::Bridge => last.row + 1 == self.row,
            Gaps::Break => now.at - last.taken.at <= plan.gap_ms,
        }
    }

    fn flat(&mut self, plan: &TestPlan, near: bool, taken: Taken, now: &mut TestFlags) {
        let Some(flat) = plan.flat else { return };
        let length = match plan.gaps {
            Gaps::Bridge => self.run.step(&flat, flat.longest(), self.row, taken.value),
            Gaps::Break => {
                if !near {
                    self.run.begin(taken.at);
                }
                self.run.step(&flat, flat.longest() + plan.gap_ms, taken.at, taken.value)
            }
        };
        let flag = match stood(&flat, length) {
            Flag::Good => Flag::Good,
            _ if self.is_fresh(plan) => Flag::NotEvaluated,
            _ if flat.above.is_some_and(|above| taken.value <= above) => Flag::NotEvaluated,
            fault => fault,
        };
        *now = now.with(QualityTest::FlatLine, flag);
    }

    fn attenuated(&self, plan: &TestPlan, now: &mut TestFlags) {
        let Some(limits) = plan.attenuated else { return };
        let bridged_hole = plan.gaps == Gaps::Bridge && 0 < self.window.missing();
        let swing = match limits.check {
            // A hole makes the range of its window unknown in `ioos_qc`.
            Check::Range => self.window.range().filter(|_| !bridged_hole),
            Check::Std => self.window.std(),
        };
        let flag = match swing.filter(|_| limits.min_obs <= self.window.values()) {
            None => Flag::NotEvaluated,
            Some(swing) if limits.suspect <= swing => Flag::Good,
            Some(_) if self.is_fresh(plan) => Flag::NotEvaluated,
            Some(swing) if limits.fail.is_some_and(|fail| swing < fail) => Flag::Bad,
            Some(_) => Flag::Suspect,
        };
        *now = now.with(QualityTest::AttenuatedSignal, flag);
    }

    /// Was there no salt in the whole period? Then standing still is no fault.
    fn is_fresh(&self, plan: &TestPlan) -> bool {
        plan.fresh_below.is_some_and(|fresh| self.window.max().is_some_and(|max| max <= fresh))
    }
}

/// The ends of time are pulled in, so that differences are numbers.
pub(super) fn millis(at: Timestamp) -> i64 {
    const FAR: i64 = 1 << 60;
    at.as_millis().clamp(-FAR, FAR)
}

/// What a reading tells without any other: what the sensor said, gross range and climatology.
pub(super) fn by_itself(plan: &TestPlan, point: Point) -> TestFlags {
    let mut now = said(point);
    alone(plan, point, &mut now);
    now
}

pub(super) fn said(point: Point) -> TestFlags {
    match point.said {
        Flag::NotEvaluated => TestFlags::NONE,
        said => TestFlags::NONE.with(QualityTest::Sensor, said),
    }
}

/// Gross range and climatology, which need no neighbour.
fn alone(plan: &TestPlan, point: Point, now: &mut TestFlags) {
    if let Some(gross) = plan.gross {
        *now = now
            .with(QualityTest::GrossRange, number_or_bad(point.value, |value| gross.judge(value)));
    } else if point.number().is_none() {
        // Nothing is asked of numbers, but what is none is not good.
        *now = now.with(QualityTest::GrossRange, number_or_bad(point.value, |_| Flag::Good));
    }
    if !plan.calendar.is_empty() {
        let judged = point.number().map(|value| plan.calendar.judge(point.at, value));
        let flag = judged.map_or(Flag::Missing, |flag| flag.unwrap_or(Flag::NotEvaluated));
        *now = now.with(QualityTest::Climatology, flag);
    }
}

/// The same flag for all tests that compare.
fn untested(plan: &TestPlan, flag: Flag, now: &mut TestFlags) {
    let tests = [
        (QualityTest::SpikeAverage, plan.spike_average.is_some()),
        (QualityTest::SpikeDifferential, plan.spike_differential.is_some()),
        (QualityTest::RateOfChange, plan.rate_per_s.is_some()),
        (QualityTest::FlatLine, plan.flat.is_some()),
        (QualityTest::AttenuatedSignal, plan.attenuated.is_some()),
        (QualityTest::UnitSlip, plan.slip.is_some()),
    ];
    for (test, _) in tests.into_iter().filter(|(_, planned)| *planned) {
        *now = now.with(test, flag);
    }
}

fn stood(flat: &FlatPlan, length: i64) -> Flag {
    if flat.fail.is_some_and(|fail| fail <= length) {
        Flag::Bad
    } else if flat.suspect <= length {
        Flag::Suspect
    } else {
        Flag::Good
    }
}

fn rate_flag(plan: &TestPlan, limits: Levels, near: Option<Last>, now: Taken) -> Flag {
    match (near, plan.gaps) {
        (Some(last), _) => rate(limits, last.taken, now),
        (None, Gaps::Bridge) => Flag::Good,
        (None, Gaps::Break) => Flag::NotEvaluated,
    }
}

type Spike = fn(Levels, f64, f64, f64) -> Flag;

fn spikes(plan: &TestPlan) -> impl Iterator<Item = (QualityTest, (Levels, Spike))> {
    let average = plan.spike_average.map(|it| (it, spike_average as Spike));
    let differential = plan.spike_differential.map(|it| (it, spike_differential as Spike));
    let both =
        [(QualityTest::SpikeAverage, average), (QualityTest::SpikeDifferential, differential)];
    both.into_iter().filter_map(|(test, it)| Some((test, it?)))
}

/// What the next value tells of the last one.
fn spike(plan: &TestPlan, last: Last, after: f64) -> Option<Revision> {
    let before = last.before?;
    let flags = spikes(plan).fold(last.flags, |flags, (test, (limits, spike))| {
        flags.with(test, spike(limits, before, last.taken.value, after))
    });
    let at = Timestamp::from_millis(last.taken.at);
    (flags != last.flags).then_some(Revision { at, flags })
}
