//! Ranges, buckets, latest. A read takes what memory holds under a short lock, then goes through the sealed files month
//! by month without one, so a season streams through a month's memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{Aggregation, Edits, Every, ParameterCode, StationCode, Timestamp};

use crate::layers::{self, last_write_wins};
use crate::made;
use crate::month::Month;
use crate::packed::Packed;
use crate::query::Bucketing;
use crate::rollup::{Asked, Kept, Level, Piece, State};
use crate::sealed::{SealedFile, Tests};
use crate::series::{Series, Version};
use crate::store::{Files, Shared, lock};
use crate::{Bucket, History, HistoryError, Latest, Point, Query};

impl History {
    /// The readings of a series in the order of time, one for each time: the last that the journal brought.
    ///
    /// # Errors
    /// [`HistoryError::Damaged`] or [`HistoryError::UnknownVersion`] where a file that is needed cannot be trusted,
    /// [`HistoryError::Disk`] where it cannot be read.
    pub fn range(&self, query: &Query) -> Result<Vec<Point>, HistoryError> {
        let mut points = Vec::new();
        self.visit(query, |point| {
            let room = points.len() < query.limit;
            if room {
                points.push(point);
            }
            room
        })?;
        Ok(points)
    }

    /// A series by intervals, each made one number as its parameter wants it.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn buckets(
        &self,
        query: &Query,
        every: Every,
        aggregation: Aggregation,
    ) -> Result<Vec<Bucket>, HistoryError> {
        let mut buckets = Bucketing::new(every, query.limit, aggregation);
        let direction = aggregation == Aggregation::Direction;
        self.visit_kept(query, (every, direction), &|_| true, |part| match part {
            Part::Point(point) => buckets.take(&point),
            Part::Kept(kept) => buckets.merge(kept.state()),
        })?;
        Ok(buckets.finish())
    }

    /// The newest value of each parameter of a station, from memory.
    #[must_use]
    pub fn latest(&self, station: &StationCode) -> Vec<Latest> {
        let state = self.shared.read();
        let Some(number) = state.stations.find(station.as_str()) else { return Vec::new() };
        let series = state.series.of(number).iter();
        let mut all: Vec<Latest> = series
            .filter_map(|series| latest(station, state.parameters.code(series.parameter), series))
            .collect();
        drop(state);
        all.sort_by(|a, b| a.parameter.cmp(&b.parameter));
        all
    }

    /// The newest value of every series, from memory, by station and parameter.
    #[must_use]
    pub fn latest_all(&self) -> Vec<Latest> {
        let state = self.shared.read();
        // Codes are compared once each, not once for each series.
        let place = places(state.parameters.codes());
        let mut order: Vec<u32> = (0..).take(state.stations.codes().len()).collect();
        order.sort_unstable_by_key(|&station| state.stations.code(station));
        let mut all = Vec::with_capacity(state.series.iter().count());
        let mut of: Vec<&Series> = Vec::new();
        for station in order {
            of.clear();
            of.extend(state.series.of(station));
            of.sort_unstable_by_key(|series| place[series.parameter as usize]);
            let code = state.stations.code(station);
            let valued =
                |series: &&Series| latest(code, state.parameters.code(series.parameter), series);
            all.extend(of.iter().filter_map(valued));
        }
        all
    }

    /// The parameters of which the station ever reported anything, in the order of their codes.
    #[must_use]
    pub fn parameters(&self, station: &StationCode) -> Vec<ParameterCode> {
        let state = self.shared.read();
        let Some(number) = state.stations.find(station.as_str()) else { return Vec::new() };
        let series = state.series.of(number).iter();
        let mut all: Vec<_> =
            series.map(|series| state.parameters.code(series.parameter).clone()).collect();
        all.sort();
        all
    }

    /// Gives the points of a series in order until `take` has enough.
    pub(crate) fn visit(
        &self,
        query: &Query,
        mut take: impl FnMut(Point) -> bool,
    ) -> Result<(), HistoryError> {
        let (from, to) = (query.from.as_millis(), query.to.as_millis());
        if to <= from || query.limit == 0 {
            return Ok(());
        }
        let Some(from) = self.visit_beside(query, &mut take) else { return Ok(()) };
        let from = from.as_millis();
        let series = (query.station.as_str(), query.parameter.as_str());
        let view = self.shared.view(series, (from, to), known_by(query));
        for month in view.months_of(&query.edits) {
            for point in self.shared.points(&view, month, series, &query.edits)? {
                if !take(point) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The same where what is kept of whole intervals does, if it is `enough`: an interval of `every` is made up of whole
    /// ones. Where people corrected something in a month, its readings are asked.
    pub(crate) fn visit_kept(
        &self,
        query: &Query,
        (every, direction): (Every, bool),
        enough: &dyn Fn(&State) -> bool,
        mut take: impl FnMut(Part) -> bool,
    ) -> Result<(), HistoryError> {
        if query.to <= query.from || query.limit == 0 {
            return Ok(());
        }
        let beside = self.visit_beside(query, &mut |point| take(Part::Point(point)));
        let Some(from) = beside else { return Ok(()) };
        let span = (from.as_millis(), query.to.as_millis());
        let series = (query.station.as_str(), query.parameter.as_str());
        let view = self.shared.view(series, span, known_by(query));
        let level = Level::within(every);
        let asked = level.map(|level| Asked { series, span, level, direction, enough });
        for month in view.months_of(&query.edits) {
            let as_it_came = view.edits_in(month, &query.edits).change_nothing();
            let parts: Vec<Part> = match asked.as_ref().filter(|_| as_it_came) {
                Some(asked) => {
                    let pieces = self.shared.pieces(&view, month, asked)?;
                    pieces.into_iter().map(Part::of).collect()
                }
                None => {
                    let points = self.shared.points(&view, month, series, &query.edits)?;
                    points.into_iter().map(Part::Point).collect()
                }
            };
            if !parts.into_iter().all(&mut take) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A correction took the value of a series' latest reading away: finds the newest that still has one.
    pub(crate) fn find_latest_again(&self, station: u32, parameter: u32, taken: i64) {
        let (station_code, parameter_code) = {
            let state = self.shared.read();
            (state.stations.code(station).clone(), state.parameters.code(parameter).clone())
        };
        let series = (station_code.as_str(), parameter_code.as_str());
        let found = self.shared.newest_with_value(series, taken).unwrap_or_else(|error| {
            metrics::counter!("saltline_history_lookup_failed_total").increment(1);
            tracing::error!(station = %station_code, %error, "cannot find the latest value again");
            None
        });
        self.shared.write().series.set_latest(station, parameter, found);
    }
}

/// A part of an answer, as people see it.
pub(crate) enum Part {
    /// A reading.
    Point(Point),
    /// What the readings of an interval come to, none of which anybody corrected.
    Kept(Kept),
}

impl Part {
    fn of(piece: Piece) -> Self {
        match piece {
            Piece::Reading(version) => Self::Point(layers::as_it_came(version)),
            Piece::Kept(kept) => Self::Kept(kept),
        }
    }
}

fn known_by(query: &Query) -> i64 {
    query.as_of.map_or(i64::MAX, Timestamp::as_millis)
}

/// What one read works on.
pub(crate) struct View {
    /// The series in memory, sorted by time and position.
    pub(crate) hot: Vec<Version>,
    /// What is sealed, up to this position of the journal.
    pub(crate) sealed: Option<u64>,
    pub(crate) files: Files,
    span: (i64, i64),
    /// What reached us later does not count.
    pub(crate) known_by: i64,
    /// Our numbers of station and parameter; `None` where nothing ever came.
    pub(crate) numbers: Option<(u32, u32)>,
}

/// Of one month, what is read row by row.
pub(crate) struct Sources<'a> {
    pub(crate) files: Vec<Arc<SealedFile>>,
    hot: &'a [Version],
}

impl View {
    /// The months of which there is anything, in order.
    fn months(&self) -> BTreeSet<Month> {
        let (from, to) = self.span;
        let sealed = self.files.iter().filter(|file| file.overlaps(from, to));
        let hot = self.hot.iter().map(|version| Month::of(version.taken));
        sealed.map(|file| file.facts.month).chain(hot).collect()
    }

    /// The same, and those in which people put something that nobody measured.
    fn months_of(&self, edits: &Edits) -> BTreeSet<Month> {
        let (from, to) = (Timestamp::from_millis(self.span.0), Timestamp::from_millis(self.span.1));
        let fills = edits.fills(from, to);
        let fills = fills.iter().map(|at| Month::of(at.as_millis()));
        self.months().into_iter().chain(fills).collect()
    }

    /// What is asked of a month.
    fn span_in(&self, month: Month) -> (i64, i64) {
        let (from, to) = self.span;
        (from.max(month.start()), to.min(month.last().saturating_add(1)))
    }

    /// The edits that reach into it.
    fn edits_in(&self, month: Month, edits: &Edits) -> Edits {
        let (from, to) = self.span_in(month);
        edits.within(Timestamp::from_millis(from), Timestamp::from_millis(to))
    }

    /// What the files hold of a month between two times, from memory, and what is not in them yet; each time once.
    pub(crate) fn with_hot(
        &self,
        month: Month,
        packed: &Packed,
        (from, to): (i64, i64),
    ) -> Vec<Version> {
        let mut versions = Vec::new();
        packed.between((from, to), &mut versions);
        let sealed = versions.len();
        let hot = self.of_month(month).hot.iter();
        versions.extend(hot.filter(|version| from <= version.taken && version.taken < to));
        if sealed == versions.len() { versions } else { last_write_wins(versions) }
    }

    /// What memory holds of a month, and no file yet.
    pub(crate) fn of_month(&self, month: Month) -> Sources<'_> {
        let start = self.hot.partition_point(|version| version.taken < month.start());
        let end = self.hot.partition_point(|version| version.taken <= month.last());
        Sources { files: Vec::new(), hot: &self.hot[start..end] }
    }
}

/// Who asks for a week of a month reads all of it: row groups hold whole months of a station.
const PACK_MS_MIN: i64 = 7 * 86_400_000;

impl Shared {
    pub(crate) fn view(
        &self,
        (station, parameter): (&str, &str),
        span: (i64, i64),
        known_by: i64,
    ) -> View {
        let mut hot = Vec::new();
        let state = self.read();
        let numbers = state.stations.find(station).zip(state.parameters.find(parameter));
        if let Some((station, parameter)) = numbers {
            if let Some(sealing) = &state.sealing {
                sealing.tail.series((station, parameter), span, known_by, &mut hot);
            }
            state.tail.series((station, parameter), span, known_by, &mut hot);
        }
        let (files, sealed) = (state.files.clone(), state.sealed);
        drop(state);
        hot.sort_by_key(|version| (version.taken, version.position));
        View { hot, sealed, files, span, known_by, numbers }
    }

    /// One month of a series as people see it.
    fn points(
        &self,
        view: &View,
        month: Month,
        series: (&str, &str),
        edits: &Edits,
    ) -> Result<Vec<Point>, HistoryError> {
        if view.edits_in(month, edits).change_nothing() {
            let versions = self.month(view, month, series, view.span)?;
            return Ok(versions.into_iter().map(layers::as_it_came).collect());
        }
        let mut sources = view.of_month(month);
        let (from, to) = view.span;
        let files = view.files.iter().filter(|f| f.facts.month == month && f.overlaps(from, to));
        sources.files.extend(files.cloned());
        let versions = self.every_version(view, &sources, series, view.span)?;
        let own = layers::shown(versions, edits, view.known_by, view.span_in(month));
        let Some((derived, inputs)) = edits.made() else { return Ok(own) };
        let mut of = Vec::with_capacity(inputs.len());
        for (parameter, edits) in derived.inputs().iter().zip(inputs) {
            let series = (series.0, parameter.as_str());
            let view = self.view(series, view.span, view.known_by);
            of.push(self.points(&view, month, series, edits)?);
        }
        Ok(made::again(own, derived, &of, edits.wants_approved()))
    }

    /// One month of a series, each time once.
    pub(crate) fn month(
        &self,
        view: &View,
        month: Month,
        series: (&str, &str),
        (from, to): (i64, i64),
    ) -> Result<Vec<Version>, HistoryError> {
        if let Some(packed) = self.packed(view, month, series)? {
            return Ok(view.with_hot(month, &packed, (from, to)));
        }
        let mut sources = view.of_month(month);
        let files = view.files.iter().filter(|f| f.facts.month == month && f.overlaps(from, to));
        sources.files.extend(files.cloned());
        self.versions(view, &sources, series, (from, to))
    }

    /// What the sealed files hold of a month, from memory. It is read whole where so much of it is asked that the rest
    /// costs little; `None` where it is not in memory and less is asked, or not all that is known now.
    pub(crate) fn packed(
        &self,
        view: &View,
        month: Month,
        series: (&str, &str),
    ) -> Result<Option<Arc<Packed>>, HistoryError> {
        let numbers = view.numbers.filter(|_| view.known_by == i64::MAX);
        let Some((station, parameter)) = numbers else { return Ok(None) };
        let files = || view.files.iter().filter(|file| file.facts.month == month);
        let serials: Vec<u64> = files().map(|file| file.facts.serial).collect();
        let key = (station, parameter, month);
        let known = lock(&self.packed).get(key).filter(|packed| packed.serials == serials);
        if known.is_some() {
            return Ok(known);
        }
        let (from, to) = view.span;
        let asked = to.min(month.last()).saturating_sub(from.max(month.start()));
        if asked < PACK_MS_MIN || files().next().is_none() {
            return Ok(None);
        }
        let whole = (month.start(), month.last().saturating_add(1));
        let mut versions = Vec::new();
        for file in files() {
            let footer = file.footer(&self.footers)?;
            file.series(&footer, series, whole, Tests::LeftOut, &mut versions)?;
        }
        let packed = Arc::new(Packed::of(serials, &last_write_wins(versions)));
        lock(&self.packed).put(key, Arc::clone(&packed), packed.bytes());
        Ok(Some(packed))
    }

    /// What these sources hold of a series, each time once.
    pub(crate) fn versions(
        &self,
        view: &View,
        sources: &Sources<'_>,
        series: (&str, &str),
        span: (i64, i64),
    ) -> Result<Vec<Version>, HistoryError> {
        self.every_version(view, sources, series, span).map(last_write_wins)
    }

    /// Every version of each time, in no order.
    fn every_version(
        &self,
        view: &View,
        sources: &Sources<'_>,
        series: (&str, &str),
        (from, to): (i64, i64),
    ) -> Result<Vec<Version>, HistoryError> {
        let mut versions = Vec::new();
        for file in &sources.files {
            let footer = file.footer(&self.footers)?;
            file.series(&footer, series, (from, to), Tests::LeftOut, &mut versions)?;
        }
        versions.retain(|version| version.received <= view.known_by);
        let hot = sources.hot.iter().filter(|version| from <= version.taken && version.taken < to);
        versions.extend(hot);
        Ok(versions)
    }

    /// The newest reading with a value, not after `taken`, searched backwards month by month.
    fn newest_with_value(
        &self,
        series: (&str, &str),
        taken: i64,
    ) -> Result<Option<Version>, HistoryError> {
        let span = (i64::MIN, taken.saturating_add(1));
        let view = self.view(series, span, i64::MAX);
        for month in view.months().into_iter().rev() {
            let versions = self.month(&view, month, series, span)?;
            let newest = versions.into_iter().rev().find(|version| version.cell.value.is_some());
            if newest.is_some() {
                return Ok(newest);
            }
        }
        Ok(None)
    }
}

/// Of each number the place of its code among all codes in order.
fn places(codes: &[ParameterCode]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..codes.len()).collect();
    order.sort_unstable_by_key(|&number| &codes[number]);
    let mut place = vec![0; codes.len()];
    order.into_iter().enumerate().for_each(|(at, number)| place[number] = at);
    place
}

fn latest(station: &StationCode, parameter: &ParameterCode, series: &Series) -> Option<Latest> {
    let version = series.latest?;
    Some(Latest {
        station: station.clone(),
        parameter: parameter.clone(),
        taken_at: Timestamp::from_millis(version.taken),
        received_at: Timestamp::from_millis(version.received),
        value: version.cell.value?,
        flag: version.cell.flag,
    })
}
