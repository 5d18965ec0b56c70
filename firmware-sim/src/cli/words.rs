//! Durations and instants as people type them.

use std::time::Duration;

use domain::Timestamp;

/// `500ms`, `90s`, `5m`, `1h`, `2d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("write a number and ms, s, m, h or d, as in 5m".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "write a number first, as in 5m".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|e| e.to_string())
}

/// A duration that is not nothing.
pub fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than nothing".to_owned()),
        some => Ok(some),
    }
}

/// RFC 3339 with an offset.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).map_err(|e| e.to_string())
}

/// A number above zero.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && 0.0 < number => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}

/// A number that is not below zero.
pub fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && 0.0 <= number => Ok(number),
        _ => Err("must be a number, 0 or above".to_owned()),
    }
}

/// From 0 to 1.
pub fn probability(text: &str) -> Result<f64, String> {
    not_negative(text).ok().filter(|p| *p <= 1.0).ok_or("must be from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        for (text, millis) in
            [("500ms", 500), ("90s", 90_000), ("5m", 300_000), ("1.5h", 5_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "5", "m", "5 m", "-5m", "5y", "1.2.3s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(some_time("0s").is_err() && positive("0").is_err() && positive("NaN").is_err());
        assert!(probability("1.01").is_err() && probability("0.5").is_ok());
    }
}
