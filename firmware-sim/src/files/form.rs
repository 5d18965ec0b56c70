//! What a file says: salinity and pH of some records, in the form of the logger.

use std::fmt::Write as _;

use domain::Timestamp;

/// How a logger writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The text of Circular 10/2021, in Vietnam's time.
    Circular10,
    /// A table of Campbell Scientific, in the logger's own time: Vietnam's.
    Toa5,
    /// A table with a header, in UTC.
    Csv,
    /// A report in each line.
    JsonLines,
}

impl Form {
    /// Every form with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("circular-10", Self::Circular10),
        ("toa5", Self::Toa5),
        ("csv", Self::Csv),
        ("json-lines", Self::JsonLines),
    ];

    /// The name of a file whose last record is of `at`.
    pub(super) fn name(self, station: &str, at: Timestamp) -> String {
        let stamp = at.local().strftime("%Y%m%d%H%M%S").to_string();
        match self {
            Self::Circular10 => format!("TG_SL_{station}_{stamp}.txt"),
            Self::Toa5 => format!("{station}_{stamp}.dat"),
            Self::Csv => format!("{station}_{stamp}.csv"),
            Self::JsonLines => format!("{station}_{stamp}.jsonl"),
        }
    }

    /// The lines of a file.
    pub(super) fn text(self, station: &str, number: usize, records: &[Timestamp]) -> String {
        let mut text = self.head(station);
        for (row, at) in records.iter().enumerate() {
            let (salt, ph) = (salinity(number, *at), ph(*at));
            let local = |form| at.local().strftime(form).to_string();
            // Writing to a text cannot fail.
            match self {
                Self::Circular10 => {
                    let stamp = local("%Y%m%d%H%M%S");
                    write!(
                        text,
                        "Sal\t{salt:.2}\tg/L\t{stamp}\t00\r\npH\t{ph:.1}\t-\t{stamp}\t00\r\n"
                    )
                }
                Self::Toa5 => {
                    write!(text, "\"{}\",{row},{salt:.2},{ph:.1}\r\n", local("%Y-%m-%d %H:%M:%S"))
                }
                Self::Csv => writeln!(text, "{at},{salt:.2},{ph:.1}"),
                Self::JsonLines => {
                    writeln!(
                        text,
                        "{{\"time\":\"{at}\",\"values\":{{\"salinity\":{salt:.2},\"ph\":{ph:.1}}}}}"
                    )
                }
            }
            .ok();
        }
        text
    }

    fn head(self, station: &str) -> String {
        match self {
            Self::Circular10 | Self::JsonLines => String::new(),
            Self::Csv => "time,salinity (g/L),ph\n".to_owned(),
            Self::Toa5 => format!(
                "\"TOA5\",\"{station}\",\"CR300\",\"1\",\"CR300.Std.10\",\"sim.CR300\",\"1\",\"Table1\"\r\n\
                 \"TIMESTAMP\",\"RECORD\",\"salinity\",\"ph\"\r\n\"TS\",\"RN\",\"ppt\",\"pH\"\r\n\"\",\"\",\"Avg\",\"Avg\"\r\n"
            ),
        }
    }

    /// What separates the words of a line.
    pub(super) const fn separator(self) -> char {
        match self {
            Self::Circular10 => '\t',
            Self::Toa5 | Self::Csv | Self::JsonLines => ',',
        }
    }
}

/// The salinity that station `number` (counted from 0) writes for this minute, g/L: another one in each minute of two days.
#[must_use]
pub fn salinity(number: usize, at: Timestamp) -> f64 {
    let minute = at.as_millis().div_euclid(60_000).rem_euclid(3_000) as usize;
    ((minute * 7 + number * 101) % 3_000) as f64 / 100.0
}

fn ph(at: Timestamp) -> f64 {
    7.0 + at.as_millis().div_euclid(60_000).rem_euclid(10) as f64 / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_each_form_says_its_records() {
        let at = Timestamp::parse_rfc3339("2026-03-12T05:00:00+07:00").unwrap();
        let salt = format!("{:.2}", salinity(1, at));
        for (name, form) in Form::ALL {
            let text = form.text("XH01", 1, &[at, at]);
            assert_eq!(text.matches(&salt).count(), 2, "{name}: {text}");
            assert!(text.ends_with('\n') && form.name("XH01", at).contains("XH01_20260312050000."));
        }
        assert_ne!(salinity(0, at), salinity(1, at));
    }
}
