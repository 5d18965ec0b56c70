//! `saltline store stats`: series, files, journals and who follows them.

use std::path::Path;

use history::{FileCount, SeriesCount};
use journal::verify;
use serde_json::{Map, Value, json};

use super::{JOURNALS, Trouble, import};
use crate::cli::output::{self, Format, Row};
use crate::judge::Tests;
use crate::readout::{self, ReadoutError};
use crate::store::{StoreError, open_registry};

pub(super) async fn run(dir: &Path, format: Format) -> Result<(), Trouble> {
    let registry = open_registry(dir).await?;
    let tests = Tests::of(&registry).await?;
    let (look, _) = readout::look(dir, &tests)?;
    let bar = import::bar("history");
    bar.set_length(look.rows(&history::Wanted::all()));
    let (files, series) = look.count(|rows| bar.set_position(rows)).map_err(ReadoutError::from)?;
    bar.finish_and_clear();
    let (mut journals, mut followers) = (Vec::new(), Vec::new());
    for name in JOURNALS {
        journal(dir, name, &mut journals, &mut followers)?;
    }
    let whole: u64 = files.iter().map(|file| file.bytes).sum();
    let parts: [(&str, Vec<Row>); 4] = [
        ("series", series.iter().map(|one| series_row(one, whole)).collect()),
        ("files", files.iter().map(file_row).collect()),
        ("journals", journals),
        ("followers", followers),
    ];
    match format {
        Format::Json => {
            let rows = |rows: &[Row]| Value::Array(rows.iter().map(output::object).collect());
            let parts = parts.iter().map(|(name, part)| ((*name).to_owned(), rows(part)));
            output::print(&format!("{}\n", Value::Object(Map::from_iter(parts))))
        }
        Format::Table | Format::Csv => {
            let text = |part: &[Row]| match format {
                Format::Csv => output::csv(part),
                _ => output::table(part),
            };
            let parts: Vec<String> = parts.iter().map(|(_, part)| text(part)).collect();
            output::print(&parts.join("\n"))
        }
    }
}

/// A journal's segments and positions, and how far each of its followers said that it is.
fn journal(
    dir: &Path,
    name: &str,
    journals: &mut Vec<Row>,
    followers: &mut Vec<Row>,
) -> Result<(), Trouble> {
    let folder = dir.join(name);
    let segments = verify::segments(&folder).map_err(StoreError::from)?;
    let Some((first, last)) = segments.first().zip(segments.last()) else { return Ok(()) };
    let mut end = last.first;
    let mut next = |position: u64| {
        end = position + 1;
        true
    };
    journal::since(&folder, last.first, |position, _| next(position)).map_err(StoreError::from)?;
    journals.push(vec![
        ("journal", json!(name)),
        ("segments", json!(segments.len())),
        ("oldest", json!(first.first)),
        ("end", json!(end)),
        ("bytes", json!(segments.iter().map(|segment| segment.bytes).sum::<u64>())),
    ]);
    for (follower, at) in journal::cursors(&folder).map_err(StoreError::from)? {
        followers.push(vec![
            ("journal", json!(name)),
            ("follower", json!(follower)),
            ("at", json!(at)),
            ("lag", json!(end.saturating_sub(at))),
        ]);
    }
    Ok(())
}

fn series_row(one: &SeriesCount, whole: u64) -> Row {
    let share = if whole == 0 { 0.0 } else { one.bytes / whole as f64 };
    vec![
        ("station", json!(one.station.as_str())),
        ("parameter", json!(one.parameter.as_str())),
        ("readings", json!(one.readings)),
        ("first", json!(one.first.to_string())),
        ("last", json!(one.last.to_string())),
        ("bytes", json!(one.bytes.round() as u64)),
        ("share", json!((share * 1e4).round() / 1e4)),
    ]
}

fn file_row(file: &FileCount) -> Row {
    vec![
        ("file", json!(file.name.display().to_string())),
        ("rows", json!(file.rows)),
        ("readings", json!(file.readings)),
        ("bytes", json!(file.bytes)),
        (
            "bytes_per_reading",
            json!((file.bytes as f64 / file.readings.max(1) as f64 * 1e3).round() / 1e3),
        ),
        ("first", json!(file.first.to_string())),
        ("last", json!(file.last.to_string())),
    ]
}
