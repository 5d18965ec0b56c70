//! What people changed of what was measured. A reading stays as it came; an edit stands beside it and says what is to be
//! shown of a range instead, who says so, when and why. Edits are only ever added: one that was wrong is withdrawn by
//! another. Three layers come of it: raw, corrected, approved (as WMO-No. 168 and the records of the USGS keep them).

use std::sync::Arc;
use std::time::Duration;

use crate::derived::Derived;
use crate::{Flag, ParameterCode, StationCode, Timestamp};

/// How far a shown value has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Layer {
    /// As it came.
    #[default]
    Raw,
    /// As people corrected it.
    Corrected,
    /// As it was when somebody approved it: later readings and corrections do not change it.
    Approved,
}

impl Layer {
    /// The layer as the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Corrected => "corrected",
            Self::Approved => "approved",
        }
    }
}

/// Which layers are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Shown {
    /// Of each reading the best there is: approved, otherwise corrected, otherwise raw.
    #[default]
    Best,
    /// As everything came.
    Raw,
    /// With all corrections, as if nothing had been approved.
    Corrected,
    /// What is approved, and nothing else.
    Approved,
}

impl Shown {
    /// Every word and what it means.
    pub const ALL: [(&'static str, Self); 4] = [
        ("best", Self::Best),
        ("raw", Self::Raw),
        ("corrected", Self::Corrected),
        ("approved", Self::Approved),
    ];

    /// Reads one of the words.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, shown)| shown)
    }

    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, shown)| *shown == self).map_or("best", |(word, _)| word)
    }
}

/// What an edit does to the readings of its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    /// Adds a number to each.
    Offset {
        /// In the parameter's unit.
        by: f64,
    },
    /// Adds a number that grows in a straight line along the range: a probe that fouled between two visits.
    Drift {
        /// At the first instant, in the parameter's unit.
        start: f64,
        /// At the end.
        end: f64,
    },
    /// Takes the values away; the times stay, as missing (9).
    Remove,
    /// Puts a straight line in their place, as suspect (3), because nobody measured it.
    Interpolate {
        /// The line at the first instant, in the parameter's unit.
        start: f64,
        /// At the end.
        end: f64,
        /// Also where there is no reading, at these steps from the first instant on.
        every: Option<Duration>,
    },
    /// Approves what is shown at this moment.
    Approve,
}

impl Act {
    /// The act as the API and the registry write it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Offset { .. } => "offset",
            Self::Drift { .. } => "drift",
            Self::Remove => "remove",
            Self::Interpolate { .. } => "interpolate",
            Self::Approve => "approve",
        }
    }
}

/// One edit of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// Its number: edits apply in this order.
    pub id: u64,
    /// Where.
    pub station: StationCode,
    /// Of what.
    pub parameter: ParameterCode,
    /// First instant, included.
    pub from: Timestamp,
    /// Last instant, not included.
    pub to: Timestamp,
    /// What it does.
    pub act: Act,
    /// When it was made.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why, in words.
    pub reason: String,
    /// How it ended, if it was withdrawn.
    pub withdrawn: Option<Withdrawn>,
}

/// The end of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Why an edit cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEdit {
    /// Its range is empty or turned around.
    #[error("`from` is not before `to`")]
    Range,
    /// Not a number, or one that no water has.
    #[error("a correction is a number between -1e9 and 1e9")]
    Number,
    /// Steps that are too small or too many.
    #[error("the steps of an interpolation are at least 1 min, and at most 50,000 of them")]
    Steps,
    /// Nobody could tell later why.
    #[error("an edit needs a reason of 3 to 500 characters")]
    Reason,
}

/// The shortest step that a gap is filled with: one-minute loggers.
const STEP_MIN: Duration = Duration::from_mins(1);

/// Steps of one interpolation: a year and a half of 15-minute readings; a month of one-minute readings.
const STEPS_MAX: u128 = 50_000;

/// Characters of a reason: two SMS of words.
const REASON_CHARS: std::ops::RangeInclusive<usize> = 3..=500;

impl Edit {
    /// Looks whether the edit means anything.
    ///
    /// # Errors
    /// [`BadEdit`] names what does not.
    pub fn check(&self) -> Result<(), BadEdit> {
        if self.to <= self.from {
            return Err(BadEdit::Range);
        }
        let real = |number: f64| number.is_finite() && number.abs() <= 1e9;
        match self.act {
            Act::Offset { by } if !real(by) => return Err(BadEdit::Number),
            Act::Drift { start, end } | Act::Interpolate { start, end, .. }
                if !real(start) || !real(end) =>
            {
                return Err(BadEdit::Number);
            }
            Act::Interpolate { every: Some(every), .. } => {
                let steps = self.to.since(self.from).as_millis() / every.as_millis().max(1);
                if every < STEP_MIN || STEPS_MAX < steps {
                    return Err(BadEdit::Steps);
                }
            }
            _ => {}
        }
        let said = REASON_CHARS.contains(&self.reason.trim().chars().count());
        if said { Ok(()) } else { Err(BadEdit::Reason) }
    }

    fn covers(&self, taken: Timestamp) -> bool {
        self.from <= taken && taken < self.to
    }

    /// Does it put something at this time, also where nothing was measured?
    fn fills(&self, taken: Timestamp) -> bool {
        let Act::Interpolate { every: Some(every), .. } = self.act else { return false };
        let step = every.as_millis().max(1);
        self.covers(taken) && taken.since(self.from).as_millis().is_multiple_of(step)
    }

    fn stands(&self, at: Timestamp) -> bool {
        self.at <= at && self.withdrawn.as_ref().is_none_or(|end| at < end.at)
    }

    /// How far along the range this is, from 0 to 1.
    fn along(&self, taken: Timestamp) -> f64 {
        let whole = self.to.as_millis().saturating_sub(self.from.as_millis());
        taken.as_millis().saturating_sub(self.from.as_millis()) as f64 / whole as f64
    }

    /// What the edit makes of a reading in its range.
    fn make(&self, taken: Timestamp, (value, flag): (Option<f64>, Flag)) -> (Option<f64>, Flag) {
        let line = |start: f64, end: f64| start + (end - start) * self.along(taken);
        match self.act {
            Act::Offset { by } => (value.map(|value| value + by), flag),
            Act::Drift { start, end } => (value.map(|value| value + line(start, end)), flag),
            Act::Remove => (None, Flag::Missing),
            Act::Interpolate { start, end, .. } => (Some(line(start, end)), Flag::Suspect),
            Act::Approve => (value, flag),
        }
    }
}

/// The edits of one series, and which layers a reader wants of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Edits {
    /// By number.
    all: Arc<[Edit]>,
    shown: Shown,
    /// What the series is made of, where nobody measures it, and the edits of that.
    made: Option<Arc<(Derived, Vec<Edits>)>>,
}

/// Up to when what reached us counts for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What came later does not count, if anything came before.
    pub known_by: Timestamp,
    approved: bool,
}

/// What is shown of one reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Showing {
    /// In the parameter's unit.
    pub value: Option<f64>,
    /// How far it can be trusted.
    pub flag: Flag,
    /// How far it has come.
    pub layer: Layer,
    /// Is it there only because an edit put it there?
    pub filled: bool,
}

impl Edits {
    /// These edits of one series, for a reader who wants these layers.
    #[must_use]
    pub fn new(mut all: Vec<Edit>, shown: Shown) -> Self {
        all.sort_by_key(|edit| edit.id);
        Self { all: all.into(), shown, made: None }
    }

    /// The same of a series that is made of others, with the edits of those in the order of its inputs: where they change a
    /// reading, what is made of it is made again.
    #[must_use]
    pub fn of_inputs(self, derived: Derived, inputs: Vec<Self>) -> Self {
        if inputs.iter().all(Self::change_nothing) {
            return self;
        }
        Self { made: Some(Arc::new((derived, inputs))), ..self }
    }

    /// What the series is made of, where edits of that change something.
    #[must_use]
    pub fn made(&self) -> Option<(&Derived, &[Self])> {
        self.made.as_deref().map(|(derived, inputs)| (derived, inputs.as_slice()))
    }

    /// Is only what was approved wanted?
    #[must_use]
    pub fn wants_approved(&self) -> bool {
        self.shown == Shown::Approved
    }

    /// Does every reading show as it came?
    #[must_use]
    pub fn change_nothing(&self) -> bool {
        match self.shown {
            Shown::Raw => true,
            Shown::Approved => false,
            Shown::Best | Shown::Corrected => self.all.is_empty() && self.made.is_none(),
        }
    }

    /// Those that reach into a range, its last instant not included.
    #[must_use]
    pub fn within(&self, from: Timestamp, to: Timestamp) -> Self {
        let reaches = |edit: &&Edit| edit.from < to && from < edit.to;
        let made = self.made();
        if made.is_none() && self.all.iter().all(|edit| reaches(&edit)) {
            return self.clone();
        }
        let all: Vec<Edit> = self.all.iter().filter(reaches).cloned().collect();
        let own = Self { all: all.into(), shown: self.shown, made: None };
        match made {
            None => own,
            Some((derived, inputs)) => {
                let inputs = inputs.iter().map(|input| input.within(from, to)).collect();
                own.of_inputs(derived.clone(), inputs)
            }
        }
    }

    /// Up to when what reached us counts at a time, for a reader who asks what was known by `known_by`.
    #[must_use]
    pub fn moment(&self, taken: Timestamp, known_by: Timestamp) -> Moment {
        let approves =
            |edit: &&Edit| edit.act == Act::Approve && edit.covers(taken) && edit.stands(known_by);
        let heeded = matches!(self.shown, Shown::Best | Shown::Approved);
        match self.all.iter().rev().find(approves).filter(|_| heeded) {
            Some(edit) => Moment { known_by: edit.at.min(known_by), approved: true },
            None => Moment { known_by, approved: false },
        }
    }

    /// What is shown of the reading of this time. `received` says when it reached us; `None` where nothing was measured,
    /// so that an edit may still put something there. `None` is answered where nothing is shown.
    #[must_use]
    pub fn show(
        &self,
        taken: Timestamp,
        known_by: Timestamp,
        received: Option<Timestamp>,
        (value, flag): (Option<f64>, Flag),
    ) -> Option<Showing> {
        if self.shown == Shown::Raw {
            return received.map(|_| Showing { value, flag, layer: Layer::Raw, filled: false });
        }
        let mut moment = self.moment(taken, known_by);
        // What came after the approval, at a time that had nothing then but perhaps a line, was never approved.
        if received.is_some_and(|received| moment.known_by < received) {
            let line = self.show(taken, known_by, None, (None, Flag::Missing));
            if line.is_some_and(|line| line.layer == Layer::Approved) {
                return line;
            }
            moment = Moment { known_by, approved: false };
        }
        let (mut now, mut touched, mut there) = ((value, flag), false, received.is_some());
        for edit in self.all.iter().filter(|edit| edit.covers(taken)) {
            if edit.act == Act::Approve || !edit.stands(moment.known_by) {
                continue;
            }
            if there || edit.fills(taken) {
                now = edit.make(taken, now);
                (touched, there) = (true, true);
            }
        }
        let layer = match (moment.approved, touched) {
            (true, _) => Layer::Approved,
            (false, true) => Layer::Corrected,
            (false, false) => Layer::Raw,
        };
        let wanted = self.shown != Shown::Approved || layer == Layer::Approved;
        let filled = received.is_none();
        (there && wanted).then_some(Showing { value: now.0, flag: now.1, layer, filled })
    }

    /// The times that edits may put something at, in order, each once, in a range whose end is not included. More than
    /// are shown: what stands at the moment is for [`show`](Self::show) to say.
    #[must_use]
    pub fn fills(&self, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let inputs = self.made().map_or(&[][..], |(_, inputs)| inputs);
        let mut times: Vec<Timestamp> =
            inputs.iter().flat_map(|input| input.fills(from, to)).collect();
        for edit in &*self.all {
            let Act::Interpolate { every: Some(every), .. } = edit.act else { continue };
            let step = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
            let begin = edit.from.as_millis();
            let skipped = from.as_millis().saturating_sub(begin).max(0);
            let skipped = skipped.saturating_add(step - 1) / step * step;
            let end = edit.to.min(to).as_millis();
            let mut at = begin.saturating_add(skipped);
            while at < end {
                times.push(Timestamp::from_millis(at));
                at = at.saturating_add(step);
            }
        }
        times.sort_unstable();
        times.dedup();
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    /// Made at `at`, over the minutes 0 to 100.
    fn edit(id: u64, at: i64, act: Act) -> Edit {
        Edit {
            id,
            station: StationCode::new("xuan-hoa").unwrap(),
            parameter: ParameterCode::new("salinity").unwrap(),
            from: t(0),
            to: t(100),
            act,
            at: t(at),
            by: "lan".to_owned(),
            reason: "cleaned".to_owned(),
            withdrawn: None,
        }
    }

    fn withdrawn(mut edit: Edit, at: i64) -> Edit {
        let (by, reason) = ("lan".to_owned(), "wrong".to_owned());
        edit.withdrawn = Some(Withdrawn { at: t(at), by, reason });
        edit
    }

    const NOW: i64 = 10_000;

    fn show(edits: &Edits, minute: i64, received: Option<i64>) -> Option<(Option<f64>, u8, Layer)> {
        let shown = edits.show(t(minute), t(NOW), received.map(t), (Some(2.0), Flag::Good))?;
        assert_eq!(shown.filled, received.is_none());
        Some((shown.value, shown.flag.number(), shown.layer))
    }

    #[test]
    fn edits_apply_in_their_order_inside_of_their_range() {
        let all = vec![
            edit(2, 200, Act::Drift { start: 0.0, end: -1.0 }),
            edit(1, 150, Act::Offset { by: 0.5 }),
        ];
        let edits = Edits::new(all, Shown::Best);
        assert_eq!(show(&edits, 0, Some(1)), Some((Some(2.5), 1, Layer::Corrected)));
        assert_eq!(show(&edits, 50, Some(51)), Some((Some(2.0), 1, Layer::Corrected)));
        assert_eq!(show(&edits, 100, Some(101)), Some((Some(2.0), 1, Layer::Raw)));
        assert_eq!(show(&edits, -1, Some(0)), Some((Some(2.0), 1, Layer::Raw)));
        assert_eq!(show(&edits, 50, None), None, "no correction makes a reading");
    }

    #[test]
    fn a_line_takes_the_place_of_readings_and_fills_where_it_says() {
        let line = Act::Interpolate { start: 1.0, end: 3.0, every: Some(Duration::from_mins(10)) };
        let edits = Edits::new(vec![edit(1, 150, line)], Shown::Best);
        assert_eq!(show(&edits, 50, Some(51)), Some((Some(2.0), 3, Layer::Corrected)));
        assert_eq!(show(&edits, 10, None), Some((Some(1.2), 3, Layer::Corrected)));
        assert_eq!(edits.fills(t(15), t(45)), [t(20), t(30), t(40)]);
        assert_eq!(edits.fills(t(-500), t(15)), [t(0), t(10)]);
        assert_eq!(edits.fills(t(90), t(500)), [t(90)]);
        assert!(edits.within(t(100), t(200)).change_nothing());
        let approved = vec![edit(1, 150, line), edit(2, 160, Act::Approve)];
        let approved = Edits::new(approved, Shown::Best);
        let late = approved.show(t(10), t(NOW), Some(t(170)), (Some(9.0), Flag::Good)).unwrap();
        assert_eq!((late.value, late.layer), (Some(1.2), Layer::Approved), "a line, approved");
        let between = approved.show(t(11), t(NOW), Some(t(170)), (Some(9.0), Flag::Good)).unwrap();
        assert_eq!(between.layer, Layer::Corrected);
        let removed = Edits::new(vec![edit(1, 150, Act::Remove)], Shown::Best);
        assert_eq!(show(&removed, 5, Some(6)), Some((None, 9, Layer::Corrected)));
    }

    #[test]
    fn what_was_approved_stays_whatever_is_corrected_or_comes_later() {
        let all = vec![
            edit(1, 150, Act::Offset { by: 1.0 }),
            edit(2, 160, Act::Approve),
            edit(3, 170, Act::Offset { by: 5.0 }),
        ];
        let best = Edits::new(all.clone(), Shown::Best);
        assert_eq!(best.moment(t(5), t(NOW)).known_by, t(160));
        assert_eq!(show(&best, 5, Some(6)), Some((Some(3.0), 1, Layer::Approved)));
        let late = show(&best, 5, Some(165));
        assert_eq!(late, Some((Some(8.0), 1, Layer::Corrected)), "never approved, so as it is now");
        let only = Edits::new(all.clone(), Shown::Approved);
        assert_eq!(show(&only, 5, Some(165)), None);
        assert_eq!(show(&only, 5, Some(6)), Some((Some(3.0), 1, Layer::Approved)));
        let corrected = Edits::new(all.clone(), Shown::Corrected);
        assert_eq!(show(&corrected, 5, Some(6)), Some((Some(8.0), 1, Layer::Corrected)));
        assert_eq!(
            show(&Edits::new(all, Shown::Raw), 5, Some(6)),
            Some((Some(2.0), 1, Layer::Raw))
        );
    }

    #[test]
    fn a_withdrawn_edit_stands_until_then_for_who_asks_what_was_known() {
        let edits =
            Edits::new(vec![withdrawn(edit(1, 150, Act::Offset { by: 1.0 }), 200)], Shown::Best);
        let at = |known: i64| {
            let shown = edits.show(t(5), t(known), Some(t(6)), (Some(2.0), Flag::Good)).unwrap();
            (shown.value.unwrap(), shown.layer)
        };
        assert_eq!(at(149), (2.0, Layer::Raw));
        assert_eq!(at(150), (3.0, Layer::Corrected));
        assert_eq!(at(199), (3.0, Layer::Corrected));
        assert_eq!(at(200), (2.0, Layer::Raw));
        let approved = vec![
            withdrawn(edit(1, 150, Act::Offset { by: 1.0 }), 300),
            withdrawn(edit(2, 200, Act::Approve), 400),
        ];
        let approved = Edits::new(approved, Shown::Best);
        let at = |known: i64| {
            approved.show(t(5), t(known), Some(t(6)), (Some(2.0), Flag::Good)).unwrap().value
        };
        assert_eq!(at(350), Some(3.0), "what was approved does not lose its correction");
        assert_eq!(at(400), Some(2.0));
    }

    #[test]
    fn an_edit_that_means_nothing_is_refused_with_the_reason() {
        let good = edit(1, 1, Act::Remove);
        assert_eq!(good.check(), Ok(()));
        let turned = Edit { from: t(100), ..good.clone() };
        assert_eq!(turned.check(), Err(BadEdit::Range));
        let wordless = Edit { reason: "  ? ".to_owned(), ..good.clone() };
        assert_eq!(wordless.check(), Err(BadEdit::Reason));
        for by in [f64::NAN, f64::INFINITY, 1e10] {
            assert_eq!(edit(1, 1, Act::Offset { by }).check(), Err(BadEdit::Number));
            assert_eq!(
                edit(1, 1, Act::Drift { start: 0.0, end: by }).check(),
                Err(BadEdit::Number)
            );
        }
        let steps = |every| Act::Interpolate { start: 0.0, end: 1.0, every: Some(every) };
        assert_eq!(edit(1, 1, steps(Duration::from_secs(59))).check(), Err(BadEdit::Steps));
        let years = Edit { to: t(60_000), act: steps(Duration::from_mins(1)), ..good };
        assert_eq!(years.check(), Err(BadEdit::Steps));
    }
}
