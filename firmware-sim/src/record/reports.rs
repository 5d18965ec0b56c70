//! Rows of one time become one report, and every row that does not get into a report is counted under a reason:
//! `rows = values + skipped + superseded + repeated + not a number + outside`.

use std::collections::BTreeMap;

use domain::{ParameterCode, Timestamp};

use super::{Mapping, Record, Target};

/// All values of one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// When they were measured.
    pub at: Timestamp,
    /// Value by our code.
    pub values: BTreeMap<ParameterCode, f64>,
}

/// A record as reports, and what became of every row.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Sorted {
    /// Oldest first.
    #[serde(skip)]
    pub reports: Vec<Report>,
    /// Rows in the file.
    pub rows: u64,
    /// Rows that are in a report.
    pub values: u64,
    /// Rows of a quantity that is not ours, by name and unit.
    pub skipped: BTreeMap<String, u64>,
    /// Rows whose quantity came from a better source in the same report, by name.
    pub superseded: BTreeMap<String, u64>,
    /// Rows that say the same quantity at the same time once more; the last counts.
    pub repeated: u64,
    /// Rows without a number.
    pub not_a_number: u64,
    /// Rows outside of the wanted times.
    pub outside: u64,
}

/// Makes reports of a record, from `from` (included) to `to` (excluded).
#[must_use]
pub fn sort(
    record: &Record,
    mapping: &Mapping,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Sorted {
    let targets: Vec<Option<Target>> =
        record.series.iter().map(|(name, unit)| mapping.target(name, unit)).collect();
    let mut sorted = Sorted { rows: record.rows.len() as u64, ..Sorted::default() };
    let mut rows = record.rows.clone();
    // Stable: of two rows of one quantity and time the file's last stays last.
    rows.sort_by_key(|row| row.at);
    let mut open: Option<Open> = None;
    for row in rows {
        if from.is_some_and(|from| row.at < from) || to.is_some_and(|to| to <= row.at) {
            sorted.outside += 1;
            continue;
        }
        let (name, unit) = &record.series[usize::from(row.series)];
        let Some(target) = &targets[usize::from(row.series)] else {
            *sorted.skipped.entry(format!("{name} ({unit})")).or_default() += 1;
            continue;
        };
        if !row.value.is_finite() {
            sorted.not_a_number += 1;
            continue;
        }
        if open.as_ref().is_none_or(|(at, _)| *at != row.at) {
            close(open.replace((row.at, BTreeMap::new())), &mut sorted);
        }
        if let Some((_, values)) = &mut open {
            let new = (target.rank, row.series, row.value);
            let loser = match values.get(&target.code) {
                Some(old) if old.0 < new.0 => Some(new),
                _ => values.insert(target.code.clone(), new),
            };
            match loser {
                Some((_, series, _)) if series == row.series && loser != Some(new) => {
                    sorted.repeated += 1;
                }
                Some((_, series, _)) => {
                    let name = record.series[usize::from(series)].0.clone();
                    *sorted.superseded.entry(name).or_default() += 1;
                }
                None => {}
            }
        }
    }
    close(open, &mut sorted);
    sorted
}

/// The report that is being gathered: rank, series and value by our code.
type Open = (Timestamp, BTreeMap<ParameterCode, (u8, u16, f64)>);

fn close(open: Option<Open>, sorted: &mut Sorted) {
    let Some((at, values)) = open else { return };
    sorted.values += values.len() as u64;
    let values = values.into_iter().map(|(code, (_, _, value))| (code, value)).collect();
    sorted.reports.push(Report { at, values });
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sorted {
        /// The sum that has to be the number of rows.
        fn accounted(&self) -> u64 {
            let sum = |map: &BTreeMap<String, u64>| map.values().sum::<u64>();
            self.values
                + sum(&self.skipped)
                + sum(&self.superseded)
                + self.repeated
                + self.not_a_number
                + self.outside
        }
    }

    fn record(rows: &[(i64, &str, &str, f64)]) -> Record {
        let mut record = Record::default();
        for (at, name, unit, value) in rows {
            let series = record.series(name, unit).unwrap();
            record.push(Timestamp::from_millis(*at), series, *value).unwrap();
        }
        record
    }

    #[test]
    fn every_row_is_in_a_report_or_counted_under_a_reason() {
        let record = record(&[
            (2, "salinity", "psu", 8.85),
            (1, "salinity", "psu", 8.1),
            (1, "depth", "m", 1.0),
            (2, "depth", "m", 1.1),
            (1, "depth_corr", "m", 0.9),
            (1, "do_sat", "%", 80.0),
            (2, "salinity", "psu", 8.9),
            (2, "ph", "1", f64::NAN),
            (9, "ph", "1", 7.0),
        ]);
        let mapping = Mapping::default();
        let sorted = sort(&record, &mapping, None, Some(Timestamp::from_millis(9)));
        assert_eq!(sorted.accounted(), sorted.rows);
        let value = |report: usize, code: &str| sorted.reports[report].values.get(code).copied();
        assert_eq!(value(0, "water_level"), Some(0.9), "corrected is preferred");
        assert_eq!(value(1, "water_level"), Some(1.1), "uncorrected is better than none");
        assert_eq!(value(1, "salinity"), Some(8.9), "the last row of a time counts");
        assert_eq!(sorted.superseded["depth"], 1);
        assert_eq!(sorted.skipped["do_sat (%)"], 1);
        assert_eq!((sorted.repeated, sorted.not_a_number, sorted.outside), (1, 1, 1));
    }

    #[test]
    fn the_real_records_are_accounted_for_row_by_row() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let samples = [
            ("samples/apadb_sample.csv.gz", "do_sat (%)"),
            ("samples/apaeb_met_sample.csv.gz", "par_total (mmol/m2)"),
            ("series/xuanhoa_level_2020.parquet", ""),
            ("series/welsm_2019.parquet", "do_sat (%)"),
        ];
        for (path, skipped) in samples {
            let path = folder.join(path);
            if !path.exists() {
                eprintln!("skipped: {} is not here", path.display());
                continue;
            }
            let record = crate::record::read(&path).unwrap();
            let sorted = sort(&record, &Mapping::default(), None, None);
            eprintln!("{}: {} rows, {} reports", path.display(), sorted.rows, sorted.reports.len());
            assert_eq!(sorted.accounted(), sorted.rows);
            assert!(sorted.rows > 200 && !sorted.reports.is_empty());
            assert!(sorted.reports.windows(2).all(|w| w[0].at < w[1].at));
            assert!(skipped.is_empty() || sorted.skipped.contains_key(skipped));
        }
    }
}
