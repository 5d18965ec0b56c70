//! What the water of a station is, by Vietnam's index and limits. The good and suspect readings of an interval are taken
//! together as one sample, of which the law's tables speak; nothing is made of what was not measured.

use domain::water_quality::limits::{Judgement, Purpose, Table, in_force};
use domain::water_quality::vn_wqi::{Computability, vn_wqi};
use domain::water_quality::{Analyte, Exceedance, ExceedanceRule, Sample, exceedance};
use domain::water_quality::{FirstFlush, FirstFlushRule, first_flushes};
use domain::{Every, Flag, Parameter, Shown, Station, Timestamp};

use crate::problem::Problem;
use crate::site::Site;
use crate::view::{Book, Bucket, Point, Wanted};

/// The water's temperature, which oxygen needs.
const WATER_TEMPERATURE: &str = "water_temperature";
const RAINFALL: &str = "rainfall";

/// Readings of one series that a question about limits reads: a year of a reading every minute.
const POINTS_MAX: usize = 600_000;

/// The station whose water is asked for, and what of it.
pub(crate) struct Asked<'a> {
    pub(crate) site: &'a Site,
    pub(crate) book: &'a Book,
    pub(crate) station: &'a Station,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) shown: Shown,
}

/// What was measured of one analyte in an interval.
pub(crate) struct Amount<'a> {
    pub(crate) analyte: Analyte,
    pub(crate) parameter: &'a Parameter,
    pub(crate) bucket: Bucket,
    /// Their mean, in the analyte's unit.
    pub(crate) mean: f64,
}

/// The water of one interval.
pub(crate) struct Interval<'a> {
    pub(crate) start: Timestamp,
    pub(crate) amounts: Vec<Amount<'a>>,
    /// °C, the mean.
    pub(crate) water_c: Option<f64>,
    pub(crate) index: Computability,
    /// The tables that were in force when it began, and what they say.
    pub(crate) judged: Vec<(&'static Table, Judgement)>,
}

/// How long a limit was not kept.
pub(crate) struct Over<'a> {
    pub(crate) analyte: Analyte,
    pub(crate) parameter: &'a Parameter,
    pub(crate) rule: ExceedanceRule,
    pub(crate) exceedance: Exceedance,
}

impl<'a> Asked<'a> {
    /// What the station measures that the tables speak of. A parameter of another unit than the law's is none.
    ///
    /// # Errors
    /// A [`Problem`] where history does not answer.
    pub(crate) async fn analytes(&self) -> Result<Vec<(Analyte, &'a Parameter)>, Problem> {
        let known = self.site.view.parameters(&self.station.code).await?;
        let of = |analyte: &Analyte| {
            let parameter = self.book.parameter(analyte.code())?;
            let told = is_unit_of(&parameter.unit, *analyte) && known.contains(&parameter.code);
            told.then_some((*analyte, parameter))
        };
        Ok(Analyte::ALL.iter().filter_map(of).collect())
    }

    /// The water of each interval in which any of `analytes` was measured, oldest first.
    ///
    /// # Errors
    /// A [`Problem`] where history does not answer.
    pub(crate) async fn intervals(
        &self,
        analytes: &[(Analyte, &'a Parameter)],
        every: Every,
    ) -> Result<Vec<Interval<'a>>, Problem> {
        let mut found: Vec<Interval<'a>> = Vec::new();
        for &(analyte, parameter) in analytes {
            for bucket in self.buckets(parameter, every).await? {
                let Some(mean) = bucket.mean.filter(|mean| mean.is_finite()) else { continue };
                let amount = Amount { analyte, parameter, bucket, mean };
                match found.iter_mut().find(|interval| interval.start == bucket.start) {
                    Some(interval) => interval.amounts.push(amount),
                    None => found.push(Interval::of(bucket.start, amount)),
                }
            }
        }
        found.sort_by_key(|interval| interval.start);
        if let Some(parameter) = self.book.parameter(WATER_TEMPERATURE) {
            for bucket in self.buckets(parameter, every).await? {
                if let Some(interval) = found.iter_mut().find(|one| one.start == bucket.start) {
                    interval.water_c = bucket.mean;
                }
            }
        }
        found.iter_mut().for_each(|interval| interval.judge(interval.start.max(self.from)));
        Ok(found)
    }

    /// How long the bounds of a column of the table of classes in force at the end were not kept.
    ///
    /// # Errors
    /// A [`Problem`] where history does not answer.
    pub(crate) async fn over(
        &self,
        analytes: &[(Analyte, &'a Parameter)],
        (table, column): (&Table, &str),
    ) -> Result<Vec<Over<'a>>, Problem> {
        let mut all = Vec::new();
        for &(analyte, parameter) in analytes {
            let Some(bound) = table.bound(analyte, column) else { continue };
            let rule = ExceedanceRule::of(bound);
            let readings = self.readings(parameter, self.from).await?;
            let exceedance = exceedance(&readings, self.from, self.to, &rule);
            all.push(Over { analyte, parameter, rule, exceedance });
        }
        Ok(all)
    }

    /// When rain after dry days washed the streets into this water, by the station's own gauge.
    ///
    /// # Errors
    /// A [`Problem`] where history does not answer.
    pub(crate) async fn first_flushes(&self) -> Result<Vec<FirstFlush>, Problem> {
        let known = self.site.view.parameters(&self.station.code).await?;
        let gauge = self.book.parameter(RAINFALL).filter(|it| known.contains(&it.code));
        let Some(gauge) = gauge else { return Ok(Vec::new()) };
        let rule = FirstFlushRule { interval: self.station.interval, ..FirstFlushRule::default() };
        // A flush that began before reaches into the range, and dry days lie before it.
        let rain = self.readings(gauge, self.from - rule.lasts - rule.dry - rule.within).await?;
        let mut found = first_flushes(&rain, &rule);
        found.retain(|flush| self.from < flush.until && flush.from < self.to);
        Ok(found)
    }

    async fn buckets(&self, parameter: &Parameter, every: Every) -> Result<Vec<Bucket>, Problem> {
        let wanted = self.wanted(parameter, self.from);
        Ok(self.site.view.buckets(wanted, every, parameter.aggregation).await?)
    }

    async fn readings(
        &self,
        parameter: &Parameter,
        from: Timestamp,
    ) -> Result<Vec<(Timestamp, f64, Flag)>, Problem> {
        let points = self.site.view.points(self.wanted(parameter, from), POINTS_MAX + 1).await?;
        if POINTS_MAX < points.len() {
            let detail =
                format!("that is more than {POINTS_MAX} readings; ask for a shorter range");
            return Err(Problem::bad_query(detail));
        }
        let valued = |point: &Point| Some((point.taken_at, point.value?, point.flag));
        Ok(points.iter().filter_map(valued).collect())
    }

    fn wanted(&self, parameter: &Parameter, from: Timestamp) -> Wanted {
        Wanted {
            station: self.station.code.clone(),
            parameter: parameter.code.clone(),
            from,
            to: self.to,
            as_of: self.as_of,
            edits: self.book.edits_of(&self.station.code, &parameter.code, self.shown),
        }
    }
}

impl<'a> Interval<'a> {
    fn of(start: Timestamp, amount: Amount<'a>) -> Self {
        let index = Computability::NotComputable { missing: Vec::new() };
        Self { start, amounts: vec![amount], water_c: None, index, judged: Vec::new() }
    }

    fn judge(&mut self, at: Timestamp) {
        let sample: Sample = self.amounts.iter().map(|it| (it.analyte, it.mean)).collect();
        self.index = vn_wqi(&sample, self.water_c);
        let tables = [Purpose::Classes, Purpose::Health].map(|it| table(it, at));
        let judged = tables.into_iter().flatten().map(|it| Some((it, it.judge(&sample)?)));
        self.judged = judged.flatten().collect();
    }
}

/// The column that is asked for where nobody says which: of water that is fit for irrigation, B of QCVN 08:2023 and B1 of QCVN
/// 08-MT:2015, and the one in the middle of both.
pub(crate) fn usual_column(table: &'static Table) -> &'static str {
    table.columns.get(table.columns.len() / 2).copied().unwrap_or_default()
}

/// Is the unit the one that the law's tables have? Of nitrogen ours says that it is of N, as theirs is; bacteria are counted
/// as MPN or CFU.
fn is_unit_of(unit: &str, analyte: Analyte) -> bool {
    let bare = unit.trim_end_matches(" N").trim_end_matches(" P");
    let bare = bare.trim_start_matches("MPN").trim_start_matches("CFU");
    bare.replace("100mL", "100 mL") == analyte.symbol_and_unit().1
}

/// The table of this purpose that was in force on the day of Vietnam that this moment is in.
pub(crate) fn table(purpose: Purpose, at: Timestamp) -> Option<&'static Table> {
    in_force(purpose, at.local().date())
}
