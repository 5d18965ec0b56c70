//! What a sensor answers. Every measurement has a number, and its values follow from that and the address: nobody can take
//! a value of one for another's unnoticed.
//!
//! ```text
//! aI!    a14SALTLINESIM   101{number}
//! aM!    a0014, and the service request within a second: level mm, temperature °C, conductivity at 25 °C µS/cm, salinity g/L
//! aC1!   a00212: the same four, seven zeros and a pH
//! aR0!   battery V
//! ```
//!
//! With C behind the letter values come with a CRC.

/// The four values of measurement `number` at this address. The number can be read from each: level = 1000 + number mod
/// 9000 mm, and so on.
#[must_use]
pub fn proof(address: char, number: u64) -> [f64; 4] {
    let of = f64::from(u32::from(address) % 50);
    let number = (number % 9_000) as f64;
    [1_000.0 + number, 20.0 + of / 10.0, 100.0 + number, number / 1_000.0]
}

/// The twelve values of a concurrent measurement.
#[must_use]
pub fn proof_all(address: char, number: u64) -> Vec<f64> {
    let mut all = proof(address, number).to_vec();
    all.extend([0.0; 7]);
    all.push(7.0 + (number % 100) as f64 / 100.0);
    all
}

/// The identity.
pub(super) fn identity(address: char) -> String {
    format!("{address}14SALTLINESIM   101{:03}", u32::from(address))
}

/// Values as they are written: a sign, and no more digits than needed.
fn written(value: f64) -> String {
    let digits = format!("{:.3}", value.abs());
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{}{digits}", if value < 0.0 { '-' } else { '+' })
}

/// The page of values that `aD{page}!` asks for: as many as fit into `room` characters on each.
pub(super) fn page(values: &[f64], page: usize, room: usize) -> String {
    let mut pages = vec![String::new()];
    for value in values.iter().map(|&value| written(value)) {
        match pages.last_mut() {
            Some(last) if last.len() + value.len() <= room => last.push_str(&value),
            _ => pages.push(value),
        }
    }
    pages.get(page).cloned().unwrap_or_default()
}

/// The three characters of the CRC, bit by bit as the standard says it (4.4.12).
pub(super) fn crc(said: &str) -> String {
    let mut crc = 0_u16;
    for byte in said.bytes() {
        crc ^= u16::from(byte);
        for _ in 0..8 {
            let odd = crc & 1 == 1;
            crc >>= 1;
            if odd {
                crc ^= 0xA001;
            }
        }
    }
    let character = |six: u16| char::from(0x40 | (six & 0x3F) as u8);
    [character(crc >> 12), character(crc >> 6), character(crc)].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_as_the_standard_prints_them() {
        assert_eq!(crc("0+3.14"), "OqZ");
        assert_eq!(page(&[3.15, -2.0, 0.0], 0, 35), "+3.15-2+0");
        assert_eq!(page(&[1_234.5; 12], 0, 35), "+1234.5+1234.5+1234.5+1234.5+1234.5");
        assert_eq!(page(&[1_234.5; 12], 2, 35), "+1234.5+1234.5");
        assert_eq!(page(&[1.0], 1, 35), "");
    }
}
