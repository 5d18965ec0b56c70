//! Rows of one time, side by side: what long form has as six rows, a station said in one breath, and the journal keeps
//! as one record. Files are sorted in all ways (by parameter, by station, by time), so rows are gathered before any of them
//! goes on; what is of one time and falls into two gatherings becomes two records, and reads back the same.

use domain::{Flag, Reason, Refusal, Timestamp};

use super::Reading;

/// Readings that are gathered: of 32 bytes each, so 64 MiB, and the years of a station with eight parameters each quarter
/// of an hour (280,000 a year) mostly fit in at once.
pub const READINGS_MAX: usize = 2_000_000;

/// Readings that are gathered.
#[derive(Debug, Default)]
pub struct Gather {
    held: Vec<Held>,
}

/// A reading, packed.
#[derive(Debug, Clone, Copy)]
struct Held {
    taken: i64,
    line: u64,
    /// NaN where there is none: what is no number was refused before.
    value: f64,
    station: u32,
    parameter: u16,
    flag: Flag,
}

/// What a station said at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Wide {
    /// The station's number.
    pub station: u32,
    /// When.
    pub taken_at: Timestamp,
    /// Parameter's number, value and flag of each, and the row it comes from.
    pub values: Vec<(u32, Option<f64>, Flag, u64)>,
    /// Rows that said the same once more.
    pub repeated: u64,
    /// Rows that said something else of the same.
    pub refused: Vec<(u64, Refusal)>,
}

impl Gather {
    /// How many readings are gathered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Is nothing gathered?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Is there no room for another?
    #[must_use]
    pub fn is_full(&self) -> bool {
        READINGS_MAX <= self.held.len()
    }

    /// Takes a reading.
    pub fn add(&mut self, reading: &Reading) {
        let &Reading { line, station, parameter, taken_at, value, flag } = reading;
        self.held.push(Held {
            taken: taken_at.as_millis(),
            line,
            value: value.unwrap_or(f64::NAN),
            station,
            parameter: u16::try_from(parameter).expect("parameters are rows of the registry"),
            flag,
        });
    }

    /// Gives what was gathered by time and station, and is empty again. By time first, because history seals by months.
    pub fn drain(&mut self) -> impl Iterator<Item = Wide> + '_ {
        self.held
            .sort_unstable_by_key(|held| (held.taken, held.station, held.parameter, held.line));
        Wides { gather: self, at: 0 }
    }
}

struct Wides<'a> {
    gather: &'a mut Gather,
    at: usize,
}

impl Iterator for Wides<'_> {
    type Item = Wide;

    fn next(&mut self) -> Option<Wide> {
        let rest = &self.gather.held[self.at..];
        let first = *rest.first()?;
        let of = |held: &Held| (held.taken, held.station) == (first.taken, first.station);
        let end = rest.iter().position(|held| !of(held)).unwrap_or(rest.len());
        self.at += end;
        let mut wide = Wide {
            station: first.station,
            taken_at: Timestamp::from_millis(first.taken),
            values: Vec::with_capacity(end),
            repeated: 0,
            refused: Vec::new(),
        };
        for held in &rest[..end] {
            wide.take(held);
        }
        Some(wide)
    }
}

impl Drop for Wides<'_> {
    fn drop(&mut self) {
        self.gather.held.clear();
    }
}

impl Wide {
    /// Rows of one parameter stand together, by their place in the file.
    fn take(&mut self, held: &Held) {
        let parameter = u32::from(held.parameter);
        let value = (!held.value.is_nan()).then_some(held.value);
        match self.values.last() {
            Some(&(known, had, flag, _))
                if known == parameter && (had, flag) == (value, held.flag) =>
            {
                self.repeated += 1;
            }
            Some(&(known, _, _, line)) if known == parameter => {
                let detail = format!(
                    "row {line} says something else of the same station, parameter and time"
                );
                self.refused
                    .push((held.line, Refusal { reason: Reason::RepeatedParameter, detail }));
            }
            _ => self.values.push((parameter, value, held.flag, held.line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(line: u64, station: u32, parameter: u32, ms: i64, value: Option<f64>) -> Reading {
        let taken_at = Timestamp::from_millis(ms);
        Reading { line, station, parameter, taken_at, value, flag: Flag::Good }
    }

    #[test]
    fn rows_of_one_time_become_one_record_however_they_were_sorted() {
        let mut gather = Gather::default();
        let rows = [
            reading(1, 0, 0, 20, Some(1.0)),
            reading(2, 0, 0, 10, Some(2.0)),
            reading(3, 0, 1, 10, None),
            reading(4, 1, 1, 10, Some(3.0)),
            reading(5, 0, 0, 10, Some(2.0)),
            reading(6, 0, 0, 10, Some(2.5)),
        ];
        rows.iter().for_each(|row| gather.add(row));
        let wides: Vec<Wide> = gather.drain().collect();
        let told: Vec<_> = wides
            .iter()
            .map(|wide| (wide.taken_at.as_millis(), wide.station, wide.values.len(), wide.repeated))
            .collect();
        assert_eq!(told, [(10, 0, 2, 1), (10, 1, 1, 0), (20, 0, 1, 0)]);
        assert_eq!(wides[0].refused[0].0, 6);
        assert_eq!(wides[0].refused[0].1.reason, Reason::RepeatedParameter);
        assert!(gather.is_empty());
    }
}
