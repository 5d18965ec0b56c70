//! What a litre weighs: the 75-term polynomial for the specific volume of seawater (Roquet, Madec, McDougall and Barker,
//! 2015, Ocean Modelling 90), which `gsw.rho` sums.

use super::absolute::reference_salinity;
use super::polynomial::horner_rows;
use super::temperature::{DEEP, SALT, WARM, conservative_temperature};

/// Added to the salinity before its root is drawn: 24 g/kg, so that fresh water is no singular point.
const SALT_OFFSET: f64 = 24.0 * SALT;

/// Specific volume, m³/kg: by the power of pressure, rows by the power of temperature, in a row by the power of the root of
/// salinity.
const SPECIFIC_VOLUME: [&[&[f64]]; 7] = [
    &[
        &[
            1.076_999_586_2e-3,
            -3.103_898_197_6e-4,
            6.692_806_703_8e-4,
            -8.504_793_393_7e-4,
            5.808_606_994_3e-4,
            -2.109_237_050_7e-4,
            3.193_245_730_5e-5,
        ],
        &[
            -1.564_973_467_5e-5,
            3.500_959_976_4e-5,
            -4.359_267_856_1e-5,
            3.453_246_182_8e-5,
            -1.195_940_978_8e-5,
            1.386_459_458_1e-6,
        ],
        &[
            2.776_210_648_4e-5,
            -3.743_584_234_4e-5,
            3.590_782_276_0e-5,
            -1.869_858_418_7e-5,
            3.859_533_924_4e-6,
        ],
        &[-1.652_115_925_9e-5, 2.414_147_948_3e-5, -1.435_363_304_8e-5, 2.286_332_455_6e-6],
        &[6.911_132_270_2e-6, -8.759_587_315_4e-6, 4.370_368_059_8e-6],
        &[-8.053_961_554_0e-7, -3.305_275_890_0e-7],
        &[2.054_309_426_8e-7],
    ],
    &[
        &[
            -6.079_914_380_9e-5,
            2.426_246_874_7e-5,
            -3.479_246_097_4e-5,
            3.747_077_730_5e-5,
            -1.732_221_861_2e-5,
            3.092_742_725_3e-6,
        ],
        &[
            1.850_576_542_9e-5,
            -9.567_708_815_6e-6,
            1.110_083_476_5e-5,
            -9.844_711_784_4e-6,
            2.590_922_526_0e-6,
        ],
        &[-1.171_660_685_3e-5, -2.367_830_836_1e-7, 2.928_334_629_5e-6, -4.882_613_920_0e-7],
        &[7.927_965_617_3e-6, -3.455_877_365_5e-6, 3.165_530_607_8e-7],
        &[-3.410_218_748_2e-6, 1.295_671_778_3e-6],
        &[5.073_676_681_4e-7],
    ],
    &[
        &[
            9.985_616_921_9e-6,
            -5.848_443_298_4e-7,
            -4.812_225_159_7e-6,
            4.926_310_699_8e-6,
            -1.781_197_472_7e-6,
        ],
        &[-1.173_638_673_1e-6, -5.569_915_455_7e-6, 5.462_074_883_4e-6, -1.354_418_562_7e-6],
        &[2.130_502_874_0e-6, 3.913_738_708_0e-7, -6.573_110_406_7e-7],
        &[-4.613_254_003_7e-7, 7.761_888_809_2e-9],
        &[-6.335_291_651_4e-8],
    ],
    &[
        &[-1.130_936_143_7e-6, 3.631_018_851_5e-7, 1.674_630_378_0e-8],
        &[-3.652_700_655_3e-7, -2.729_569_623_7e-7],
        &[2.869_590_515_9e-7],
    ],
    &[&[1.053_115_308_0e-7, -1.114_712_542_3e-7], &[3.145_409_990_2e-7]],
    &[&[-1.264_726_128_6e-8]],
    &[&[1.961_350_393_0e-9]],
];

/// Density, kg/m³, of water of a practical salinity at a temperature in situ and a sea pressure, for salts in the ocean's
/// shares (see [`super::Anomaly`]); as `gsw.rho` of the Reference Salinity.
///
/// `None` outside salinity 0…42, −2…40 °C and 0…10,000 dbar, and for what is no number.
#[must_use]
pub fn density(practical_salinity: f64, water_c: f64, pressure_dbar: f64) -> Option<f64> {
    let salt_g_kg = reference_salinity(practical_salinity)?;
    let conservative_c = conservative_temperature(salt_g_kg, water_c, pressure_dbar)?;
    let x = (SALT * salt_g_kg + SALT_OFFSET).sqrt();
    let (y, z) = (WARM * conservative_c, DEEP * pressure_dbar);
    let volume =
        SPECIFIC_VOLUME.iter().rev().fold(0.0, |sum, rows| horner_rows(rows, x, y) + sum * z);
    Some(1.0 / volume)
}

/// Grams of sea salt in a litre of this water: Reference Salinity times density. This is a true g/L: at 25 °C 4.019 where
/// the practical salinity is 4 and 35.99 where it is 35.
///
/// `None` as [`density`].
#[must_use]
pub fn mass_concentration(
    practical_salinity: f64,
    water_c: f64,
    pressure_dbar: f64,
) -> Option<f64> {
    let kg_m3 = density(practical_salinity, water_c, pressure_dbar)?;
    Some(reference_salinity(practical_salinity)? * kg_m3 / 1_000.0)
}
