//! When a demonstration should begin: at Xuân Hòa, on a rising spring tide of the dry season, less than an hour before
//! the salt passes 1 g/L and within half a day of fresh water coming back.

use std::time::Duration;

use domain::Timestamp;

use super::{Estuary, SimStation, station};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Where the search begins: late January, in the newest season that has such an hour.
const SEASONS: [&str; 4] = [
    "2026-01-20T00:00:00+07:00",
    "2025-01-20T00:00:00+07:00",
    "2024-01-20T00:00:00+07:00",
    "2023-01-20T00:00:00+07:00",
];
/// How long it searches: to the end of March.
const DAYS: u32 = 70;

/// Water that may be taken again: the clear level of the demonstration's rule.
const FRESH_G_L: f64 = 0.8;
/// The level that raises the warning.
const SALT_G_L: f64 = 1.0;

/// An instant that a demonstration may start at, or nothing if a seed has none: salinity at Xuân Hòa is below 0.8 g/L,
/// passes 1.0 g/L within the hour and stays there for another, and within twelve hours is clearly below 0.8 g/L for
/// more than one. Rising springs are preferred; some seed might only offer another day.
#[must_use]
pub fn demo_start(seed: u64) -> Option<Timestamp> {
    SEASONS.iter().find_map(|season| start_in(seed, Timestamp::parse_rfc3339(season).ok()?))
}

fn start_in(seed: u64, from: Timestamp) -> Option<Timestamp> {
    let estuary = Estuary::tien_giang(seed);
    let xuan_hoa = station("xuan-hoa")?;
    let starts: Vec<Timestamp> = (0..DAYS * 24 * 12)
        .map(|step| from + minutes(5) * step)
        .filter_map(|at| start_before_crossing(&estuary, xuan_hoa, at))
        .collect();
    let rising_spring = |at: &&Timestamp| {
        let springness = estuary.springness(**at);
        1.1 < springness && springness < estuary.springness(**at + 24 * HOUR)
    };
    starts.iter().find(rising_spring).or(starts.first()).copied()
}

fn minutes(minutes: u32) -> Duration {
    MINUTE * minutes
}

/// If the salt passes the line in the five minutes from `at`: the start before it that has the wanted property.
fn start_before_crossing(
    estuary: &Estuary,
    place: &SimStation,
    at: Timestamp,
) -> Option<Timestamp> {
    let g_l = |at| estuary.truth(place, at).salinity_g_l;
    if g_l(at) >= SALT_G_L || g_l(at + minutes(5)) < SALT_G_L {
        return None;
    }
    let start =
        [35, 45, 55].into_iter().map(|m| at - minutes(m)).find(|s| g_l(*s) < FRESH_G_L - 0.01)?;
    let holds = (5..=90).step_by(5).all(|m| g_l(at + minutes(m)) >= SALT_G_L);
    let clears = (0..12 * 6 - 8).any(|ten| {
        let from = start + minutes(10) * ten;
        at < from && (0..=8).all(|n| g_l(from + minutes(10) * n) < FRESH_G_L - 0.05)
    });
    (holds && clears).then_some(start)
}
