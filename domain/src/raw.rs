//! What a device gives before scale and offset: bytes or registers to a number. Modbus says how one register lies on
//! the wire and nothing about wider numbers, and LoRaWAN says nothing at all, so every maker chose an order of his own.

/// What a number is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One byte, with a sign. No register is so small.
    I8,
    /// One byte.
    U8,
    /// One register, with a sign.
    I16,
    /// One register.
    U16,
    /// Two registers, with a sign.
    I32,
    /// Two registers.
    U32,
    /// Two registers, IEEE 754.
    F32,
    /// Four registers, IEEE 754.
    F64,
    /// One coil or discrete input, or one bit of a register.
    Bit,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 9] = [
        Self::I8,
        Self::U8,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::F32,
        Self::F64,
        Self::Bit,
    ];

    /// Those that registers, coils and discrete inputs are made of.
    pub const REGISTERS: [Self; 7] =
        [Self::I16, Self::U16, Self::I32, Self::U32, Self::F32, Self::F64, Self::Bit];

    /// Those that whole bytes are made of.
    pub const BYTES: [Self; 8] =
        [Self::I8, Self::U8, Self::I16, Self::U16, Self::I32, Self::U32, Self::F32, Self::F64];

    /// The kind as a profile writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::I16 => "i16",
            Self::U16 => "u16",
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Bit => "bit",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Registers (or bits) that one takes.
    #[must_use]
    pub const fn width(self) -> u16 {
        match self {
            Self::I8 | Self::U8 | Self::I16 | Self::U16 | Self::Bit => 1,
            Self::I32 | Self::U32 | Self::F32 => 2,
            Self::F64 => 4,
        }
    }

    /// Bytes that one takes; a bit takes a part of one.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bit => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Is it a floating-point number?
    #[must_use]
    pub const fn is_real(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// Is it a whole number without a sign?
    #[must_use]
    pub const fn is_unsigned(self) -> bool {
        matches!(self, Self::U8 | Self::U16 | Self::U32)
    }
}

/// The order of words and of the bytes in each, in the letters that technicians use: A is the most significant byte.
/// For four registers it means the same: words as they come or from the last, bytes of each as they come or swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Most significant word first, most significant byte first: as Modbus itself does.
    #[default]
    Abcd,
    /// Least significant word first.
    Cdab,
    /// Bytes of each word swapped.
    Badc,
    /// Both.
    Dcba,
}

impl Order {
    /// Every order there is.
    pub const ALL: [Self; 4] = [Self::Abcd, Self::Cdab, Self::Badc, Self::Dcba];

    /// The order as a profile writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abcd => "ABCD",
            Self::Cdab => "CDAB",
            Self::Badc => "BADC",
            Self::Dcba => "DCBA",
        }
    }

    /// The order with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == text)
    }

    /// The bytes of these words, most significant first.
    fn bytes(self, words: &[u16]) -> Vec<u8> {
        let swapped = matches!(self, Self::Badc | Self::Dcba);
        let bytes = |word: &u16| if swapped { word.to_le_bytes() } else { word.to_be_bytes() };
        match self {
            Self::Abcd | Self::Badc => words.iter().flat_map(bytes).collect(),
            Self::Cdab | Self::Dcba => words.iter().rev().flat_map(bytes).collect(),
        }
    }
}

/// A number as the device gave it, before scale and offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Raw {
    /// A whole number.
    Whole(i64),
    /// A floating-point number, which may be none.
    Real(f64),
}

impl Raw {
    /// As a number to count with.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the widest whole number has 32 bits")]
    pub const fn number(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }

    /// Reads the registers of one number; `None` where they are not as many as it takes, or it is a bit.
    #[must_use]
    pub fn read(kind: Kind, order: Order, words: &[u16]) -> Option<Self> {
        Self::of_bytes(kind, &order.bytes(words))
    }

    /// Reads the bytes of one number as they came; `None` where they are not as many as it takes, or it is a bit.
    #[must_use]
    pub fn read_bytes(kind: Kind, order: Order, bytes: &[u8]) -> Option<Self> {
        match bytes {
            [_] => Self::of_bytes(kind, bytes),
            _ => {
                let word = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
                let words: Vec<u16> = bytes.chunks_exact(2).map(word).collect();
                Self::of_bytes(kind, &order.bytes(&words))
            }
        }
    }

    /// The most significant byte first.
    fn of_bytes(kind: Kind, bytes: &[u8]) -> Option<Self> {
        Some(match kind {
            Kind::I8 => Self::Whole(i8::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::U8 => Self::Whole(u8::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::I16 => Self::Whole(i16::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::U16 => Self::Whole(u16::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::I32 => Self::Whole(i32::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::U32 => Self::Whole(u32::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::F32 => Self::Real(f32::from_be_bytes(bytes.try_into().ok()?).into()),
            Kind::F64 => Self::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
            Kind::Bit => return None,
        })
    }

    /// The registers that say this number; `None` where it does not fit.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "checked against the range before")]
    pub fn write(kind: Kind, order: Order, number: f64) -> Option<Vec<u16>> {
        let whole = |low: f64, high: f64| {
            let rounded = number.round();
            (low <= rounded && rounded <= high).then_some(rounded as i64)
        };
        let bytes: Vec<u8> = match kind {
            Kind::I16 => (whole(-32_768.0, 32_767.0)? as i16).to_be_bytes().to_vec(),
            Kind::U16 => u16::try_from(whole(0.0, 65_535.0)?).ok()?.to_be_bytes().to_vec(),
            Kind::I32 => {
                (whole(f64::from(i32::MIN), f64::from(i32::MAX))? as i32).to_be_bytes().to_vec()
            }
            Kind::U32 => {
                u32::try_from(whole(0.0, f64::from(u32::MAX))?).ok()?.to_be_bytes().to_vec()
            }
            Kind::F32 => {
                let narrow = number as f32;
                narrow.is_finite().then_some(narrow)?.to_be_bytes().to_vec()
            }
            Kind::F64 => number.is_finite().then_some(number)?.to_be_bytes().to_vec(),
            // No register is a byte, and a coil is not written with registers.
            Kind::I8 | Kind::U8 | Kind::Bit => return None,
        };
        let words: Vec<u16> =
            bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        // An order is its own way back.
        let turned = order.bytes(&words);
        Some(turned.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    }
}

/// A raw number that means "there is none".
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Absent {
    /// Not a number: every one of them.
    Nan,
    /// This whole number, as its kind reads it.
    Whole(i64),
    /// This floating-point number.
    Real(f64),
}

impl Absent {
    /// Does this number mean it?
    #[must_use]
    pub fn is(self, raw: Raw) -> bool {
        match (self, raw) {
            (Self::Nan, Raw::Real(real)) => real.is_nan(),
            (Self::Whole(absent), Raw::Whole(whole)) => absent == whole,
            // -9999.9 of a profile is the nearest number that four bytes can say.
            (Self::Real(absent), Raw::Real(real)) => absent == real || as_f32(absent) == real,
            _ => false,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest number that four bytes can say")]
const fn as_f32(number: f64) -> f64 {
    (number as f32) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by pymodbus (`shared/data/vectors/modbus.json`): 17.4 and 29.1 in two orders, and three whole numbers.
    #[test]
    fn what_another_program_encoded_is_read() {
        for (order, words) in [(Order::Abcd, [16779, 13107]), (Order::Cdab, [13107, 16779])] {
            let Some(Raw::Real(value)) = Raw::read(Kind::F32, order, &words) else { panic!() };
            assert!((value - 17.4).abs() < 1e-6, "{value}");
        }
        assert_eq!(Raw::read(Kind::U16, Order::Abcd, &[1740]), Some(Raw::Whole(1740)));
        assert_eq!(Raw::read(Kind::I16, Order::Abcd, &[65501]), Some(Raw::Whole(-35)));
        assert_eq!(Raw::read(Kind::U16, Order::Badc, &[0x0102]), Some(Raw::Whole(0x0201)));
        assert_eq!(
            Raw::read(Kind::U32, Order::Dcba, &[0x0403, 0x0201]),
            Some(Raw::Whole(0x0102_0304))
        );
        assert_eq!(Raw::read(Kind::U32, Order::Abcd, &[1]), None);
        assert_eq!(Raw::write(Kind::U16, Order::Abcd, 65_536.0), None);
        assert_eq!(Raw::write(Kind::F32, Order::Abcd, f64::NAN), None);
    }

    #[test]
    fn what_is_written_reads_back_in_every_order() {
        for number in (-32_768_i32..32_768).step_by(97) {
            for kind in [Kind::I16, Kind::I32, Kind::F32, Kind::F64] {
                for order in Order::ALL {
                    let words = Raw::write(kind, order, number.into()).unwrap();
                    assert_eq!(words.len(), usize::from(kind.width()));
                    let back = Raw::read(kind, order, &words).unwrap().number();
                    assert!((back - f64::from(number)).abs() < 1e-9, "{number} {kind:?} {order:?}");
                    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
                    assert_eq!(bytes.len(), kind.bytes());
                    assert_eq!(Raw::read_bytes(kind, order, &bytes).unwrap().number(), back);
                }
            }
        }
    }

    #[test]
    fn single_bytes_have_no_order_and_half_numbers_are_none() {
        for order in Order::ALL {
            assert_eq!(Raw::read_bytes(Kind::I8, order, &[0xFE]), Some(Raw::Whole(-2)));
            assert_eq!(Raw::read_bytes(Kind::U8, order, &[0xFE]), Some(Raw::Whole(254)));
            assert_eq!(Raw::read_bytes(Kind::U16, order, &[0xFE]), None);
            assert_eq!(Raw::read_bytes(Kind::U8, order, &[1, 2]), None);
            assert_eq!(Raw::read_bytes(Kind::U32, order, &[1, 2, 3]), None);
            assert_eq!(Raw::read_bytes(Kind::F32, order, &[]), None);
        }
        assert_eq!(Raw::read_bytes(Kind::U16, Order::Dcba, &[1, 2]), Some(Raw::Whole(0x0201)));
    }

    #[test]
    fn what_means_none_is_not_a_number() {
        assert!(Absent::Nan.is(Raw::Real(f64::NAN)) && !Absent::Nan.is(Raw::Real(1.0)));
        assert!(Absent::Whole(-1).is(Raw::Whole(-1)) && !Absent::Whole(-1).is(Raw::Whole(65_535)));
        assert!(Absent::Real(-9999.9).is(Raw::Real(f64::from(-9999.9_f32))));
    }
}
