//! Ranges, buckets, latest: the same answer from the tail, from files, from both, and after a restart.

use std::path::Path;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampMillisecondType, UInt8Type, UInt64Type};
use domain::{Aggregation, Every, Flag, Timestamp};
use history::{At, Bucket, Config, History, Query};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::words::*;

#[test]
fn what_is_applied_is_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(1, &record("xuan-hoa", 0, "salinity 8.85, ph 7.1"));
    history.apply(2, &record("xuan-hoa", 15, "salinity -"));
    history.apply(3, &record("my-tho", 15, "salinity 0.1"));
    assert_eq!(shown(&history, "xuan-hoa", "salinity"), "0=8.85 15=-");
    assert_eq!(shown(&history, "xuan-hoa", "ph"), "0=7.1");
    assert_eq!(shown(&history, "xuan-hoa", "cod"), "");
    assert_eq!(shown(&history, "nowhere", "salinity"), "");
    assert_eq!(history.position(), None);
}

#[test]
fn sealed_and_reopened_it_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(1, &record("xuan-hoa", 0, "salinity 8.85, ph 7.1"));
    history.apply(2, &record("xuan-hoa", 15, "salinity -, ph 7.2"));
    assert_eq!(history.seal(at(16), true).unwrap(), Some(2));
    history.apply(3, &record("xuan-hoa", 30, "salinity 9.1!"));
    assert_eq!(shown(&history, "xuan-hoa", "salinity"), "0=8.85 15=- 30=9.1!");
    drop(history);

    let history = open(dir.path());
    assert_eq!(history.position(), Some(2));
    assert_eq!(shown(&history, "xuan-hoa", "salinity"), "0=8.85 15=-");
    assert_eq!(latest(&history, "xuan-hoa"), "ph 15=7.2, salinity 0=8.85");
    let point = history.range(&all("xuan-hoa", "ph")).unwrap()[0];
    assert_eq!(
        (point.received_at, point.flag),
        (at(0) + Duration::from_secs(1), Flag::NotEvaluated)
    );
}

#[test]
fn a_float_comes_back_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let odd = [0.1 + 0.2, -0.0, f64::MIN_POSITIVE / 8.0, f64::MAX, f64::INFINITY, 1.0 / 3.0];
    for (minute, value) in (0..).zip(odd) {
        let mut record = record("a", minute, "ph 7");
        record.values[0].value = Some(value);
        history.apply(minute as u64, &record);
    }
    history.seal(at(9), true).unwrap();
    let points = history.range(&all("a", "ph")).unwrap();
    let bits: Vec<_> = points.iter().map(|p| p.value.unwrap().to_bits()).collect();
    assert_eq!(bits, odd.map(f64::to_bits));
    drop(history);
    assert_eq!(open(dir.path()).latest(&station("a"))[0].value.to_bits(), odd[5].to_bits());
}

#[test]
fn a_range_includes_its_start_excludes_its_end_and_keeps_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for minute in 0..10 {
        history.apply(minute, &record("a", minute as i64, "ph 7"));
        if minute == 4 {
            history.seal(at(5), true).unwrap();
        }
    }
    let ask = |from: i64, to: i64, limit: usize| {
        let query = Query { from: at(from), to: at(to), limit, ..all("a", "ph") };
        show(&history.range(&query).unwrap())
    };
    assert_eq!(ask(3, 7, 99), "3=7 4=7 5=7 6=7");
    assert_eq!(ask(3, 7, 2), "3=7 4=7");
    assert_eq!(ask(3, 3, 99), "");
    assert_eq!(ask(7, 3, 99), "");
    assert_eq!(ask(3, 7, 0), "");
}

#[test]
fn a_file_holds_one_month() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for (position, day) in (0..).zip([-40, 0, 25, -400]) {
        history.apply(position, &record("a", day * 24 * 60, &format!("ph {position}")));
    }
    history.seal(at(0), true).unwrap();
    let files = sealed_files(dir.path());
    assert_eq!(
        files.iter().map(|f| &f[..7]).collect::<Vec<_>>(),
        ["2025-02", "2026-01", "2026-03", "2026-04"][..].to_vec()
    );
    assert_eq!(shown(&history, "a", "ph"), "-576000=3 -57600=0 0=1 36000=2");
    let stats = history.stats();
    assert_eq!((stats.sealed_files, stats.sealed_rows, stats.tail_rows), (4, 4, 0));
    assert_eq!((stats.oldest, stats.newest), (Some(at(-576_000)), Some(at(36_000))));
}

#[test]
fn the_ends_of_time_are_sealed_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for (position, millis) in (0..).zip([i64::MIN, i64::MAX, i64::MAX - 1]) {
        let mut record = record("a", 0, "ph 7");
        record.taken_at = Timestamp::from_millis(millis);
        history.apply(position, &record);
    }
    history.seal(at(0), true).unwrap();
    assert_eq!(history.stats().sealed_rows, 3);
    assert_eq!(history.range(&all("a", "ph")).unwrap().len(), 2);
    drop(history);
    assert_eq!(open(dir.path()).stats().sealed_rows, 3);
}

#[test]
fn bad_values_do_not_enter_a_mean_but_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let records = ["ph 6", "ph 8", "ph 99!", "ph -", "ph -"];
    for (position, (minute, values)) in (0..).zip([0, 5, 9, 10, 20].into_iter().zip(records)) {
        history.apply(position, &record("a", minute, values));
    }
    for _ in 0..2 {
        let buckets = by_ten_minutes(&history, &all("a", "ph"), Aggregation::Mean);
        let [first, second, _] = buckets[..] else { panic!("{buckets:?}") };
        assert_eq!((first.start, first.count, first.flag), (at(0), 2, Flag::Bad));
        let ends = (first.min.map(of), first.max.map(of));
        assert_eq!((ends, first.mean), ((Some((6.0, 0)), Some((8.0, 5))), Some(7.0)));
        assert_eq!((first.first.map(of), first.last.map(of)), ends);
        assert_eq!(first.total, None);
        assert_eq!((second.start, second.count, second.flag), (at(10), 0, Flag::Missing));
        assert_eq!((second.min, second.max, second.mean), (None, None, None));
        history.seal(at(20), true).unwrap();
    }
    let two = Query { limit: 2, ..all("a", "ph") };
    assert_eq!(by_ten_minutes(&history, &two, Aggregation::Mean).len(), 2);
}

#[test]
fn latest_is_the_newest_with_a_value_by_its_own_time() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(1, &record("a", 10, "ph 7, salinity 1"));
    history.apply(2, &record("a", 5, "ph 6"));
    history.apply(3, &record("a", 11, "ph -"));
    history.apply(4, &record("b", 1, "ph 8, cod -"));
    assert_eq!(latest(&history, "a"), "ph 10=7, salinity 10=1");
    assert_eq!(history.latest_all().len(), 3);
    assert_eq!(latest(&history, "nowhere"), "");
    let known: Vec<_> = history.parameters(&station("b")).iter().map(ToString::to_string).collect();
    assert_eq!(known, ["cod", "ph"]);
}

#[test]
fn a_latest_value_that_is_corrected_away_gives_way_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(1, &record("a", -60 * 24 * 60, "ph 5"));
    history.seal(at(0), true).unwrap();
    history.apply(2, &record("a", 0, "ph 6"));
    history.seal(at(0), true).unwrap();
    history.apply(3, &record("a", 5, "ph 7"));
    history.apply(4, &record("a", 5, "ph -"));
    assert_eq!(latest(&history, "a"), "ph 0=6");
    history.apply(5, &record("a", 0, "ph -"));
    assert_eq!(latest(&history, "a"), "ph -86400=5");
    history.apply(6, &record("a", -86400, "ph -"));
    assert_eq!(latest(&history, "a"), "");
    history.seal(at(9), true).unwrap();
    drop(history);
    assert_eq!(latest(&open(dir.path()), "a"), "");
}

#[test]
fn it_is_due_by_count_or_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        Config { tail_readings_max: 4, tail_age_max: Duration::from_mins(10), ..Config::default() };
    let history = history::History::open(dir.path(), config).unwrap();
    assert_eq!(history.seal(at(0), true).unwrap(), None, "nothing to seal");
    history.apply(1, &record("a", 0, "ph 7"));
    assert_eq!(history.seal(at(9), false).unwrap(), None);
    assert_eq!(history.seal(at(11), false).unwrap(), Some(1));
    history.apply(2, &record("a", 12, "ph 7, cod 1, salinity 1, tss 2"));
    assert!(!history.is_full());
    assert_eq!(history.seal(at(12), false).unwrap(), Some(2));
    history.apply(3, &record("a", 13, "ph 7, cod 1, salinity 1, tss 2"));
    history.apply(4, &record("a", 14, "ph 7, cod 1, salinity 1, tss 2"));
    assert!(history.is_full());
    history.seal(at(14), false).unwrap();
    assert!(!history.is_full());
}

#[test]
fn hundreds_of_files_open_from_the_manifest_alone() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for month in 0..300 {
        history.apply(month as u64, &record("a", month * 31 * 24 * 60, "ph 7, cod 1"));
    }
    history.seal(at(0), true).unwrap();
    drop(history);
    let began = std::time::Instant::now();
    let history = open(dir.path());
    let took = began.elapsed();
    eprintln!("{} files opened in {took:?}", history.stats().sealed_files);
    assert!(290 < history.stats().sealed_files);
    assert!(took < Duration::from_millis(500), "a debug build on a busy machine: {took:?}");
    assert_eq!(history.range(&all("a", "ph")).unwrap().len(), 300);
}

#[test]
fn a_six_value_reading_takes_less_than_32_bytes_of_memory() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let values = "ph 7, cod 1, tss 2, salinity 3, turbidity 4, battery 12";
    for position in 0..3_000 {
        let code = format!("s{}", position % 30);
        history.apply(position, &record(&code, position as i64 / 30, values));
    }
    let stats = history.stats();
    assert_eq!((stats.tail_rows, stats.tail_readings), (3_000, 18_000));
    assert!(stats.tail_bytes < 32 * stats.tail_readings, "{stats:?}");
}

#[test]
fn a_stranger_reads_the_columns_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(1, &record("b", 0, "salinity 8.85"));
    history.apply(2, &record("a", 15, "salinity -, ph 7.1!"));
    history.seal(at(16), true).unwrap();
    let file = std::fs::File::open(dir.path().join("2026-03-000000.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let column = |name: &str| batch.column_by_name(name).unwrap();
    assert_eq!(
        column("station").as_string::<i32>().iter().flatten().collect::<Vec<_>>(),
        ["a", "b"]
    );
    let taken = column("taken_at").as_primitive::<TimestampMillisecondType>();
    assert_eq!(taken.values(), &[at(15).as_millis(), DAY]);
    assert_eq!(column("position").as_primitive::<UInt64Type>().values(), &[2, 1]);
    let salinity = column("salinity.value").as_primitive::<Decimal128Type>();
    assert_eq!((salinity.scale(), salinity.iter().collect::<Vec<_>>()), (2, vec![None, Some(885)]));
    let flags: Vec<_> = column("salinity.flag").as_primitive::<UInt8Type>().iter().collect();
    assert_eq!(flags, [Some(9), Some(2)]);
    let flags: Vec<_> = column("ph.flag").as_primitive::<UInt8Type>().iter().collect();
    assert_eq!(flags, [Some(4), None]);
}

#[test]
fn one_value_that_is_no_decimal_makes_floats_of_its_column_alone_and_a_merge_looks_again() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let kinds = |serial: u64| {
        let file =
            std::fs::File::open(dir.path().join(format!("2026-03-{serial:06}.parquet"))).unwrap();
        let schema = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().clone();
        let of = |name: &str| schema.field_with_name(name).unwrap().data_type().to_string();
        (of("salinity.value"), of("ph.value"))
    };
    let decimal = |scale: u8| format!("Decimal128(18, {scale})");
    let odd: f64 = 0.1 + 0.2;
    history.apply(0, &record("a", 0, &format!("salinity {odd}, ph 7.1")));
    history.apply(1, &record("a", 15, "salinity 8.85, ph 7.25"));
    history.seal(at(16), true).unwrap();
    assert_eq!(kinds(0), ("Float64".to_owned(), decimal(2)));
    for position in 2..9 {
        history.apply(position, &record("a", position as i64 * 15, "salinity 8.5, ph 7.125"));
        history.seal(at(16), true).unwrap();
    }
    // Eight files are one.
    assert_eq!(kinds(8), ("Float64".to_owned(), decimal(3)));
    let found = history.range(&all("a", "salinity")).unwrap();
    assert_eq!(found[0].value.map(f64::to_bits), Some(odd.to_bits()));
    assert_eq!(found[1].value, Some(8.85));
    assert_eq!(shown(&history, "a", "ph").split(' ').next_back(), Some("120=7.125"));
}

/// What a program wrote that knew version 1 only: floats.
#[test]
fn files_of_version_1_are_read_and_merged_into_ours() {
    let dir = tempfile::tempdir().unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/history/version-1");
    for name in ["manifest", "2026-03-000000.parquet"] {
        std::fs::copy(old.join(name), dir.path().join(name)).unwrap();
    }
    let history = open(dir.path());
    let expected = "0=8.85 15=8.9 30=0.30000000000000004";
    assert_eq!(shown(&history, "xuan-hoa", "salinity"), expected);
    assert_eq!(shown(&history, "vam-giong", "ph"), "30=7");
    for position in 4..11 {
        history.apply(position, &record("a", position as i64, "ph 7.5"));
        history.seal(at(16), true).unwrap();
    }
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
    assert_eq!(names.iter().filter(|name| name.path().extension().is_some()).count(), 1);
    assert_eq!(shown(&history, "xuan-hoa", "salinity"), expected);
    assert_eq!(shown(&history, "xuan-hoa", "ph"), "0=7.3");
}

fn by_ten_minutes(history: &History, query: &Query, aggregation: Aggregation) -> Vec<Bucket> {
    history.buckets(query, Every::Span(Duration::from_mins(10)), aggregation).unwrap()
}

/// A value and its minute.
fn of(at: At) -> (f64, i64) {
    (at.value, (at.taken_at.as_millis() - DAY) / 60_000)
}

#[test]
fn rain_is_added_up_and_wind_turns_through_north() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let rows = [
        (0, "rainfall 0.4, wind_direction 350"),
        (5, "rainfall 1.6, wind_direction 20"),
        (6, "rainfall 9!, wind_direction -"),
        (11, "rainfall 3, wind_direction 0"),
        (12, "wind_direction 180"),
    ];
    for (position, (minute, values)) in (0..).zip(rows) {
        history.apply(position, &record("a", minute, values));
    }
    let rain = by_ten_minutes(&history, &all("a", "rainfall"), Aggregation::Total);
    let totals: Vec<_> = rain.iter().map(|b| (b.total, b.mean, b.count, b.flag)).collect();
    let right =
        [(Some(2.0), Some(1.0), 2, Flag::Bad), (Some(3.0), Some(3.0), 1, Flag::NotEvaluated)];
    assert_eq!(totals, right);
    let wind = by_ten_minutes(&history, &all("a", "wind_direction"), Aggregation::Direction);
    assert!((wind[0].mean.unwrap() - 5.0).abs() < 1e-9, "{wind:?}");
    assert_eq!((wind[0].min, wind[0].max, wind[0].last.map(of)), (None, None, Some((20.0, 5))));
    assert_eq!((wind[1].mean, wind[1].count), (None, 2), "opposite winds have no mean");
}

#[test]
fn what_was_known_then_is_read_from_memory_and_from_files_alike() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(0, &record("a", 0, "ph 7"));
    let mut mended = record("a", 0, "ph 6.5");
    mended.received_at = at(60);
    history.apply(1, &mended);
    let mut late = record("a", 10, "ph 8");
    late.received_at = at(90);
    history.apply(2, &late);
    for _ in 0..2 {
        let known = |minutes| {
            let as_of = Some(at(minutes));
            show(&history.range(&Query { as_of, ..all("a", "ph") }).unwrap())
        };
        assert_eq!(known(0), "", "it came a second later");
        assert_eq!(known(59), "0=7");
        assert_eq!(known(60), "0=6.5", "the instant itself counts");
        assert_eq!(known(90), "0=6.5 10=8");
        history.seal(at(100), true).unwrap();
    }
}
