//! All series of a province, as their readings come. One `Live` belongs to one follower of the journal: it is a fold over
//! what it is given, and nothing else moves it.
//!
//! A report is judged as far as can be known when it comes. What a later one tells of it comes as [`Revised`]; what came
//! late is named, and the span of time that it touches waits in [`Live::unsettled`] for [`Live::settle`].

use domain::{Admitted, Flag, StationCode, TestFlags};
use rustc_hash::FxHashMap;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

use super::plans::StationPlan;
use super::station::{StationState, stranger};
use super::{Plans, Point, Revised, Unsettled};
use crate::derive;

/// What this code writes and reads; see `saved`.
const VERSION: u16 = 1;

/// The state of all series.
#[derive(Debug, Clone, Default)]
pub struct Live {
    stations: FxHashMap<StationCode, StationState>,
    judged: Judged,
    said: Vec<Flag>,
}

/// What came of a report.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// The flags of each value, in their order; those made of others behind what was measured.
    pub flags: Vec<TestFlags>,
    /// Places of the values that came late: they say what they can say alone, and the rest when they are settled.
    pub late: Vec<usize>,
    /// Earlier readings of the station whose flags are others now.
    pub revised: Vec<Revised>,
    /// Room to compare in.
    pub(super) was: Vec<TestFlags>,
}

impl Live {
    /// Judges a report as it was admitted, its flags being what the sensors said: adds what the station's declarations
    /// make of it, and sets each flag to the worst of the tests. In place of [`super::Quality::judge`], not behind it.
    ///
    /// A station that is met for the first time, or whose plan is another than the one its state was made by, begins
    /// anew; all its reports are unsettled until it is settled once, because history may know more of it.
    pub fn judge(&mut self, plans: &Plans, admitted: &mut Admitted) -> &Judged {
        let plan = plans.of(&admitted.station);
        self.take_in(plan, admitted);
        if plan.plain {
            self.alone(plan, admitted);
        } else {
            let state = state(&mut self.stations, plan, admitted);
            state.judge(plan, admitted, &self.said, &mut self.judged);
        }
        self.show(admitted)
    }

    /// Judges a report that is not of now, as one that was imported: each value says what it can say alone and is late.
    pub fn judge_late(&mut self, plans: &Plans, admitted: &mut Admitted) -> &Judged {
        let plan = plans.of(&admitted.station);
        self.take_in(plan, admitted);
        self.alone(plan, admitted);
        if !plan.plain {
            self.judged.late.extend(0..admitted.values.len());
            state(&mut self.stations, plan, admitted).unsettle(admitted.taken_at);
        }
        self.show(admitted)
    }

    /// The stations with readings that came late, in no order, and the span of time that these touch.
    pub fn unsettled(&self) -> impl Iterator<Item = (&StationCode, Unsettled)> {
        self.stations.iter().filter_map(|(code, state)| Some((code, state.unsettled()?)))
    }

    /// Does it remember nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stations.is_empty()
    }

    /// Forgets the stations that are no longer in the book.
    pub fn retain(&mut self, known: impl Fn(&StationCode) -> bool) {
        self.stations.retain(|code, _| known(code));
    }

    /// Series with a state.
    #[must_use]
    pub fn series(&self) -> usize {
        self.stations.values().map(StationState::series).sum()
    }

    /// Bytes of this state, with what it holds on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let one = size_of::<(StationCode, StationState)>() - size_of::<StationState>() + 1;
        size_of::<Self>()
            + self.stations.capacity() * (one + size_of::<StationState>())
            + self.stations.values().map(|it| it.bytes() - size_of::<StationState>()).sum::<usize>()
    }

    pub(super) fn state_mut(
        &mut self,
        station: &StationCode,
        plan: &StationPlan,
    ) -> &mut StationState {
        let state = self.stations.entry(station.clone()).or_default();
        state.follow(plan);
        state
    }

    /// Remembers what the sensors said, and adds what is made of it: of what is inside its gross range, as everywhere.
    fn take_in(&mut self, plan: &StationPlan, admitted: &mut Admitted) {
        self.judged.flags.clear();
        self.judged.late.clear();
        self.judged.revised.clear();
        self.said.clear();
        self.said.extend(admitted.values.iter().map(|measured| measured.flag));
        if plan.derived.is_empty() {
            return;
        }
        for measured in &mut admitted.values {
            let range = plan.slot(&measured.parameter).map(|slot| plan.slots[slot].range());
            let range = range.unwrap_or(super::plan::Bounds::NONE);
            measured.flag = range.combine(measured.value, measured.flag);
        }
        derive(admitted, &plan.derived);
        let measured = self.said.len();
        let made = admitted.values.get(measured..).unwrap_or_default();
        self.said.extend(made.iter().map(|made| made.flag));
    }

    fn alone(&mut self, plan: &StationPlan, admitted: &Admitted) {
        for (measured, &said) in admitted.values.iter().zip(&self.said) {
            let point = Point { at: admitted.taken_at, value: measured.value, said };
            let slot = plan.slot(&measured.parameter).map(|slot| &plan.slots[slot]);
            self.judged.flags.push(slot.map_or_else(|| stranger(point), |it| it.by_itself(point)));
        }
    }

    fn show(&self, admitted: &mut Admitted) -> &Judged {
        for (measured, flags) in admitted.values.iter_mut().zip(&self.judged.flags) {
            measured.flag = flags.worst();
        }
        &self.judged
    }
}

/// The state of a station by this plan.
fn state<'a>(
    stations: &'a mut FxHashMap<StationCode, StationState>,
    plan: &StationPlan,
    admitted: &Admitted,
) -> &'a mut StationState {
    // By reference, so that a station that is known costs no clone of its code.
    if !stations.contains_key(&admitted.station) {
        stations.insert(admitted.station.clone(), StationState::default());
    }
    let state = stations.get_mut(&admitted.station).expect("it was put there where it was not");
    state.follow(plan);
    state
}

impl Serialize for Live {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut stations: Vec<_> =
            self.stations.iter().map(|(code, state)| (code.as_str(), state)).collect();
        stations.sort_unstable_by_key(|(code, _)| *code);
        (VERSION, stations).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Live {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (version, stations): (u16, Vec<(String, StationState)>) =
            Deserialize::deserialize(from)?;
        if version != VERSION {
            let wrong =
                format!("state of the tests has version {version}, this code reads {VERSION}");
            return Err(D::Error::custom(wrong));
        }
        let known = |(code, state): (String, StationState)| {
            Ok((StationCode::new(&code).map_err(D::Error::custom)?, state))
        };
        let stations = stations.into_iter().map(known).collect::<Result<_, D::Error>>()?;
        Ok(Self { stations, ..Self::default() })
    }
}
