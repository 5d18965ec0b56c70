//! CRC-16 with the polynomial 0x8005, bits reflected: Modbus begins it at 0xFFFF, SDI-12 and many loggers at 0.

const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0_u16; 256];
    let mut at = 0_u16;
    while at < 256 {
        let (mut crc, mut bit) = (at, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
            bit += 1;
        }
        table[at as usize] = crc;
        at += 1;
    }
    table
}

/// The check of these bytes, begun at `start`.
#[must_use]
pub(crate) fn arc(start: u16, bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(start, |crc, &byte| (crc >> 8) ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_check_values_of_the_catalogue() {
        assert_eq!(arc(0, b"123456789"), 0xBB3D);
        assert_eq!(arc(0xFFFF, b"123456789"), 0x4B37);
    }
}
