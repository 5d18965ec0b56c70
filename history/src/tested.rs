//! What each test said of readings, and readings as they came with what lies around them: for whoever judges them again.
//! Neither people's edits nor what is kept beside the readings meet them here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use domain::{Flag, ParameterCode, StationCode, TestFlags, Timestamp};

use crate::cache::Cache;
use crate::layers::last_write_wins;
use crate::month::Month;
use crate::sealed::{Footer, SealedFile, Tests};
use crate::series::Version;
use crate::{History, HistoryError, Look};

/// A reading as it came, and what each test said of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tested {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The value in the parameter's unit; `None` when the sensor was missing.
    pub value: Option<f64>,
    /// How far it can be trusted.
    pub flag: Flag,
    /// What each test said; [`TestFlags::NONE`] where nobody tested it.
    pub tests: TestFlags,
}

/// Of a parameter its readings, in the order of time.
pub type TestedSeries = (ParameterCode, Vec<Tested>);

impl History {
    /// The readings of a series from `from` up to `to`, which is not included, with what each test said: of each time the
    /// last that the journal brought, or that had reached us by `as_of`.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn test_flags(
        &self,
        station: &StationCode,
        parameter: &ParameterCode,
        (from, to): (Timestamp, Timestamp),
        as_of: Option<Timestamp>,
    ) -> Result<Vec<Tested>, HistoryError> {
        let known_by = as_of.map_or(i64::MAX, Timestamp::as_millis);
        let view = self.shared.view((station.as_str(), parameter.as_str()), ALL, known_by);
        let one = OneSeries {
            series: (station.as_str(), parameter.as_str()),
            files: &view.files,
            footers: &self.shared.footers,
            hot: &view.hot,
            known_by,
        };
        Ok(shown(one.between((from.as_millis(), to.as_millis()))?))
    }

    /// Of each of these parameters (of all that the station ever reported, where none is named) the readings from `from` up
    /// to `to`, which is not included, and one more on either side, however far away: uncorrected, the newest version of
    /// each time.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn around(
        &self,
        station: &StationCode,
        parameters: &[ParameterCode],
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<TestedSeries>, HistoryError> {
        let all;
        let parameters = if parameters.is_empty() {
            all = self.parameters(station);
            &all[..]
        } else {
            parameters
        };
        let of = |parameter: &ParameterCode| {
            let series = (station.as_str(), parameter.as_str());
            let view = self.shared.view(series, ALL, i64::MAX);
            if view.numbers.is_none() {
                return Ok((parameter.clone(), Vec::new()));
            }
            let (files, footers) = (&view.files[..], &self.shared.footers);
            let one = OneSeries { series, files, footers, hot: &view.hot, known_by: i64::MAX };
            let readings = one.around((from.as_millis(), to.as_millis()))?;
            Ok((parameter.clone(), shown(readings)))
        };
        parameters.iter().map(of).collect()
    }
}

impl Look {
    /// As [`History::test_flags`], beside whoever has the store open.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn test_flags(
        &self,
        station: &StationCode,
        parameter: &ParameterCode,
        (from, to): (Timestamp, Timestamp),
        as_of: Option<Timestamp>,
    ) -> Result<Vec<Tested>, HistoryError> {
        let known_by = as_of.map_or(i64::MAX, Timestamp::as_millis);
        let span = (from.as_millis(), to.as_millis());
        self.one(station, parameter, known_by, |one| one.between(span)).map(shown)
    }

    /// As [`History::around`], beside whoever has the store open. Where no parameter is named, of all of which there is
    /// anything.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub fn around(
        &self,
        station: &StationCode,
        parameters: &[ParameterCode],
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<TestedSeries>, HistoryError> {
        let span = (from.as_millis(), to.as_millis());
        let of = |parameter: &ParameterCode| {
            let readings = self.one(station, parameter, i64::MAX, |one| one.around(span))?;
            Ok((parameter.clone(), shown(readings)))
        };
        if !parameters.is_empty() {
            return parameters.iter().map(of).collect();
        }
        let mut known = self.parameters().to_vec();
        known.sort();
        let mut all = known.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        all.retain(|(_, readings)| !readings.is_empty());
        Ok(all)
    }

    fn one<T>(
        &self,
        station: &StationCode,
        parameter: &ParameterCode,
        known_by: i64,
        ask: impl FnOnce(&OneSeries<'_>) -> T,
    ) -> T {
        let series = (station.as_str(), parameter.as_str());
        let hot = self.unsealed_of(series, known_by);
        let footers = Mutex::new(Cache::new(FOOTERS_BYTES_MAX));
        ask(&OneSeries { series, files: self.files(), footers: &footers, hot: &hot, known_by })
    }
}

const ALL: (i64, i64) = (i64::MIN, i64::MAX);
/// Footers that one question looks at again: those of a month of 200 stations take about 100 kB.
const FOOTERS_BYTES_MAX: usize = 1 << 20;

fn shown(versions: Vec<Version>) -> Vec<Tested> {
    let one = |version: Version| Tested {
        taken_at: Timestamp::from_millis(version.taken),
        value: version.cell.value,
        flag: version.cell.flag,
        tests: version.cell.tests,
    };
    versions.into_iter().map(one).collect()
}

/// What memory and files hold of one series.
struct OneSeries<'a> {
    series: (&'a str, &'a str),
    files: &'a [Arc<SealedFile>],
    footers: &'a Mutex<Cache<u64, Footer>>,
    hot: &'a [Version],
    known_by: i64,
}

impl OneSeries<'_> {
    /// The months of which something lies in a span, in order.
    fn months(&self, (from, to): (i64, i64)) -> BTreeSet<Month> {
        let files = self.files.iter().filter(|file| file.overlaps(from, to));
        let hot = self.hot.iter().filter(|version| from <= version.taken && version.taken < to);
        files.map(|file| file.facts.month).chain(hot.map(|v| Month::of(v.taken))).collect()
    }

    /// What of one month lies in a span, each time once.
    fn month(&self, month: Month, (from, to): (i64, i64)) -> Result<Vec<Version>, HistoryError> {
        let mut versions = Vec::new();
        let files = self.files.iter().filter(|f| f.facts.month == month && f.overlaps(from, to));
        for file in files {
            let footer = file.footer(self.footers)?;
            file.series(&footer, self.series, (from, to), Tests::Asked, &mut versions)?;
        }
        let inside = |version: &&Version| {
            let taken = version.taken;
            from <= taken && taken < to && month.start() <= taken && taken <= month.last()
        };
        versions.extend(self.hot.iter().filter(inside));
        versions.retain(|version| version.received <= self.known_by);
        Ok(last_write_wins(versions))
    }

    fn between(&self, span: (i64, i64)) -> Result<Vec<Version>, HistoryError> {
        let mut all = Vec::new();
        for month in self.months(span) {
            all.extend(self.month(month, span)?);
        }
        Ok(all)
    }

    fn around(&self, (from, to): (i64, i64)) -> Result<Vec<Version>, HistoryError> {
        let (before, behind) = ((i64::MIN, from), (to.max(from), i64::MAX));
        let mut all = Vec::new();
        for month in self.months(before).into_iter().rev() {
            if let Some(last) = self.month(month, before)?.pop() {
                all.push(last);
                break;
            }
        }
        all.extend(self.between((from, to))?);
        for month in self.months(behind) {
            if let Some(first) = self.month(month, behind)?.first() {
                all.push(*first);
                break;
            }
        }
        Ok(all)
    }
}
