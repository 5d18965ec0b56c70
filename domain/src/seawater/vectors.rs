//! Against `gsw` 3.6.23: 300 waters of `../shared/data/vectors/teos10_salinity.csv`, its edges, and the tables of the
//! project's notes. The files print twelve significant digits, so 5e-12 of a number is the tightest they can show.

use super::*;

/// What the printing of twelve digits allows.
const PRINTED: f64 = 5.1e-12;

fn rows(file: &str) -> Option<Vec<Vec<Option<f64>>>> {
    let path = format!("{}/../../shared/data/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {file} is not here");
        return None;
    };
    let row = |line: &str| line.split(',').map(|field| field.parse().ok()).collect();
    Some(text.lines().skip(1).map(row).collect())
}

/// The largest relative difference over all rows of what `compute` gives and a column.
fn worst(column: usize, compute: impl Fn(&[f64]) -> Option<f64>) -> f64 {
    let Some(rows) = rows("teos10_salinity.csv") else { return 0.0 };
    assert_eq!(rows.len(), 300);
    rows.iter().fold(0.0, |worst, row| {
        let row: Vec<f64> = row.iter().map(|field| field.unwrap()).collect();
        let got = compute(&row).unwrap_or_else(|| panic!("nothing of {row:?}"));
        f64::max(worst, (got / row[column] - 1.0).abs())
    })
}

fn check(name: &str, column: usize, allowed: f64, compute: impl Fn(&[f64]) -> Option<f64>) {
    let worst = worst(column, compute);
    eprintln!("{name}: {worst:.1e}");
    assert!(worst <= allowed, "{name} is {worst:e} off");
}

#[test]
fn practical_salinity_is_that_of_gsw_both_ways() {
    check("SP from C", 3, PRINTED, |row| practical_salinity(row[0], row[1], row[2]));
    // The salinity in the file is itself rounded to twelve digits.
    check("C from SP", 4, 2.0 * PRINTED, |row| conductivity(row[3], row[1], row[2]));
    check("C and back", 0, 5e-15, |row| {
        conductivity(practical_salinity(row[0], row[1], row[2])?, row[1], row[2])
    });
}

#[test]
fn the_edges_are_those_of_gsw() {
    for row in rows("teos10_edges.csv").unwrap_or_default() {
        let inputs: Vec<f64> = row.iter().take(3).map(|field| field.unwrap()).collect();
        let got = practical_salinity(inputs[0], inputs[1], inputs[2]);
        match (got, row[3]) {
            (Some(got), Some(wanted)) => assert!((got - wanted).abs() <= PRINTED * wanted),
            (got, wanted) => assert_eq!(got, wanted, "{inputs:?}"),
        }
    }
}

#[test]
fn reference_and_absolute_salinity_are_those_of_gsw() {
    check("SR", 5, 2.0 * PRINTED, |row| reference_salinity(row[3]));
    let of_reference = |row: &[f64]| absolute_salinity(row[3], Anomaly::ReferenceComposition);
    check("SA without an anomaly", 6, 2.3e-5, of_reference);
    // The ratio is the surface's; at 30 m it is 1.5e-6 smaller.
    check("SA with the atlas's", 6, 1.6e-6, |row| absolute_salinity(row[3], Anomaly::OFF_CUA_TIEU));
}

#[test]
fn temperature_density_and_mass_are_those_of_gsw() {
    check("CT", 7, 1.1e-11, |row| conservative_temperature(row[5], row[1], row[2]));
    check("density", 8, PRINTED, |row| density(row[3], row[1], row[2]));
    check("g/L", 9, 2.0 * PRINTED, |row| mass_concentration(row[3], row[1], row[2]));
}

#[test]
fn oxygen_is_that_of_gsw() {
    check("oxygen, µmol/kg", 10, PRINTED, |row| oxygen_solubility_umol_kg(row[3], row[1]));
    check("oxygen, mg/L", 11, PRINTED, |row| oxygen_solubility(row[3], row[1], row[2]));
}

/// Conductivity; practical salinity at 15, 25, 28 and 30 °C. Five digits.
const TABLE: [(f64, [f64; 4]); 10] = [
    (0.2, [0.11798, 0.09413, 0.08854, 0.08512]),
    (0.5, [0.30202, 0.24038, 0.22598, 0.21720]),
    (1.0, [0.62012, 0.49245, 0.46265, 0.44447]),
    (1.5, [0.94769, 0.75182, 0.70611, 0.67822]),
    (2.0, [1.28222, 1.01660, 0.95461, 0.91679]),
    (4.0, [2.66946, 2.11381, 1.98415, 1.90506]),
    (6.2, [4.25961, 3.37048, 3.16299, 3.03645]),
    (10.0, [7.11588, 5.62664, 5.27902, 5.06701]),
    (20.0, [15.08146, 11.91500, 11.17533, 10.72416]),
    (42.914, [34.99677, 27.59444, 25.86668, 24.81311]),
];

#[test]
fn the_tables_of_the_notes_hold() {
    for (ec, salinities) in TABLE {
        for (water_c, wanted) in [15.0, 25.0, 28.0, 30.0].into_iter().zip(salinities) {
            let got = practical_salinity(ec, water_c, 0.0).unwrap();
            assert!((got - wanted).abs() <= 5.1e-6, "{ec} mS/cm at {water_c}: {got}");
        }
    }
    for (salinity, ec25) in [
        (0.25, 0.5194),
        (0.5, 1.0147),
        (1.0, 1.9689),
        (2.0, 3.7967),
        (4.0, 7.2767),
        (8.0, 13.8567),
        (15.0, 24.695),
        (25.0, 39.267),
    ] {
        let got = conductivity(salinity, 25.0, 0.0).unwrap();
        assert!((got - ec25).abs() <= 5.1e-4, "{salinity}: {got}");
    }
}

#[test]
fn what_no_water_is_has_no_salinity() {
    for (ec, water_c, pressure) in [
        (f64::NAN, 25.0, 0.0),
        (10.0, f64::NAN, 0.0),
        (10.0, 25.0, f64::NAN),
        (f64::INFINITY, 25.0, 0.0),
        (-0.001, 25.0, 0.0),
        (100.1, 25.0, 0.0),
        (70.0, 15.0, 0.0),
        (10.0, -2.1, 0.0),
        (10.0, 40.1, 0.0),
        (10.0, 25.0, -0.1),
        (10.0, 25.0, 10_001.0),
    ] {
        assert_eq!(practical_salinity(ec, water_c, pressure), None, "{ec} {water_c} {pressure}");
        assert_eq!(density(5.0, water_c, pressure).is_some(), ec != 10.0);
    }
    for salinity in [f64::NAN, -1e-9, 42.1, f64::INFINITY] {
        assert_eq!(conductivity(salinity, 25.0, 0.0), None);
        assert_eq!(mass_concentration(salinity, 25.0, 0.0), None);
        assert_eq!(oxygen_solubility(salinity, 25.0, 0.0), None);
    }
}

/// `gsw` 3.6.23 with every digit: conductivity, temperature, pressure; practical salinity, Conservative Temperature, density,
/// oxygen in µmol/kg (0 below freezing, where its fit does not reach).
#[rustfmt::skip]
const EVERY_DIGIT: [[f64; 7]; 15] = [
    [0.02, 28.0, 0.0, 0.007_292_932_625_456_089, 29.425_127_098_093_583, 996.241_970_766_128_1, 245.504_648_540_830_57],
    [0.2, 15.0, 0.0, 0.117_981_527_458_599_16, 15.798_548_742_253_844, 999.194_576_728_994_7, 315.137_388_705_654_4],
    [0.514_3, 31.7, 2.5, 0.216_361_043_632_209_95, 33.288_727_152_600_93, 995.297_077_650_365_7, 230.242_278_698_886_93],
    [1.0, 28.0, 0.0, 0.462_651_911_781_333_75, 29.405_843_101_953_55, 996.584_568_312_495_1, 244.801_216_683_595_7],
    [1.968_9, 25.0, 0.0, 0.999_995_504_831_882_6, 26.245_734_826_214_33, 997.803_970_187_236_6, 257.309_777_419_994_1],
    [3.79, 25.0, 0.0, 1.996_283_236_911_024_4, 26.208_871_791_735_923, 998.554_808_212_177_1, 255.668_487_561_476_04],
    [3.81, 25.0, 0.0, 2.007_455_879_433_75, 26.208_460_716_089_533, 998.563_218_512_703_8, 255.650_140_380_947_8],
    [6.2, 30.0, 4.0, 3.036_337_843_569_935_3, 31.384_838_552_934_6, 997.936_633_712_278_8, 232.781_043_111_561_76],
    [15.2, 28.0, 10.0, 8.294_338_087_905_562, 29.085_815_157_316_76, 1_002.476_971_607_557, 233.009_371_925_833_6],
    [25.0, 34.9, 0.0, 12.423_706_753_534_676, 36.032_902_136_200_6, 1_003.248_577_495_803_6, 202.958_705_762_333_3],
    [42.914, 15.0, 0.0, 34.996_770_111_355, 14.989_492_033_508_094, 1_025.973_148_139_378_5, 247.783_900_279_137_3],
    [54.1, 30.0, 100.0, 32.114_144_093_522_384, 30.111_561_360_402_863, 1_019.992_907_657_271_2, 194.186_270_001_253_32],
    [30.0, -1.5, 0.0, 38.138_840_638_058_92, -1.505_867_914_830_511_9, 1_030.720_353_661_542_3, 0.0],
    [60.0, 25.0, 5_000.0, 38.722_853_327_085_02, 23.709_528_839_396_206, 1_046.605_184_827_41, 201.866_639_379_106_66],
    [1.2, 39.5, 0.0, 0.450_688_055_707_973_4, 41.439_619_018_854_145, 992.742_531_133_871_4, 202.961_384_722_567_77],
];

/// Two units in the last place; temperature, a sum over a hundred terms, a few more.
#[test]
fn every_digit_is_that_of_gsw() {
    for [ec, water_c, pressure, salinity, conservative_c, kg_m3, oxygen] in EVERY_DIGIT {
        let near = |got: Option<f64>, wanted: f64, allowed: f64| {
            let off = (got.unwrap() / wanted - 1.0).abs();
            assert!(
                off <= allowed,
                "{ec} mS/cm at {water_c} °C, {pressure} dbar: {got:?}, {wanted}"
            );
        };
        near(practical_salinity(ec, water_c, pressure), salinity, 1e-15);
        near(conductivity(salinity, water_c, pressure), ec, 2e-15);
        let salt_g_kg = reference_salinity(salinity).unwrap();
        let got = conservative_temperature(salt_g_kg, water_c, pressure);
        near(got, conservative_c, 1e-14);
        near(density(salinity, water_c, pressure), kg_m3, 5e-16);
        if 0.0 < oxygen {
            near(oxygen_solubility_umol_kg(salinity, water_c), oxygen, 2e-15);
        }
    }
}
