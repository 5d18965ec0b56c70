//! Times as texts, thousands in an answer and most of them of the day of the one before.

use std::cell::Cell;

use domain::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// As `2026-03-12T05:00:00.000Z`.
const LENGTH: usize = 24;
/// What is written so: 1970 to nearly the end of 9999. What lies outside is a mistake somewhere, and may be slow.
const USUAL_MS: std::ops::Range<i64> = 0..253_402_000_000_000;

thread_local! {
    /// The day whose text was written last on this thread.
    static LAST: Cell<Option<(i64, [u8; LENGTH])>> = const { Cell::new(None) };
}

/// Gives the time as [`Timestamp`] writes it. The calendar is asked once for a day; hours to milliseconds are written over
/// the last text.
pub(super) fn with_text<T>(time: Timestamp, give: impl FnOnce(&str) -> T) -> T {
    if !USUAL_MS.contains(&time.as_millis()) {
        return give(&time.to_string());
    }
    let (day, of_day) = (time.as_millis().div_euclid(DAY_MS), time.as_millis().rem_euclid(DAY_MS));
    let mut text = match LAST.get() {
        Some((known, text)) if known == day => text,
        _ => {
            let written = time.to_string();
            let Ok(text) = <[u8; LENGTH]>::try_from(written.as_bytes()) else {
                return give(&written);
            };
            LAST.set(Some((day, text)));
            text
        }
    };
    let parts = [
        (of_day / 3_600_000, 11..13),
        (of_day / 60_000 % 60, 14..16),
        (of_day / 1_000 % 60, 17..19),
        (of_day % 1_000, 20..23),
    ];
    for (mut number, place) in parts {
        for digit in text[place].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    give(std::str::from_utf8(&text).expect("digits are ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_written_as_the_calendar_writes_it() {
        let edges = [0, -1, 1, DAY_MS - 1, DAY_MS, USUAL_MS.end - 1, USUAL_MS.end];
        let beyond = [-62_167_219_200_001, 253_402_300_799_999, i64::MIN, i64::MAX];
        let many = (0..200_000).map(|n| 1_773_273_600_000 + n * 7_654_321);
        for ms in edges.into_iter().chain(beyond).chain(many).chain(edges) {
            let time = Timestamp::from_millis(ms);
            assert_eq!(with_text(time, str::to_owned), time.to_string(), "{ms}");
        }
    }
}
