//! CSV with a header line; a field may stand in quotes. Columns are found by name, in any order.

use std::io::{BufRead, BufReader, Read};

use domain::Timestamp;

use super::{Record, RecordError};

/// Reads the whole text.
pub(super) fn read(text: impl Read) -> Result<Record, RecordError> {
    let mut lines = BufReader::new(text).lines();
    let header = lines.next().transpose()?.unwrap_or_default();
    let header = fields(header.trim_start_matches('\u{feff}'));
    let column = |column: &'static str| {
        header
            .iter()
            .position(|name| name == column)
            .ok_or(RecordError::Column { column, what: "missing".to_owned() })
    };
    let (time, parameter, value) = (column("time_utc")?, column("parameter")?, column("value")?);
    let unit = column("unit")?;
    let mut record = Record::default();
    for (index, line) in lines.enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: String| RecordError::Line { line: index + 2, what };
        let fields = fields(&line);
        let field = |i: usize| {
            fields.get(i).map(String::as_str).ok_or_else(|| wrong("too few fields".to_owned()))
        };
        let at = Timestamp::parse_rfc3339(field(time)?).map_err(|e| wrong(e.to_string()))?;
        let said = field(value)?;
        let number = match said {
            "" => f64::NAN,
            said => said.parse().map_err(|_| wrong(format!("`{said}` is not a number")))?,
        };
        let series = record.series(field(parameter)?, field(unit)?)?;
        record.push(at, series, number)?;
    }
    Ok(record)
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.trim_end_matches('\r').chars().peekable();
    while let Some(letter) = letters.next() {
        let last = fields.len() - 1;
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                fields[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            letter => fields[last].push(letter),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_quotes_are_opened() {
        let text = "unit,value,parameter,time_utc,source_flag\r\n\
                    psu,8.85,salinity,2024-03-11T22:00:00Z,\"<1>, [SSD] \"\"drift\"\"\"\r\n\
                    \r\nm,,level,2024-03-11T22:00:00Z,\r\n";
        let record = read(text.as_bytes()).unwrap();
        assert_eq!(record.series[0], ("salinity".to_owned(), "psu".to_owned()));
        assert_eq!(record.rows.len(), 2);
        assert!(record.rows[1].value.is_nan(), "an empty value is no number");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let head = "time_utc,station,parameter,value,unit,source_flag\n";
        for (text, why) in [
            (String::new(), "column `time_utc`: missing"),
            (
                format!("{head}2024-03-11T22:00:00,x,salinity,1,psu,\n"),
                "line 2: time has no offset",
            ),
            (format!("{head}2024-03-11T22:00:00Z,x,salinity,much,psu,\n"), "line 2: `much`"),
            (format!("{head}2024-03-11T22:00:00Z,x\n"), "line 2: too few fields"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
