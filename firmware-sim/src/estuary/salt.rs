//! How salt the water is: an exponential front that the season moves along the river, the tide to and fro, and the
//! fortnight up and down.
//!
//! `S = Smax(d) · exp(−(x − E(t)) / L(d))`, capped at the sea's own value, reach by reach: monthly means measured in
//! 2024 at the coast, Vàm Giồng and Xuân Hòa fix `Smax` and `L` of the two lower reaches for every day, and above Xuân
//! Hòa `L` is the front's own length, 3 km when it is steep to 9.6 km at the height of the season. September to
//! December were not measured; their rows continue the curve to the first salt of a December.

use domain::Timestamp;

use super::tide::{VAM_GIONG_KM, XUAN_HOA_KM};

/// Monthly means in g/L, January first.
type Monthly = [f64; 12];

const COAST: Monthly = [19.5, 19.3, 23.8, 27.2, 22.2, 19.1, 18.7, 18.2, 17.5, 17.0, 17.5, 18.5];
const VAM_GIONG: Monthly = [1.0, 2.1, 8.2, 5.2, 3.0, 1.5, 0.02, 0.01, 0.01, 0.01, 0.05, 0.35];
const XUAN_HOA: Monthly =
    [0.07, 0.40, 5.5, 3.15, 1.15, 0.105, 0.002, 0.001, 0.001, 0.001, 0.004, 0.02];
const LONG_UONG: Monthly = [3.0, 5.4, 10.7, 7.9, 5.2, 1.6, 0.46, 0.27, 0.25, 0.3, 0.6, 1.5];
/// Gò Cát: 14 g/L in April and May are measured; the other months are drawn around the creek of Gò Công, which is above
/// 4 g/L from January to mid-July.
const GO_CAT: Monthly = [4.0, 6.0, 10.0, 14.0, 14.0, 9.0, 4.0, 1.5, 0.8, 0.6, 0.9, 2.0];
/// Length of the front above Xuân Hòa in km.
const FRONT_KM: Monthly = [3.5, 5.0, 9.6, 9.0, 7.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0];

/// The sea is at most this much saltier than its monthly mean at the coast.
const SEA_OVER_COAST: f64 = 1.18;

/// What one day of the year brings: the knots of the salt's profile along the river, as logarithms of g/L.
#[derive(Debug, Clone, Copy)]
pub struct Season {
    ln_coast: f64,
    ln_vam_giong: f64,
    ln_xuan_hoa: f64,
    ln_long_uong: f64,
    ln_go_cat: f64,
    front_km: f64,
}

impl Season {
    /// The season at an instant.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        let month = month(at);
        let ln = |row: &Monthly| between(row, month, f64::ln);
        Self {
            ln_coast: ln(&COAST),
            ln_vam_giong: ln(&VAM_GIONG),
            ln_xuan_hoa: ln(&XUAN_HOA),
            ln_long_uong: ln(&LONG_UONG),
            ln_go_cat: ln(&GO_CAT),
            front_km: between(&FRONT_KM, month, |v| v),
        }
    }

    /// Salinity of the river at a kilometre, in g/L, when the fortnight and the weather have multiplied it by
    /// `exp(swell)`.
    #[must_use]
    pub fn river_g_l(&self, km: f64, swell: f64) -> f64 {
        let line = |from: f64, to: f64, share: f64| from + (to - from) * share;
        let ln = if km <= VAM_GIONG_KM {
            // Flat near the sea, steeper inland: the plume off the mouth is wide.
            let share = (km.abs() / VAM_GIONG_KM).powf(1.5).copysign(km);
            line(self.ln_coast, self.ln_vam_giong, share)
        } else if km <= XUAN_HOA_KM {
            // The front is steepest at its head, which stands near Xuân Hòa in the early season.
            let share = ((km - VAM_GIONG_KM) / (XUAN_HOA_KM - VAM_GIONG_KM)).powf(2.1);
            line(self.ln_vam_giong, self.ln_xuan_hoa, share)
        } else {
            self.ln_xuan_hoa - (km - XUAN_HOA_KM) / self.front_km
        };
        self.seen(ln + swell)
    }

    /// Salinity of the Salisette canal, whose water moved `excursion_km` inland.
    #[must_use]
    pub fn salisette_g_l(&self, excursion_km: f64, swell: f64) -> f64 {
        self.seen(self.ln_long_uong + excursion_km / 16.0 + swell)
    }

    /// Salinity of the Chợ Gạo canal, whose water moved `excursion_km` inland.
    #[must_use]
    pub fn cho_gao_g_l(&self, excursion_km: f64, swell: f64) -> f64 {
        self.seen(self.ln_go_cat + excursion_km / 120.0 + swell / 4.0)
    }

    /// What a sonde sees of it: no more than the sea, and nothing of the last hundredths (fresh river water conducts
    /// as well; the 2024 record is clipped at zero in the same way).
    fn seen(&self, ln: f64) -> f64 {
        const FRESH_G_L: f64 = 0.01;
        (ln.exp().min(self.ln_coast.exp() * SEA_OVER_COAST) - FRESH_G_L).max(0.0)
    }
}

/// The month as a number that is whole in the middle of each: 0 is mid-January.
fn month(at: Timestamp) -> f64 {
    let local = at.local();
    let days = f64::from(local.date().days_in_month());
    let day = f64::from(local.day()) - 1.0 + f64::from(local.hour()) / 24.0;
    let minute = f64::from(local.minute()) * 60.0 + f64::from(local.second());
    f64::from(local.month()) - 1.5 + (day + minute / 86_400.0) / days
}

fn between(row: &Monthly, month: f64, scale: impl Fn(f64) -> f64) -> f64 {
    let left = month.floor();
    let index = |m: f64| (m as i64).rem_euclid(12) as usize;
    let (a, b) = (scale(row[index(left)]), scale(row[index(left + 1.0)]));
    a + (b - a) * (month - left)
}
