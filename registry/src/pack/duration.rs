//! Durations as people write them: a whole number and one unit, as `"15m"`.

use std::time::Duration;

/// Reads `250ms`, `30s`, `15m`, `2h` or `7d`: one whole number, one unit, nothing else. `1h30m` is `90m`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_and_one_unit() {
        for (text, millis) in
            [("250ms", 250), ("30s", 30_000), ("15m", 900_000), ("2h", 7_200_000), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("7d"), Some(Duration::from_hours(168)));
    }

    #[test]
    fn what_could_be_two_things_is_none() {
        for text in [
            "",
            "15",
            "m",
            "15 m",
            "15M",
            "-1s",
            "+1s",
            "1.5h",
            "1h30m",
            "１s",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
