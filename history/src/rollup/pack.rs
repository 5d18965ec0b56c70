//! Whole numbers in few bits. A column is `base + unit × n`: the base is the least, the unit the greatest that divides
//! all differences, and the `n` take as many bits as the greatest needs; a column that never changes takes none.
//!
//! On disk: one byte of bits (0 to 64), zigzag varint of the base, varint of the unit where there are bits, then the `n`
//! one behind the other, from the lowest bit up, filled to a byte.

/// Adds a column to `out`.
pub(crate) fn put(out: &mut Vec<u8>, numbers: &[i64]) {
    let base = numbers.iter().copied().min().unwrap_or(0);
    let above = |number: i64| number.wrapping_sub(base).cast_unsigned();
    let unit = numbers.iter().fold(0, |unit, &number| divisor(unit, above(number)));
    let most = numbers.iter().map(|&number| above(number)).max().unwrap_or(0);
    let bits = most.checked_div(unit).map_or(0, |steps| 64 - steps.leading_zeros());
    out.push(u8::try_from(bits).expect("64 at most"));
    put_varint(out, zigzag(base));
    if bits == 0 {
        return;
    }
    put_varint(out, unit);
    let (mut held, mut filled) = (0_u128, 0);
    for &number in numbers {
        held |= u128::from(above(number) / unit) << filled;
        filled += bits;
        while 8 <= filled {
            out.push((held & 0xff) as u8);
            held >>= 8;
            filled -= 8;
        }
    }
    if 0 < filled {
        out.push((held & 0xff) as u8);
    }
}

/// Takes a column of so many numbers from the front; `None` where the bytes are not one.
pub(crate) fn take(bytes: &mut &[u8], count: usize) -> Option<Vec<i64>> {
    let bits = u32::from(take_byte(bytes)?);
    let base = unzigzag(take_varint(bytes)?);
    if bits == 0 {
        return Some(vec![base; count]);
    }
    if 64 < bits {
        return None;
    }
    let unit = take_varint(bytes)?;
    let length = usize::try_from(bits).ok()?.checked_mul(count)?.div_ceil(8);
    let (packed, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let mask = u64::MAX >> (64 - bits);
    let (mut held, mut filled, mut at) = (0_u128, 0, 0);
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        while filled < bits {
            // Eight bytes at a time where there are eight.
            match packed.get(at..at + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
                Some(eight) if filled <= 64 => {
                    held |= u128::from(u64::from_le_bytes(eight)) << filled;
                    (filled, at) = (filled + 64, at + 8);
                }
                _ => {
                    held |= u128::from(*packed.get(at)?) << filled;
                    (filled, at) = (filled + 8, at + 1);
                }
            }
        }
        let n = (held as u64) & mask;
        held >>= bits;
        filled -= bits;
        numbers.push(base.wrapping_add(n.wrapping_mul(unit).cast_signed()));
    }
    Some(numbers)
}

fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while 0x80 <= number {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(bytes)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

pub(crate) fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn comes_back(numbers: &[i64]) -> usize {
        let mut bytes = Vec::new();
        put(&mut bytes, numbers);
        let length = bytes.len();
        bytes.extend([0xaa; 3]);
        let mut rest = bytes.as_slice();
        assert_eq!(take(&mut rest, numbers.len()).as_deref(), Some(numbers));
        assert_eq!(rest, [0xaa; 3]);
        for cut in 0..length {
            assert_eq!(take(&mut &bytes[..cut], numbers.len()), None, "cut at {cut}");
        }
        length
    }

    #[test]
    fn what_is_regular_takes_nearly_nothing() {
        assert_eq!(comes_back(&[7; 31]), 2);
        let quarters: Vec<i64> = (0..31).map(|n| n * 900_000).collect();
        assert!(comes_back(&quarters) < 31);
        comes_back(&[i64::MIN, i64::MAX, 0, -1]);
        comes_back(&[]);
    }

    proptest! {
        #[test]
        fn every_column_comes_back(
            numbers in prop::collection::vec(any::<i64>(), 0..20),
            shift in 0u32..63,
            unit in 1i64..1_000,
        ) {
            let numbers: Vec<i64> = numbers.iter().map(|n| (n >> shift).wrapping_mul(unit)).collect();
            comes_back(&numbers);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0usize..40) {
            take(&mut bytes.as_slice(), count);
        }
    }
}
