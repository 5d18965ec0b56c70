//! Rows on stdout as a table, JSON or CSV.

use std::io::Write;

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::Trouble;

/// How rows are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// One JSON array (or object).
    Json,
    /// RFC 4180, with a header.
    Csv,
}

/// One row: names and values, in order.
pub type Row = Vec<(&'static str, Value)>;

/// Writes a text to stdout.
pub fn print(text: &str) -> Result<(), Trouble> {
    let written = std::io::stdout().write_all(text.as_bytes());
    match written {
        // `saltline … | head` has seen enough: that is no fault.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Trouble::Later(format!("cannot write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Writes many rows.
pub fn rows(format: Format, rows: &[Row]) -> Result<(), Trouble> {
    match format {
        Format::Json => {
            let all: Vec<Value> = rows.iter().map(object).collect();
            print(&format!("{}\n", Value::Array(all)))
        }
        Format::Csv => print(&csv(rows)),
        Format::Table => print(&table(rows)),
    }
}

/// Writes one thing.
pub fn one(format: Format, row: &Row) -> Result<(), Trouble> {
    match format {
        Format::Json => print(&format!("{}\n", object(row))),
        other => rows(other, std::slice::from_ref(row)),
    }
}

/// A row as a JSON object.
pub fn object(row: &Row) -> Value {
    Value::Object(Map::from_iter(
        row.iter().map(|(name, value)| ((*name).to_owned(), value.clone())),
    ))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Rows as RFC 4180 has them.
pub fn csv(rows: &[Row]) -> String {
    let quote = |cell: String| match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    };
    let mut out = String::new();
    let Some(first) = rows.first() else { return out };
    let header: Vec<_> = first.iter().map(|(name, _)| (*name).to_owned()).collect();
    out.push_str(&(header.join(",") + "\r\n"));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|(_, value)| quote(text(value))).collect();
        out.push_str(&(cells.join(",") + "\r\n"));
    }
    out
}

/// Rows in columns for people.
pub fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let header: Vec<String> = first.iter().map(|(name, _)| name.to_uppercase()).collect();
    let body = rows.iter().map(|row| row.iter().map(|(_, value)| text(value)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(body).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..first.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cell_with_commas_and_quotes_is_one_cell() {
        let row: Row = vec![("name", json!("Cống \"Xuân Hòa\", cũ")), ("km", json!(42.0))];
        assert_eq!(csv(&[row]), "name,km\r\n\"Cống \"\"Xuân Hòa\"\", cũ\",42.0\r\n");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |code: &str| -> Row { vec![("code", json!(code)), ("km", json!(null))] };
        assert_eq!(table(&[row("xuan-hoa"), row("a")]), "CODE      KM\nxuan-hoa\na\n");
    }
}
