//! A dead letter, read again: what it says now that the profile is mended, and by how much the times have to be moved of
//! a station whose clock had lost itself.

use std::collections::BTreeMap;

use domain::{Format, Profile, Reason, Refusal, Report, Stated, Timestamp};

use crate::admit::{Limits, settle};
use crate::deadletter::DeadLetter;
use crate::formats::shape::Shape;
use crate::formats::{self, chirpstack, chirpstack_device};
use crate::serial::Spoken;
use crate::{modbus, sdi12};

/// How the topics of refused Modbus readings begin.
const MODBUS: &str = "modbus/";

/// And of lines that loggers wrote.
const SERIAL: &str = "serial/";

/// And of measurements of SDI-12 sensors.
const SDI12: &str = "sdi12/";

/// What a letter took on its way changes from letter to letter by less than this; a clock that jumped back by more has
/// begun anew.
const RESTART_MS: i64 = 600_000;

/// The reports of a letter, as the station's profile has it now: the format where neither a content type nor the topic
/// tells it, the layout of bytes, the zone of naive times. `spoken` is how the lines of loggers speak: without it nobody
/// can read them.
pub(crate) fn reports<'a>(
    letter: &'a DeadLetter,
    profile: &Profile,
    spoken: Option<&Spoken>,
) -> Result<Vec<Report<'a>>, Refusal> {
    let of_topic = || formats::of_topic(&letter.topic).or(profile.format).unwrap_or(Format::Json);
    let mut shape = Shape::of_topic(&letter.topic).unwrap_or_else(|| of_topic().into());
    shape.offset_s = shape.offset_s.or(profile.utc_offset_s);
    match shape.format {
        _ if letter.topic.starts_with(MODBUS) => modbus::decode(&letter.payload),
        _ if letter.topic.starts_with(SDI12) => sdi12::decode(&letter.payload),
        _ if letter.topic.starts_with(SERIAL) => match spoken {
            Some(spoken) => spoken.decode(&letter.topic, &letter.payload),
            None => {
                let detail = "a line of a logger is read by its profile".to_owned();
                Err(Refusal { reason: Reason::ForeignTopic, detail })
            }
        },
        Format::ChirpStack => {
            let device = chirpstack_device(&letter.topic).unwrap_or_default();
            chirpstack::decode(&letter.payload, device, &profile.layout)
        }
        _ => shape
            .read_laid_out(&letter.payload, letter.received_at, &profile.layout)
            .and_then(|parts| parts.into_iter().map(|part| part.report).collect()),
    }
}

/// Moves the times that could not be believed when the letter came, and no others.
pub(crate) fn shift(reports: &mut [Report<'_>], shift_ms: i64, limits: &Limits, came: Timestamp) {
    for report in reports {
        if let Stated::At(at) = report.taken
            && settle(report, limits, came).is_err()
        {
            let moved = at.as_millis().saturating_add(shift_ms);
            report.taken = Stated::At(Timestamp::from_millis(moved));
        }
    }
}

/// By how many milliseconds the times of these letters (their names, oldest first) have to be moved so that each
/// station's clock would have been right: as if what arrived with the least delay had arrived at once. A clock that
/// jumped back has begun anew, and what came after has a shift of its own. Letters whose times can be believed have none.
/// `profiles` are those of the stations by their codes: a letter may be read by nothing else.
#[must_use]
pub fn auto_shifts(
    letters: &[(u64, DeadLetter)],
    limits: &Limits,
    profiles: &BTreeMap<String, Profile>,
) -> BTreeMap<u64, i64> {
    let none = Profile::default();
    let mut by_station: BTreeMap<&str, Vec<Wrong>> = BTreeMap::new();
    for (id, letter) in letters {
        let profile = profiles.get(&letter.station).unwrap_or(&none);
        if let Some(wrong) = wrong(*id, letter, limits, profile) {
            by_station.entry(&letter.station).or_default().push(wrong);
        }
    }
    by_station.into_values().flat_map(|wrongs| runs(&wrongs)).collect()
}

/// A letter with a time that cannot be believed.
struct Wrong {
    id: u64,
    /// The newest such time of a live report, and how long after it the letter came.
    live: Option<(i64, i64)>,
    /// The same of a replay, where there is no live one.
    replay: Option<i64>,
}

fn wrong(id: u64, letter: &DeadLetter, limits: &Limits, profile: &Profile) -> Option<Wrong> {
    let reports = reports(letter, profile, None).ok()?;
    let newest = |replay: bool| {
        let of = reports.iter().filter(|report| report.replay == replay);
        let wrong = of.filter(|report| settle(report, limits, letter.received_at).is_err());
        let stated = wrong.filter_map(|report| match report.taken {
            Stated::At(at) => Some(at.as_millis()),
            Stated::OnArrival => None,
        });
        stated.max()
    };
    let late = |at: i64| letter.received_at.as_millis().saturating_sub(at);
    let live = newest(false).map(|at| (at, late(at)));
    let replay = newest(true).map(late);
    (live.is_some() || replay.is_some()).then_some(Wrong { id, live, replay })
}

/// Cuts a station's letters where its clock began anew, and gives each part its shift.
fn runs(wrongs: &[Wrong]) -> Vec<(u64, i64)> {
    let mut runs: Vec<(Vec<u64>, Option<i64>)> = vec![(Vec::new(), None)];
    let mut newest = i64::MIN;
    for wrong in wrongs {
        if let Some((at, late)) = wrong.live {
            let run = runs.last().and_then(|run| run.1);
            if at < newest && run.is_some_and(|least| RESTART_MS < late.saturating_sub(least)) {
                runs.push((Vec::new(), None));
                newest = i64::MIN;
            }
            newest = newest.max(at);
        }
        let Some((ids, least)) = runs.last_mut() else { continue };
        ids.push(wrong.id);
        if let Some((_, late)) = wrong.live {
            *least = Some(least.map_or(late, |least| least.min(late)));
        }
    }
    // Of replays alone nobody knows when they were taken but that it was not after they came.
    let of_replays = wrongs.iter().filter_map(|wrong| wrong.replay).min();
    let each = |(ids, least): (Vec<u64>, Option<i64>)| {
        let shift = least.or(of_replays);
        ids.into_iter().filter_map(move |id| Some((id, shift?)))
    };
    runs.into_iter().flat_map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::ADMIT;
    use bytes::Bytes;

    const T0: i64 = 1_773_266_400_000;

    fn letter(station: &str, came_s: i64, payload: String) -> DeadLetter {
        let refusal = Refusal { reason: Reason::TooOld, detail: String::new() };
        let came = Timestamp::from_millis(T0 + came_s * 1_000);
        let topic = format!("stations/{station}/readings");
        DeadLetter::new(came, &refusal, station, &topic, &Bytes::from(payload))
    }

    /// A letter of each row: station, seconds after the start when it came, what its clock said (Unix seconds).
    fn check(rows: &[(&str, i64, i64, bool)], wanted: &[(u64, i64)]) {
        let letters: Vec<_> = (0..)
            .zip(rows)
            .map(|(id, &(station, came_s, said, replay))| {
                let text = format!(r#"{{"time":{said},"replay":{replay},"values":{{"ph":7}}}}"#);
                (id, letter(station, came_s, text))
            })
            .collect();
        let found: Vec<_> = auto_shifts(&letters, &ADMIT, &BTreeMap::new()).into_iter().collect();
        let wanted: Vec<_> = wanted.iter().map(|&(id, s)| (id, T0 + s * 1_000)).collect();
        assert_eq!(found, wanted, "{rows:?}");
    }

    #[test]
    fn the_letter_with_the_least_delay_arrived_at_once() {
        let rows = [("a", 10, 7, false), ("a", 310, 308, false), ("a", 620, 608, false)];
        check(&rows, &[(0, 2), (1, 2), (2, 2)]);
        check(&[], &[]);
    }

    #[test]
    fn a_logger_that_began_anew_has_another_shift() {
        let rows = [
            ("a", 0, 0, false),
            ("a", 3_600, 3_600, false),
            ("b", 3_600, 100, false),
            ("a", 7_200, 5, false),
            ("a", 7_500, 305, false),
        ];
        check(&rows, &[(0, 0), (1, 0), (2, 3_500), (3, 7_195), (4, 7_195)]);
    }

    #[test]
    fn a_backlog_moves_with_the_live_reports_of_its_clock() {
        let rows = [("a", 7_200, 7_200, false), ("a", 7_201, 300, true), ("a", 7_202, 600, true)];
        check(&rows, &[(0, 0), (1, 0), (2, 0)]);
        check(&[("a", 7_202, 300, true), ("a", 7_202, 600, true)], &[(0, 6_602), (1, 6_602)]);
    }

    #[test]
    fn a_letter_that_only_its_stations_profile_can_read_has_a_shift_too() {
        let lost = [(1, letter("a", 60, "time,ph\n1970-01-01 00:00:05,7\n".to_owned()))];
        assert!(auto_shifts(&lost, &ADMIT, &BTreeMap::new()).is_empty());
        let format = Some(Format::Table);
        let profile = Profile { format, utc_offset_s: Some(0), ..Profile::default() };
        let profiles = BTreeMap::from([("a".to_owned(), profile)]);
        assert_eq!(auto_shifts(&lost, &ADMIT, &profiles), BTreeMap::from([(1, T0 + 55_000)]));
    }

    #[test]
    fn what_can_be_believed_is_not_moved() {
        let good = format!(r#"{{"time":{},"values":{{"phh":7}}}}"#, T0 / 1_000);
        let bad = letter("a", 5, "not json".to_owned());
        let letters = [(1, letter("a", 5, good)), (2, bad)];
        assert!(auto_shifts(&letters, &ADMIT, &BTreeMap::new()).is_empty());
        let mixed = format!(
            r#"[{{"time":{},"values":{{"ph":7}}}},{{"time":60,"values":{{"ph":8}}}}]"#,
            T0 / 1_000
        );
        let letter = letter("a", 0, mixed);
        let mut reports = reports(&letter, &Profile::default(), None).unwrap();
        shift(&mut reports, T0 - 120_000, &ADMIT, letter.received_at);
        let at = |ms| Stated::At(Timestamp::from_millis(ms));
        assert_eq!((reports[0].taken, reports[1].taken), (at(T0), at(T0 - 60_000)));
    }
}
