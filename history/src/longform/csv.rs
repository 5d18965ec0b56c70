//! Rows of a table with a header: a line each, cells between commas, semicolons or tabs, quoted where they need it.

use std::io::Read;

use domain::{Reason, Refusal};

use super::text::{TextLines, TooLong};
use super::{Given, LINE_BYTES_MAX, Placed, Places, Row, Time, Value};

/// Cells of a line at most; columns that nobody needs are many in some databases' exports.
const CELLS_MAX: usize = 1_024;

/// A table whose header was read.
pub(super) struct Table<R> {
    lines: TextLines<R>,
    places: Places,
    columns: usize,
    delimiter: u8,
    /// Where the cells of the line begin and end in `unquoted` or in the line itself.
    cells: Vec<(usize, usize)>,
    unquoted: String,
}

impl<R: Read> Table<R> {
    /// Reads the header; also gives the columns that mean nothing here.
    pub(super) fn open(inner: R, given: Given) -> Result<(Self, Vec<String>), String> {
        let mut lines = TextLines::new(inner);
        let header = loop {
            match lines.next_line().map_err(|error| error.to_string())? {
                None => return Err("it is empty".to_owned()),
                Some(Err(TooLong)) => return Err(too_long()),
                Some(Ok(line)) if line.trim_ascii().is_empty() => (),
                Some(Ok(line)) => match std::str::from_utf8(line) {
                    Ok(line) => break line.to_owned(),
                    Err(_) => return Err("its first line is not UTF-8".to_owned()),
                },
            }
        };
        let count = |mark: char| header.chars().filter(|&c| c == mark).count();
        let delimiter = [b'\t', b';', b','].into_iter().max_by_key(|&mark| count(mark.into()));
        let delimiter = delimiter.unwrap_or(b',');
        let (mut cells, mut unquoted) = (Vec::new(), String::new());
        split(&header, delimiter, &mut cells, &mut unquoted)?;
        let names: Vec<&str> = cells.iter().map(|&(from, to)| &unquoted[from..to]).collect();
        let (places, extra) = Places::find(&names, given)?;
        let columns = names.len();
        Ok((Self { lines, places, columns, delimiter, cells, unquoted }, extra))
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Placed<'_>>, (u64, String)> {
        loop {
            let before = self.lines.number();
            let failed = |error: std::io::Error| (before, error.to_string());
            let line = before + 1;
            let refused = |detail: String, reason| {
                Ok(Some(Placed { line, row: Err(Refusal { reason, detail }) }))
            };
            let text = match self.lines.next_line().map_err(failed)? {
                None => return Ok(None),
                Some(Err(TooLong)) => return refused(too_long(), Reason::TooLarge),
                Some(Ok(text)) => text,
            };
            if text.trim_ascii().is_empty() {
                continue;
            }
            let Ok(text) = std::str::from_utf8(text) else {
                return refused("the line is not UTF-8".to_owned(), Reason::Malformed);
            };
            self.unquoted.clear();
            if let Err(why) = split(text, self.delimiter, &mut self.cells, &mut self.unquoted) {
                return refused(why, Reason::Malformed);
            }
            if self.cells.len() != self.columns {
                let detail = format!("{} cells; the header has {}", self.cells.len(), self.columns);
                return refused(detail, Reason::Malformed);
            }
            self.point();
            return Ok(Some(Placed { line, row: Ok(self.row()) }));
        }
    }

    /// Where no comma parts the cells, a comma in a value is its decimal point.
    fn point(&mut self) {
        let (from, to) = self.cells[self.places.value];
        if self.delimiter != b','
            && let Some(comma) = self.unquoted[from..to].find(',')
        {
            self.unquoted.replace_range(from + comma..=from + comma, ".");
        }
    }

    fn row(&self) -> Row<'_> {
        let cell = |at: usize| {
            let (from, to) = self.cells[at];
            self.unquoted[from..to].trim()
        };
        let places = &self.places;
        Row {
            time: Time::Text(cell(places.time)),
            station: places.station.map_or("", cell),
            parameter: cell(places.parameter),
            value: Value::Text(cell(places.value)),
            unit: places.unit.map_or("", cell),
            flag: places.flag.map_or("", cell),
        }
    }
}

fn too_long() -> String {
    format!("a line of more than {LINE_BYTES_MAX} bytes")
}

/// Cuts a line into cells; their texts, without quotes, stand side by side in `out`.
fn split(
    line: &str,
    delimiter: u8,
    cells: &mut Vec<(usize, usize)>,
    out: &mut String,
) -> Result<(), String> {
    cells.clear();
    if !line.contains('"') {
        out.push_str(line);
        let mut from = 0;
        for (at, byte) in line.bytes().enumerate() {
            if byte == delimiter {
                cells.push((from, at));
                from = at + 1;
            }
        }
        cells.push((from, line.len()));
    } else {
        let mut rest = line;
        loop {
            let from = out.len();
            rest = cell(rest, delimiter, out)?;
            cells.push((from, out.len()));
            match rest.strip_prefix(char::from(delimiter)) {
                Some(after) => rest = after,
                None => break,
            }
            if CELLS_MAX < cells.len() {
                break;
            }
        }
    }
    match cells.len() <= CELLS_MAX {
        true => Ok(()),
        false => Err(format!("more than {CELLS_MAX} cells")),
    }
}

/// Takes one cell off the front; gives what stands behind it: nothing, or the delimiter and more.
fn cell<'a>(rest: &'a str, delimiter: u8, out: &mut String) -> Result<&'a str, String> {
    let Some(quoted) = rest.trim_start_matches(' ').strip_prefix('"') else {
        let end = rest.find(char::from(delimiter)).unwrap_or(rest.len());
        out.push_str(&rest[..end]);
        return Ok(&rest[end..]);
    };
    let mut quoted = quoted;
    loop {
        let Some((before, after)) = quoted.split_once('"') else {
            return Err("a quote that is not closed on its line".to_owned());
        };
        out.push_str(before);
        if let Some(more) = after.strip_prefix('"') {
            out.push('"');
            quoted = more;
            continue;
        }
        let after = after.trim_start_matches(' ');
        return match after.is_empty() || after.starts_with(char::from(delimiter)) {
            true => Ok(after),
            false => Err("something stands behind a closing quote".to_owned()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(line: &str) -> Result<Vec<String>, String> {
        let (mut cells, mut out) = (Vec::new(), String::new());
        split(line, b',', &mut cells, &mut out)?;
        Ok(cells.iter().map(|&(from, to)| out[from..to].to_owned()).collect())
    }

    #[test]
    fn a_line_is_cut_where_its_delimiters_stand_and_nowhere_else() {
        for (line, wanted) in [
            ("a,b,,", vec!["a", "b", "", ""]),
            (r#"a,"b,c", "d""e",f"#, vec!["a", "b,c", "d\"e", "f"]),
            (r#""",x"#, vec!["", "x"]),
        ] {
            assert_eq!(cells(line).unwrap(), wanted, "{line}");
        }
        for line in [r#"a,"b"#, r#""a"b,c"#] {
            assert!(cells(line).is_err(), "{line}");
        }
        assert!(cells(&",".repeat(2_000)).is_err());
        assert!(cells(&format!("\"a\"{}", ",".repeat(2_000))).is_err());
    }

    #[test]
    fn a_broken_row_is_told_by_its_line_and_the_next_is_read() {
        let text: &[u8] = b"time_utc;station;parameter;value;unit\n\n1;2\n\xff;b;c;1;d\n\"x;b;c;1;d\nt;s;p;1,5;u\n";
        let (mut table, extra) = Table::open(text, Given::default()).unwrap();
        assert!(extra.is_empty());
        let mut told = Vec::new();
        while let Some(placed) = table.next_row().unwrap() {
            let value = placed.row.map(|row| match row.value {
                Value::Text(text) => text.to_owned(),
                other => format!("{other:?}"),
            });
            told.push((placed.line, value.map_err(|refusal| refusal.detail)));
        }
        let wanted = [
            (3, Err("2 cells; the header has 5".to_owned())),
            (4, Err("the line is not UTF-8".to_owned())),
            (5, Err("a quote that is not closed on its line".to_owned())),
            (6, Ok("1.5".to_owned())),
        ];
        assert_eq!(told, wanted);
    }
}
