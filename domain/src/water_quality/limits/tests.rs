use jiff::civil::date;

use super::*;
use crate::water_quality::{Analyte, Sample};

fn name(purpose: Purpose, on: Date, values: &[(Analyte, f64)]) -> &'static str {
    let sample: Sample = values.iter().copied().collect();
    let table = in_force(purpose, on).unwrap();
    table.name_of(table.judge(&sample).unwrap().grade)
}

#[test]
fn the_day_of_a_reading_chooses_the_table() {
    let of = |day| in_force(Purpose::Classes, day).map(|table| table.name);
    assert_eq!(of(date(2016, 2, 29)), None);
    assert_eq!(of(date(2016, 3, 1)), Some("QCVN 08-MT:2015/BTNMT"));
    assert_eq!(of(date(2023, 9, 11)), Some("QCVN 08-MT:2015/BTNMT"));
    assert_eq!(of(date(2023, 9, 12)), Some("QCVN 08:2023/BTNMT, bảng 2"));
    let cod = [(Analyte::Cod, 25.0)];
    assert_eq!(name(Purpose::Classes, date(2022, 4, 1), &cod), "B1");
    assert_eq!(name(Purpose::Classes, date(2026, 4, 1), &cod), "D");
}

#[test]
fn the_worst_of_what_was_measured_decides() {
    let today = date(2026, 11, 23);
    for (values, class) in [
        (vec![(Analyte::Ph, 7.0)], "A"),
        (vec![(Analyte::Ph, 6.2)], "B"),
        (vec![(Analyte::Ph, 5.9)], "D"),
        (vec![(Analyte::Ph, 7.0), (Analyte::DissolvedOxygen, 5.9)], "B"),
        (vec![(Analyte::DissolvedOxygen, 1.0), (Analyte::Bod5, 2.0)], "D"),
        (vec![(Analyte::Tss, 25.0)], "A"),
        (vec![(Analyte::Tss, 400.0)], "C"),
        (vec![(Analyte::Coliform, 7_500.0)], "C"),
        (vec![(Analyte::Coliform, 7_501.0)], "D"),
        (vec![(Analyte::TotalNitrogen, 1.5), (Analyte::TotalPhosphorus, 0.1)], "B"),
    ] {
        assert_eq!(name(Purpose::Classes, today, &values), class, "{values:?}");
    }
    assert_eq!(name(Purpose::Health, today, &[(Analyte::Chloride, 250.0)]), "giới hạn");
    assert_eq!(name(Purpose::Health, today, &[(Analyte::Chloride, 250.1)]), "vượt giới hạn");
}

#[test]
fn a_judgement_names_what_it_did_not_see() {
    let table = in_force(Purpose::Classes, date(2026, 1, 1)).unwrap();
    let sample: Sample =
        [(Analyte::Ph, 7.0), (Analyte::Cod, f64::NAN), (Analyte::Toc, 3.0)].into_iter().collect();
    let judged = table.judge(&sample).unwrap();
    assert_eq!(judged.grade, Grade::Column(0));
    assert_eq!(judged.not_a_value, [Analyte::Cod]);
    assert_eq!(judged.unmeasured.len(), 7);
    assert_eq!(judged.each[1], (Analyte::Toc, Grade::Column(0), Sureness::Verify));
    assert_eq!(table.judge(&Sample::new()), None);
    assert_eq!(table.judge(&[(Analyte::Zinc, 0.1)].into_iter().collect()), None);
}

#[test]
fn every_row_has_its_columns_and_grows_no_stricter() {
    for table in TABLES {
        for row in table.rows {
            assert_eq!(row.bounds.len(), table.columns.len(), "{} {row:?}", table.name);
            for pair in row.bounds.windows(2) {
                let looser = match (pair[0], pair[1]) {
                    (Bound::AtMost(a), Bound::AtMost(b)) => a <= b,
                    (Bound::AtLeast(a), Bound::AtLeast(b)) => b <= a,
                    (Bound::Between(a, b), Bound::Between(c, d)) => c <= a && b <= d,
                    (_, Bound::Any) => true,
                    _ => false,
                };
                assert!(looser, "{} {row:?}", table.name);
            }
        }
        assert!(table.until.is_none_or(|until| table.from < until));
    }
    assert_eq!(
        in_force(Purpose::Health, date(2026, 1, 1)).unwrap().bound(Analyte::Chloride, "giới hạn"),
        Some(Bound::AtMost(250.0))
    );
}
