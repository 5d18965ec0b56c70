//! Lines as loggers write them.
//!
//! The logger that is asked (`1R`) writes its oldest record, and the next one only when it was told (`1N`) that this one is
//! kept:
//!
//! ```text
//! #1,20260312050000,8.850,15200,28.50,1120,12.60,OK*3F2A
//!  address, time of Vietnam, salinity g/L, conductivity at 25 °C µS/cm, temperature °C, level mm, battery V, state,
//!  CRC-16 (0x8005 reflected, from 0) of what stands between # and *
//! ```
//!
//! The weather station streams `$WIMWV` and `$WIMDA` once a second. What a line says follows from its number alone: who
//! stores another value than the one that its line said shows.

use domain::Timestamp;

/// Milliseconds from one record to the next.
pub const PROOF_STEP: i64 = 1_000;

/// The salinity of a record, g/L, by its time: no two within nine hours are the same.
#[must_use]
pub fn proof_of(taken_at: Timestamp) -> f64 {
    let step = taken_at.as_millis().div_euclid(PROOF_STEP).rem_euclid(32_000);
    step as f64 / 1_000.0
}

/// A record of the logger at this address.
pub(super) fn record(address: &str, taken_at: Timestamp) -> String {
    let salinity = proof_of(taken_at);
    let when = taken_at.local().strftime("%Y%m%d%H%M%S").to_string();
    let (ec, level) = (salinity * 1_700.0, 900.0 + salinity * 20.0);
    let said = format!("{address},{when},{salinity:.3},{ec:.0},28.50,{level:.0},12.60,OK");
    let check = crc(said.as_bytes());
    format!("#{said}*{check:04X}\r\n")
}

/// A sentence of NMEA 0183.
pub(super) fn nmea(said: &str) -> String {
    let mut xor = 0;
    for byte in said.bytes() {
        xor ^= byte;
    }
    format!("${said}*{xor:02X}\r\n")
}

/// The sentences of one second of a weather station.
pub(super) fn weather(second: u64) -> [String; 2] {
    let (angle, speed) = (second * 7 % 360, (second % 90) as f64 / 10.0 + 0.5);
    let (air, humidity) = (24.0 + (second % 70) as f64 / 10.0, 60 + second % 30);
    let knots = speed * 1.943_844;
    [
        nmea(&format!("WIMWV,{angle:03}.0,R,{speed:.1},M,A")),
        nmea(&format!(
            "WIMDA,29.8870,I,1.0121,B,{air:.1},C,,,{humidity}.0,,20.6,C,{angle:03}.0,T,{angle:03}.0,M,{knots:.1},N,{speed:.1},M"
        )),
    ]
}

/// CRC-16 bit by bit: 0x8005, bits reflected, from 0.
pub(super) fn crc(bytes: &[u8]) -> u16 {
    let mut crc = 0_u16;
    for byte in bytes {
        for bit in 0..8 {
            let is_odd = (crc ^ u16::from(byte >> bit)) & 1 == 1;
            crc >>= 1;
            if is_odd {
                crc ^= 0xA001;
            }
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_the_documents_print_them() {
        assert_eq!(crc(b"123456789"), 0xBB3D);
        let wind = "WIXDR,A,316,D,0,A,326,D,1,A,330,D,2,S,0.1,M,0,S,0.1,M,1,S,0.1,M,2";
        assert_eq!(nmea(wind), format!("${wind}*57\r\n"), "Vaisala WXT520 user guide");
        let at = Timestamp::parse_rfc3339("2026-03-12T05:00:07+07:00").unwrap();
        let record = record("1", at);
        assert!(record.starts_with("#1,20260312050007,") && record.ends_with("\r\n"), "{record}");
        assert_ne!(proof_of(at), proof_of(Timestamp::from_millis(at.as_millis() + PROOF_STEP)));
    }
}
