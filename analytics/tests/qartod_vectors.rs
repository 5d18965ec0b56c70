//! The flags of `ioos_qc` 3.0.0, test by test, on two months of a station whose sensor fails
//! (`../shared/data/vectors/MANIFEST.json`). Climatology is scored where there is a value, as the manifest says.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its vectors fails here")]

use std::io::Read;
use std::path::{Path, PathBuf};

use analytics::quality::{
    Attenuated, Check, Flat, Gaps, Gross, Levels, Limits, Period, Point, Rate, Season, TestPlan,
    judge,
};
use domain::{Flag, QualityTest, Timestamp};
use flate2::read::GzDecoder;
use serde_json::Value;

fn vectors() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/vectors");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no vectors at {}", folder.display());
    None
}

#[test]
fn every_flag_is_the_flag_of_ioos_qc() {
    let Some(folder) = vectors() else { return };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let mut scored = 0;
    for file in manifest["qartod"]["files"].as_array().unwrap() {
        let rows = rows(&folder.join(file["file"].as_str().unwrap()));
        let parameters = &file["parameters"];
        for check in [Check::Std, Check::Range] {
            scored += compare(&rows, &limits(parameters, check), check);
        }
    }
    // In each of both files: five tests twice and either swing once in all rows, climatology twice and the worst once
    // where there is a value.
    assert_eq!(scored, 2 * (5_760 * (5 * 2 + 2) + (5_760 - 1_135) * 3));
}

fn compare(rows: &[Row], limits: &Limits, check: Check) -> usize {
    let plan = TestPlan::new(limits).unwrap();
    let record: Vec<Point> = rows.iter().map(|row| row.point).collect();
    let judged = judge(&plan, &record);
    let mut scored = 0;
    for (row, flags) in rows.iter().zip(judged) {
        for (name, number) in &row.flags {
            let absent = row.point.value.is_none();
            let ours = match (name.as_str(), check) {
                ("attenuated_std", Check::Range) | ("attenuated_range", Check::Std) => continue,
                ("aggregate", Check::Range) => continue,
                ("climatology" | "aggregate", _) if absent => continue,
                ("attenuated_std" | "attenuated_range", _) => {
                    flags.get(QualityTest::AttenuatedSignal)
                }
                ("aggregate", _) => Some(flags.worst()),
                (name, _) => flags.get(QualityTest::from_name(name).unwrap()),
            };
            assert_eq!(
                ours.map(Flag::number),
                Some(*number),
                "{name} at {}: {flags}",
                row.point.at
            );
            scored += 1;
        }
    }
    scored
}

struct Row {
    point: Point,
    flags: Vec<(String, u8)>,
}

fn rows(path: &Path) -> Vec<Row> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().unwrap().clone();
    reader.records().map(|record| row(&names, &record.unwrap())).collect()
}

fn row(names: &csv::StringRecord, record: &csv::StringRecord) -> Row {
    let at = Timestamp::parse_rfc3339(&record[0]).unwrap();
    let value = (!record[1].is_empty()).then(|| record[1].parse().unwrap());
    let tests = names.iter().zip(record).skip(2).filter(|(name, _)| *name != "source_flag");
    let flags = tests.map(|(name, flag)| (name.to_owned(), flag.parse().unwrap())).collect();
    Row { point: Point::new(at, value), flags }
}

fn limits(parameters: &Value, check: Check) -> Limits {
    let number = |test: &str, key: &str| parameters[test][key].as_f64().unwrap();
    let spike = Levels {
        suspect: number("spike", "suspect_threshold"),
        fail: Some(number("spike", "fail_threshold")),
    };
    let times = if check == Check::Range { 3.0 } else { 1.0 };
    Limits {
        gaps: Gaps::Bridge,
        utc_offset_s: 0,
        gross: Some(Gross {
            fail: Some(span(&parameters["gross"]["fail_span"])),
            suspect: Some(span(&parameters["gross"]["suspect_span"])),
        }),
        climatology: parameters["clim"].as_array().unwrap().iter().map(season).collect(),
        spike_average: Some(spike),
        spike_differential: Some(spike),
        rate: Some(Rate {
            suspect_per_hour: number("roc", "threshold") * 3_600.0,
            fail_per_hour: Some(number("roc", "fail_threshold") * 3_600.0),
        }),
        flat: Some(Flat {
            suspect_h: number("flat", "suspect_threshold") / 3_600.0,
            fail_h: Some(number("flat", "fail_threshold") / 3_600.0),
            tolerance: number("flat", "tolerance"),
            above: None,
        }),
        attenuated: Some(Attenuated {
            period_h: number("att", "test_period") / 3_600.0,
            suspect: times * number("att", "suspect_threshold"),
            fail: Some(times * number("att", "fail_threshold")),
            min_obs: number("att", "min_obs") as u32,
            check,
        }),
        ..Limits::none(900)
    }
}

fn season(member: &Value) -> Season {
    let month = |i: usize| u16::try_from(member["tspan"][i].as_u64().unwrap()).unwrap();
    assert_eq!(member["period"], "month");
    Season {
        period: Period::Month,
        from: month(0),
        to: month(1),
        suspect: span(&member["vspan"]),
        fail: Some(span(&member["fspan"])),
    }
}

fn span(pair: &Value) -> [f64; 2] {
    [pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap()]
}
