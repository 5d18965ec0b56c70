//! How the state of a stream is written down: each struct as its fields in order, without their names, so that a series
//! takes some hundred bytes in CBOR. The order is the format: whoever changes it raises the version in `live`.
//!
//! Numbers of the water are mostly decimals: a thousandth that is exact is written as an integer, which takes three bytes
//! instead of nine. That needs a format which says what a number is, as CBOR and JSON do.

use std::fmt;

use domain::{Flag, TestFlags};
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Writes the fields of a struct in this order, each as the type named here, and reads them again.
macro_rules! in_order {
    ($name:ident { $($field:ident: $as:ty),+ $(,)? }) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use crate::quality::saved::As;
                ($(<$as as As<_>>::shown(&self.$field),)+).serialize(to)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                use crate::quality::saved::As;
                let ($($field,)+): ($($as,)+) = serde::Deserialize::deserialize(from)?;
                Ok(Self { $($field: <$as as As<_>>::meant($field)),+ })
            }
        }
    };
}
pub(super) use in_order;

/// A type that stands for another where it is written: itself, or one of those below.
pub(super) trait As<T> {
    type Shown<'a>: Serialize
    where
        T: 'a;
    fn shown(it: &T) -> Self::Shown<'_>;
    fn meant(self) -> T;
}

impl<T: Serialize> As<T> for T {
    type Shown<'a>
        = &'a T
    where
        T: 'a;
    fn shown(it: &T) -> &T {
        it
    }
    fn meant(self) -> T {
        self
    }
}

/// A number of the water.
pub(super) struct Number(f64);

impl As<f64> for Number {
    type Shown<'a> = Self;
    fn shown(it: &f64) -> Self {
        Self(*it)
    }
    fn meant(self) -> f64 {
        self.0
    }
}

impl As<Option<f64>> for Option<Number> {
    type Shown<'a> = Self;
    fn shown(it: &Option<f64>) -> Self {
        it.map(Number)
    }
    fn meant(self) -> Option<f64> {
        self.map(|it| it.0)
    }
}

/// Thousandths that are one number again when they are divided, up to a million.
fn thousandths(it: f64) -> Option<i64> {
    let whole = (it * 1_000.0).round();
    let thousandths = whole as i64;
    // Not so a zero with a sign, whose sign an integer loses.
    let same = (thousandths as f64 / 1_000.0).to_bits() == it.to_bits();
    (whole.abs() <= 1e9 && same).then_some(thousandths)
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match thousandths(self.0) {
            Some(thousandths) => to.serialize_i64(thousandths),
            // Infinities and what is not a number have no word in JSON.
            None if self.0.is_finite() => to.serialize_f64(self.0),
            None => to.serialize_str(&format!("{:x}", self.0.to_bits())),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor).map(Self)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thousandths as an integer, or a number")
    }

    fn visit_i64<E: Error>(self, thousandths: i64) -> Result<f64, E> {
        Ok(thousandths as f64 / 1_000.0)
    }

    fn visit_u64<E: Error>(self, thousandths: u64) -> Result<f64, E> {
        Ok(thousandths as f64 / 1_000.0)
    }

    fn visit_f64<E: Error>(self, it: f64) -> Result<f64, E> {
        Ok(it)
    }

    fn visit_str<E: Error>(self, bits: &str) -> Result<f64, E> {
        let bits = u64::from_str_radix(bits, 16);
        bits.map(f64::from_bits).map_err(|_| E::invalid_value(Unexpected::Other("bits"), &self))
    }
}

/// Test flags, as the word that stores keep.
pub(super) struct Word(TestFlags);

impl As<TestFlags> for Word {
    type Shown<'a> = Self;
    fn shown(it: &TestFlags) -> Self {
        Self(*it)
    }
    fn meant(self) -> TestFlags {
        self.0
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0.bits())
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        TestFlags::try_from(u64::deserialize(from)?).map(Self).map_err(D::Error::custom)
    }
}

/// A flag, as its QARTOD number.
pub(super) struct Digit(Flag);

impl As<Flag> for Digit {
    type Shown<'a> = Self;
    fn shown(it: &Flag) -> Self {
        Self(*it)
    }
    fn meant(self) -> Flag {
        self.0
    }
}

impl Serialize for Digit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(self.0.number())
    }
}

impl<'de> Deserialize<'de> for Digit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(from)?;
        let unknown = || D::Error::invalid_value(Unexpected::Unsigned(number.into()), &"a flag");
        Flag::from_number(number).map(Self).ok_or_else(unknown)
    }
}

/// An instant, as milliseconds.
pub(super) struct Millis(domain::Timestamp);

impl As<domain::Timestamp> for Millis {
    type Shown<'a> = Self;
    fn shown(it: &domain::Timestamp) -> Self {
        Self(*it)
    }
    fn meant(self) -> domain::Timestamp {
        self.0
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(self.0.as_millis())
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        i64::deserialize(from).map(|it| Self(domain::Timestamp::from_millis(it)))
    }
}
