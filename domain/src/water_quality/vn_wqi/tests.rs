use proptest::prelude::*;

use super::*;
use crate::water_quality::{Analyte, Sample};

const INDEXED: [Analyte; 18] = [
    Analyte::Ph,
    Analyte::DissolvedOxygen,
    Analyte::Bod5,
    Analyte::Cod,
    Analyte::Toc,
    Analyte::Ammonium,
    Analyte::Nitrate,
    Analyte::Nitrite,
    Analyte::Phosphate,
    Analyte::Coliform,
    Analyte::EscherichiaColi,
    Analyte::Arsenic,
    Analyte::Cadmium,
    Analyte::Lead,
    Analyte::Chromium6,
    Analyte::Copper,
    Analyte::Zinc,
    Analyte::Mercury,
];

fn sample(values: &[(Analyte, f64)]) -> Sample {
    values.iter().copied().collect()
}

/// A river in April: each group but the metals.
fn river() -> Sample {
    sample(&[
        (Analyte::Ph, 7.1),
        (Analyte::DissolvedOxygen, 5.0),
        (Analyte::Cod, 20.0),
        (Analyte::Ammonium, 0.45),
        (Analyte::Coliform, 6_000.0),
    ])
}

fn missing(sample: &Sample, water_c: Option<f64>) -> Vec<Missing> {
    match vn_wqi(sample, water_c) {
        Computability::NotComputable { missing } => missing,
        Computability::Computed(index) => panic!("{index:?}"),
    }
}

#[test]
fn breakpoints_are_the_decisions() {
    for (analyte, amount, wanted) in [
        (Analyte::Ph, 5.4, 10.0),
        (Analyte::Ph, 5.5, 50.0),
        (Analyte::Ph, 5.75, 75.0),
        (Analyte::Ph, 7.0, 100.0),
        (Analyte::Ph, 9.0, 50.0),
        (Analyte::Ph, 9.1, 10.0),
        (Analyte::DissolvedOxygen, 19.9, 10.0),
        (Analyte::DissolvedOxygen, 20.0, 25.0),
        (Analyte::DissolvedOxygen, 62.5, 62.5),
        (Analyte::DissolvedOxygen, 100.0, 100.0),
        (Analyte::DissolvedOxygen, 175.0, 37.5),
        (Analyte::DissolvedOxygen, 201.0, 10.0),
        (Analyte::Bod5, 0.0, 100.0),
        (Analyte::Bod5, 5.0, 87.5),
        (Analyte::Toc, 50.0, 10.0),
        (Analyte::Cod, 100.0, 17.5),
        (Analyte::Ammonium, 0.299, 100.0),
        (Analyte::Ammonium, 0.3, 75.0),
        (Analyte::Ammonium, 0.45, 62.5),
        (Analyte::Nitrate, 15.0, 25.0),
        (Analyte::Nitrate, 15.1, 10.0),
        (Analyte::Nitrite, 0.05, 100.0),
        (Analyte::Nitrite, 0.051, 10.0),
        (Analyte::Phosphate, 0.25, 62.5),
        (Analyte::Coliform, 10_001.0, 10.0),
        (Analyte::EscherichiaColi, 75.0, 62.5),
        (Analyte::Mercury, 0.001_25, 87.5),
        (Analyte::Zinc, 2.5, 17.5),
    ] {
        let got = sub_index(analyte, amount).unwrap();
        assert!((got - wanted).abs() < 1e-9, "{analyte:?} {amount} is {got}");
    }
}

/// By hand: oxygen 5.0 mg/L is 64.74 % of the 7.7235 mg/L of 28 °C, so 64.74; COD 20 is 66.67; ammonium 62.5: mean 64.64;
/// coliform 65. (64.64² · 65)^(1/3) = 64.76, pH 100.
#[test]
fn an_index_is_made_of_its_groups() {
    let Computability::Computed(index) = vn_wqi(&river(), Some(28.0)) else { panic!() };
    assert_eq!((index.value, index.label), (65, Label::Fair));
    assert_eq!(index.groups, [Group::Acidity, Group::OrganicAndNutrients, Group::Bacteria]);
    assert!(index.oxygen_without_salt);
    let mut sour = river();
    sour.insert(Analyte::Ph, 5.0);
    let Computability::Computed(index) = vn_wqi(&sour, Some(28.0)) else { panic!() };
    assert_eq!((index.value, index.label.vi()), (6, "ô nhiễm rất nặng"));
    // Without bacteria the mean of group IV stands alone; metals of 75 and 50 are a factor of their geometric mean.
    let mut metals = river();
    metals.remove(&Analyte::Coliform);
    metals.extend([(Analyte::Arsenic, 0.02), (Analyte::Lead, 0.05)]);
    let Computability::Computed(index) = vn_wqi(&metals, Some(28.0)) else { panic!() };
    assert_eq!(index.value, (64.64_f64 * (75.0_f64 * 50.0).sqrt() / 100.0).round() as u8);
}

#[test]
fn of_too_little_there_is_no_index_and_it_says_what_is_missing() {
    let probe = sample(&[(Analyte::Ph, 7.0), (Analyte::DissolvedOxygen, 6.0)]);
    assert_eq!(
        missing(&probe, Some(28.0)),
        [Missing::OfGroupIv(2), Missing::Groups(1, vec![Group::Metals, Group::Bacteria]),]
    );
    assert_eq!(missing(&river(), None)[0], Missing::WaterTemperature);
    assert_eq!(missing(&river(), Some(f64::NAN))[0], Missing::WaterTemperature);
    let nothing = missing(&Sample::new(), None);
    assert_eq!(nothing[0], Missing::OfGroupIv(3));
    let salt = sample(&[(Analyte::Chloride, 250.0), (Analyte::Tss, 30.0)]);
    assert_eq!(missing(&salt, None), nothing);
}

#[test]
fn a_value_that_is_none_makes_no_index_rather_than_a_better_one() {
    for (analyte, bad) in [
        (Analyte::Ph, 14.1),
        (Analyte::Cod, -1.0),
        (Analyte::Ammonium, f64::NAN),
        (Analyte::Coliform, f64::INFINITY),
        (Analyte::DissolvedOxygen, 41.0),
    ] {
        let mut broken = river();
        broken.insert(analyte, bad);
        assert!(missing(&broken, Some(28.0)).contains(&Missing::NotAValue(analyte)), "{analyte:?}");
    }
}

#[test]
fn each_index_has_its_word_and_colour() {
    for (index, vi) in [
        (100, "rất tốt"),
        (91, "rất tốt"),
        (90, "tốt"),
        (76, "tốt"),
        (75, "trung bình"),
        (51, "trung bình"),
        (50, "xấu"),
        (26, "xấu"),
        (25, "kém"),
        (10, "kém"),
        (9, "ô nhiễm rất nặng"),
        (0, "ô nhiễm rất nặng"),
    ] {
        assert_eq!(Label::of(index).vi(), vi, "{index}");
    }
    assert_eq!(Label::VeryGood.rgb(), [51, 51, 255]);
}

proptest! {
    #[test]
    fn dirtier_water_is_never_better(
        which in 2_usize..18, amount in 0.0_f64..200.0, more in 0.0_f64..50.0,
    ) {
        let analyte = INDEXED[which];
        let (clean, dirty) = (sub_index(analyte, amount), sub_index(analyte, amount + more));
        prop_assert!(dirty <= clean);
        prop_assert!((10.0..=100.0).contains(&dirty.unwrap()));
    }

    #[test]
    fn an_index_is_between_0_and_100(
        amounts in proptest::collection::vec(any::<f64>(), 18), water_c in proptest::option::of(any::<f64>()),
    ) {
        let sample: Sample = INDEXED.into_iter().zip(amounts).collect();
        if let Computability::Computed(index) = vn_wqi(&sample, water_c) {
            prop_assert!(index.value <= 100);
        }
    }
}
