//! The astronomical tide: eleven constituents with amplitudes and phases measured in 2024 at four stations of Tiền
//! Giang, carried to any kilometre between them.
//!
//! The measured phases are UTide's Greenwich lags of hourly levels whose local time was fed as if it were UTC, so the
//! astronomical argument is taken at local time as well: the two belong together. Nodal corrections are left out: the
//! amplitudes are those of one year and the twin does not follow the 18.6-year cycle (K1 and O1 swing by some 11 and
//! 19 % over it, M2 by 4 %).
//!
//! P1, K2, Q1 and the shallow-water terms were published without phases. P1 and K2 take the phases of K1 and S2 (their
//! close neighbours), Q1 continues from K1 over O1; M4, MS4 and MSf follow from their parents with an offset chosen
//! here, and are small.

use std::f64::consts::TAU;

use domain::Timestamp;

/// How many constituents the tide is made of.
pub const CONSTITUENTS: usize = 11;

/// A constituent's name and its Doodson numbers over mean lunar time, the moon's mean longitude, the sun's, and the
/// lunar perigee, with its constant in cycles.
struct Constituent {
    name: &'static str,
    doodson: [f64; 4],
    cycles: f64,
}

const fn term(name: &'static str, doodson: [f64; 4], cycles: f64) -> Constituent {
    Constituent { name, doodson, cycles }
}

const TABLE: [Constituent; CONSTITUENTS] = [
    term("M2", [2.0, 0.0, 0.0, 0.0], 0.0),
    term("S2", [2.0, 2.0, -2.0, 0.0], 0.0),
    term("N2", [2.0, -1.0, 0.0, 1.0], 0.0),
    term("K1", [1.0, 1.0, 0.0, 0.0], -0.75),
    term("O1", [1.0, -1.0, 0.0, 0.0], -0.25),
    term("P1", [1.0, 1.0, -2.0, 0.0], -0.25),
    term("K2", [2.0, 2.0, 0.0, 0.0], 0.0),
    term("Q1", [1.0, -2.0, 0.0, 1.0], -0.25),
    term("M4", [4.0, 0.0, 0.0, 0.0], 0.0),
    term("MS4", [4.0, 2.0, -2.0, 0.0], 0.0),
    term("MSf", [0.0, 2.0, -2.0, 0.0], 0.0),
];

/// The names of the constituents, in the order of [`arguments`].
#[must_use]
pub fn names() -> [&'static str; CONSTITUENTS] {
    TABLE.each_ref().map(|c| c.name)
}

/// The astronomical argument of each constituent in cycles, at Vietnam's local time fed as if it were UTC.
#[must_use]
pub fn arguments(at: Timestamp) -> [f64; CONSTITUENTS] {
    const UTC_PLUS_7_DAYS: f64 = 7.0 / 24.0;
    let days = at.as_millis() as f64 / 86_400_000.0 + UTC_PLUS_7_DAYS;
    // Days since 1899-12-31 12:00, the epoch of the mean longitudes (Meeus).
    let d = days + 25_567.5;
    let moon = (270.434_164 + 13.176_396_526_8 * d) / 360.0;
    let sun = (279.696_678 + 0.985_647_335_4 * d) / 360.0;
    let perigee = (334.329_556 + 0.111_404_080_3 * d) / 360.0;
    let lunar_time = days.rem_euclid(1.0) + sun - moon;
    let angles = [lunar_time, moon, sun, perigee];
    TABLE.each_ref().map(|c| {
        c.doodson.iter().zip(angles).map(|(n, a)| n * a).sum::<f64>().rem_euclid(1.0) + c.cycles
    })
}

/// The constituents of one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Tide {
    mean_m: f64,
    amplitude_m: [f64; CONSTITUENTS],
    phase_deg: [f64; CONSTITUENTS],
}

impl Tide {
    /// The measured column: mean, then the five large constituents with phases, then the small amplitudes.
    const fn measured(mean_m: f64, large: [(f64, f64); 5], small: [f64; 6]) -> Self {
        let [(m2, g_m2), (s2, g_s2), (n2, g_n2), (k1, g_k1), (o1, g_o1)] = large;
        let [p1, k2, q1, m4, ms4, msf] = small;
        Self {
            mean_m,
            amplitude_m: [m2, s2, n2, k1, o1, p1, k2, q1, m4, ms4, msf],
            phase_deg: [
                g_m2,
                g_s2,
                g_n2,
                g_k1,
                g_o1,
                g_k1,
                g_s2,
                g_o1 - (g_k1 - g_o1) / 2.0,
                2.0 * g_m2 + 90.0,
                g_m2 + g_s2 + 90.0,
                g_s2 - g_m2 + 30.0,
            ],
        }
    }

    /// Level at an instant, in metres, from the astronomical argument of that instant.
    #[must_use]
    pub fn level_m(&self, arguments: &[f64; CONSTITUENTS]) -> f64 {
        let waves = (0..CONSTITUENTS).map(|i| {
            self.amplitude_m[i] * (TAU * (arguments[i] - self.phase_deg[i] / 360.0)).cos()
        });
        self.mean_m + waves.sum::<f64>()
    }

    /// The mean level, in metres.
    #[must_use]
    pub fn mean_m(&self) -> f64 {
        self.mean_m
    }

    /// How large the tide is at an instant between neap (below 1) and spring (above 1), as the envelope of its
    /// semidiurnal and diurnal bands over their mean.
    #[must_use]
    pub fn springness(&self, arguments: &[f64; CONSTITUENTS]) -> f64 {
        const SEMIDIURNAL: [usize; 4] = [0, 1, 2, 6];
        const DIURNAL: [usize; 4] = [3, 4, 5, 7];
        let envelope = |band: [usize; 4]| {
            let (re, im) = band.iter().fold((0.0, 0.0), |(re, im), &i| {
                let angle = TAU * (arguments[i] - self.phase_deg[i] / 360.0);
                // The band turns together; only the difference to its first member matters for the size.
                (re + self.amplitude_m[i] * angle.cos(), im + self.amplitude_m[i] * angle.sin())
            });
            f64::hypot(re, im)
        };
        // The root of a sum of squares is larger than its largest part: 1.07 times, on average over a year here.
        let mean = 1.07 * (self.amplitude_m[0] + 0.75 * self.amplitude_m[3]);
        (envelope(SEMIDIURNAL) + 0.75 * envelope(DIURNAL)) / mean
    }

    /// The tide `share` of the way from one place to another.
    fn between(&self, other: &Self, share: f64) -> Self {
        let mix = |a: f64, b: f64| a + (b - a) * share;
        let mut tide = self.clone();
        tide.mean_m = mix(self.mean_m, other.mean_m);
        for i in 0..CONSTITUENTS {
            tide.amplitude_m[i] = mix(self.amplitude_m[i], other.amplitude_m[i]);
            tide.phase_deg[i] = mix(self.phase_deg[i], other.phase_deg[i]);
        }
        tide
    }
}

/// Rạch Bùn, on the coast.
const COAST: Tide = Tide::measured(
    0.07,
    [(0.795, 34.0), (0.281, 74.0), (0.139, 9.0), (0.550, 308.0), (0.412, 260.0)],
    [0.133, 0.148, 0.059, 0.010, 0.002, 0.106],
);
/// Vàm Giồng, 24 km up.
const VAM_GIONG: Tide = Tide::measured(
    0.10,
    [(0.732, 77.0), (0.269, 122.0), (0.127, 50.0), (0.556, 333.0), (0.404, 280.0)],
    [0.133, 0.106, 0.071, 0.030, 0.026, 0.112],
);
/// Xuân Hòa, 42 km up.
const XUAN_HOA: Tide = Tide::measured(
    0.20,
    [(0.761, 89.0), (0.252, 132.0), (0.127, 63.0), (0.524, 338.0), (0.380, 285.0)],
    [0.128, 0.096, 0.061, 0.071, 0.052, 0.108],
);
/// Long Uông, on the Salisette canal.
const LONG_UONG: Tide = Tide::measured(
    0.07,
    [(0.737, 42.0), (0.262, 79.0), (0.136, 23.0), (0.542, 315.0), (0.411, 264.0)],
    [0.142, 0.118, 0.066, 0.004, 0.001, 0.094],
);

/// Kilometre of Vàm Giồng.
pub const VAM_GIONG_KM: f64 = 24.0;
/// Kilometre of Xuân Hòa.
pub const XUAN_HOA_KM: f64 = 42.0;

/// The tide of the Salisette canal.
#[must_use]
pub fn salisette() -> Tide {
    LONG_UONG
}

/// The tide at a kilometre of the river. Above Xuân Hòa the wave goes on at its last speed and is damped over 200 km,
/// which is an assumption: no measured station stands there.
#[must_use]
pub fn river(km: f64) -> Tide {
    if km <= VAM_GIONG_KM {
        return COAST.between(&VAM_GIONG, km.max(0.0) / VAM_GIONG_KM);
    }
    let share = (km - VAM_GIONG_KM) / (XUAN_HOA_KM - VAM_GIONG_KM);
    if km <= XUAN_HOA_KM {
        return VAM_GIONG.between(&XUAN_HOA, share);
    }
    let mut tide = VAM_GIONG.between(&XUAN_HOA, share);
    tide.mean_m = XUAN_HOA.mean_m;
    let damped = (-(km - XUAN_HOA_KM) / 200.0).exp();
    tide.amplitude_m = XUAN_HOA.amplitude_m.map(|a| a * damped);
    tide
}
