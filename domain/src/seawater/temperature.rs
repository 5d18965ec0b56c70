//! Potential and Conservative Temperature, which the density of TEOS-10 is written in. At the surface the first is the
//! thermometer's; 30 m down it differs by 0.005 K. Coefficients are of the Gibbs function of pure water (Feistel, 2003)
//! and of sea salt (Feistel, 2008; IAPWS-08), as the GSW toolbox sums them up.

use super::polynomial::{horner, horner_rows, slope_rows};
use super::range::{PRESSURE_DBAR, WATER_C};

/// Salinity as the polynomials have it: x² = salinity, g/kg, times this (1 / (40 · 35.16504/35)).
pub(super) const SALT: f64 = 0.024_882_667_558_461_5;
/// Temperature as they have it: 40 °C are 1.
pub(super) const WARM: f64 = 0.025;
/// Pressure as they have it: 10,000 dbar are 1.
pub(super) const DEEP: f64 = 1e-4;
/// The heat capacity that Conservative Temperature is defined with, J/(kg K).
const CP0: f64 = 3_991.867_957_119_63;
/// Salinities that the functions know, g/kg.
const SALT_G_KG: crate::Range = crate::Range { low: 0.0, high: 42.3 };

/// Potential enthalpy in J/kg: (the power of x, its coefficients by the power of temperature).
const ENTHALPY: [(i32, &[f64]); 7] = [
    (
        0,
        &[
            61.013_624_206_810_71,
            168_776.461_380_480_15,
            -2_735.278_560_511_962_5,
            2_574.216_445_382_143_3,
            -1_536.664_443_497_754_3,
            545.734_049_793_162_9,
            -50.910_917_284_743_31,
            -18.304_898_789_278_02,
        ],
    ),
    (
        2,
        &[
            268.552_026_584_507_1,
            -12_019.028_203_559_312,
            3_734.858_026_725_145,
            -2_046.767_114_505_761_8,
            465.286_556_238_262_34,
            -0.637_082_030_237_635_9,
            -10.650_848_542_359_153,
        ],
    ),
    (
        3,
        &[
            937.209_911_062_070_7,
            588.180_281_217_010_8,
            248.394_765_229_712_85,
            -3.871_557_904_936_333,
            -2.626_801_985_426_835_6,
        ],
    ),
    (
        4,
        &[
            -1_687.914_374_187_449,
            936.320_654_446_033_6,
            -942.782_730_454_443_9,
            369.438_943_750_900_2,
            -33.836_649_478_952_48,
            -9.987_880_382_780_322,
        ],
    ),
    (5, &[246.959_888_878_137_7]),
    (6, &[123.595_765_824_579_64]),
    (7, &[-48.589_106_902_540_9]),
];

/// Minus forty times the entropy in J/(kg K), without what depends on salinity alone: (the power of x, rows by the power of
/// temperature, in a row by the power of pressure).
const ENTROPY: [(i32, &[&[f64]]); 4] = [
    (
        0,
        &[
            &[
                0.0,
                -270.983_805_184_062,
                776.153_611_613_101,
                -196.512_550_881_22,
                28.979_652_629_417_5,
                -2.132_900_835_183_27,
            ],
            &[
                -24_715.571_866_078,
                2_910.072_908_093_6,
                -1_513.116_771_538_718,
                546.959_324_647_056,
                -111.120_812_763_443_6,
                8.688_413_438_343_94,
            ],
            &[
                2_210.223_612_454_836_3,
                -2_017.523_349_435_21,
                1_498.081_172_457_456,
                -718.635_991_963_235_9,
                146.403_755_578_161_6,
                -4.989_213_186_267_150_5,
            ],
            &[
                -592.743_745_734_632,
                1_591.873_781_627_888,
                -1_207.261_522_487_504,
                608.785_486_935_364,
                -105.499_350_893_120_8,
            ],
            &[
                290.129_562_921_285_47,
                -973.091_553_087_975,
                602.603_274_510_125,
                -276.361_526_170_076,
                32.409_533_403_861_05,
            ],
            &[
                -113.906_307_908_503_21,
                381.068_361_985_070_96,
                -133.738_390_284_275_4,
                49.023_632_509_086_724,
            ],
            &[21.355_715_254_157_69, -67.417_568_357_514_34],
        ],
    ),
    (
        2,
        &[
            &[
                0.0,
                729.116_529_735_046,
                -343.956_902_961_561,
                124.687_671_116_248,
                -31.656_964_386_073,
                7.046_588_033_154_49,
            ],
            &[
                1_760.062_705_994_408,
                -1_721.528_607_567_954,
                674.819_060_538_734,
                -356.629_112_415_276,
                88.408_071_661_6,
                -15.840_030_944_233_64,
            ],
            &[
                -675.802_947_790_203,
                2_082.734_442_399_804_3,
                -614.668_925_894_709,
                340.685_093_521_782,
                -33.384_820_297_923_9,
            ],
            &[
                365.704_179_100_503_6,
                -1_190.914_967_948_748,
                298.904_564_555_024,
                -145.949_167_600_635_2,
            ],
            &[-108.301_620_437_655_52],
            &[12.781_018_250_830_98],
        ],
    ),
    (
        3,
        &[
            &[0.0, -175.292_041_186_547, 83.192_392_780_181_9, -29.483_064_349_429],
            &[
                -86.132_935_195_608_4,
                766.116_132_004_952,
                -108.383_452_503_422_4,
                51.279_697_477_982_8,
            ],
            &[-30.068_211_258_562_5, -1_380.959_795_403_770_8],
            &[3.502_402_647_235_78, 938.260_750_445_42],
        ],
    ),
    (
        4,
        &[
            &[0.0, -22.668_355_851_282_9],
            &[-137.114_501_840_898_2],
            &[148.100_308_456_876_18],
            &[-68.559_030_967_915_2],
            &[12.484_850_478_475_4],
        ],
    ),
];

/// Conservative Temperature, °C, of water of an Absolute Salinity, g/kg, at a temperature in situ and a sea pressure, as
/// `gsw.CT_from_t` has it.
///
/// `None` outside 0…42.3 g/kg, −2…40 °C and 0…10,000 dbar, and for what is no number.
#[must_use]
pub fn conservative_temperature(salt_g_kg: f64, water_c: f64, pressure_dbar: f64) -> Option<f64> {
    let known =
        SALT_G_KG.holds(salt_g_kg) && WATER_C.holds(water_c) && PRESSURE_DBAR.holds(pressure_dbar);
    known.then(|| {
        let x = (SALT * salt_g_kg).sqrt();
        let y = WARM * potential_temperature(x, water_c, pressure_dbar);
        ENTHALPY.iter().map(|(power, row)| x.powi(*power) * horner(row, y)).sum::<f64>() / CP0
    })
}

/// The temperature that this water would have at the surface without taking or giving heat: where its entropy is the
/// same. Newton's steps from the temperature itself; the curve is nearly straight, so three reach the last bits.
fn potential_temperature(x: f64, water_c: f64, pressure_dbar: f64) -> f64 {
    if pressure_dbar == 0.0 {
        return water_c;
    }
    let sum = |part: fn(&[&[f64]], f64, f64) -> f64, z: f64, y: f64| -> f64 {
        ENTROPY.iter().map(|(power, rows)| x.powi(*power) * part(rows, z, y)).sum()
    };
    let wanted = sum(horner_rows, pressure_dbar * DEEP, water_c * WARM);
    let step = |y: f64| y - (sum(horner_rows, 0.0, y) - wanted) / sum(slope_rows, 0.0, y);
    (0..4).fold(water_c * WARM, |y, _| step(y)) / WARM
}
