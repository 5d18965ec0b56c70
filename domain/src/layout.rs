//! How a payload of bare bytes lies: a LoRaWAN sensor without a codec, a modem that passes registers on. Each field says
//! where its number begins and what becomes of it.

use crate::ParameterCode;
use crate::raw::{Absent, Kind, Order, Raw};

/// One number of a payload and the parameter it means: `value = scale · raw + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayoutField {
    /// The LoRaWAN port (`fPort`) whose payloads have it; all payloads, where none is said.
    pub port: Option<u8>,
    /// Its first byte, counted from 0.
    pub at: u8,
    /// What it is made of; not a bit, which is what `mask` is for.
    pub kind: Kind,
    /// How its bytes lie.
    pub order: Order,
    /// The bits that are meant, side by side, of a number that shares its bytes with others.
    pub mask: Option<u32>,
    /// Factor from the raw number to the unit.
    pub scale: f64,
    /// Added after scaling, in the unit.
    pub offset: f64,
    /// The unit after scaling; the parameter's own, where none is said.
    pub unit: Option<String>,
    /// Our parameter.
    pub parameter: ParameterCode,
    /// Raw numbers that mean "there is none".
    pub absent: Vec<Absent>,
}

impl LayoutField {
    /// The byte behind its last.
    #[must_use]
    pub fn end(&self) -> usize {
        usize::from(self.at) + self.kind.bytes()
    }

    /// Does a payload of this port have it?
    #[must_use]
    pub fn is_on(&self, port: Option<u8>) -> bool {
        self.port.is_none() || self.port == port
    }

    /// What a payload says of it; `None` where the payload ends before.
    #[must_use]
    pub fn read(&self, payload: &[u8]) -> Option<Raw> {
        let bytes = payload.get(usize::from(self.at)..self.end())?;
        let raw = Raw::read_bytes(self.kind, self.order, bytes)?;
        Some(match (self.mask, raw) {
            (Some(mask), Raw::Whole(whole)) => {
                Raw::Whole((whole & i64::from(mask)) >> mask.trailing_zeros().min(31))
            }
            _ => raw,
        })
    }

    /// The value in its unit, where the raw number does not mean that there is none.
    #[must_use]
    pub fn value(&self, raw: Raw) -> Option<f64> {
        let absent = self.absent.iter().any(|absent| absent.is(raw));
        (!absent).then(|| raw.number() * self.scale + self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: Kind, at: u8) -> LayoutField {
        LayoutField {
            port: None,
            at,
            kind,
            order: Order::Abcd,
            mask: None,
            scale: 1.0,
            offset: 0.0,
            unit: None,
            parameter: ParameterCode::new("ph").unwrap(),
            absent: Vec::new(),
        }
    }

    #[test]
    fn a_number_is_found_where_it_lies() {
        let payload = [0x80, 0x01, 0x02, 0xFF];
        let whole = |field: LayoutField| field.read(&payload);
        assert_eq!(whole(field(Kind::I8, 3)), Some(Raw::Whole(-1)));
        assert_eq!(whole(field(Kind::U16, 1)), Some(Raw::Whole(0x0102)));
        let little = LayoutField { order: Order::Dcba, ..field(Kind::U16, 1) };
        assert_eq!(whole(little), Some(Raw::Whole(0x0201)));
        assert_eq!(whole(field(Kind::U16, 3)), None);
        assert_eq!(whole(field(Kind::F32, 255)), None);
        let masked = |mask, at| LayoutField { mask: Some(mask), ..field(Kind::U16, at) };
        assert_eq!(whole(masked(0x3FFF, 0)), Some(Raw::Whole(1)));
        assert_eq!(whole(masked(0xC000, 0)), Some(Raw::Whole(2)));
        assert_eq!(whole(masked(0, 0)), Some(Raw::Whole(0)));
    }

    #[test]
    fn a_value_is_scaled_and_what_means_none_is_none() {
        let absent = vec![Absent::Whole(0x7FFF)];
        let field = LayoutField { scale: 0.1, offset: -2.0, absent, ..field(Kind::I16, 0) };
        assert_eq!(field.value(Raw::Whole(0x7FFF)), None);
        assert!((field.value(Raw::Whole(91)).unwrap() - 7.1).abs() < 1e-9);
    }

    #[test]
    fn a_field_of_a_port_is_on_that_port_only() {
        let on = LayoutField { port: Some(2), ..field(Kind::U8, 0) };
        assert!(on.is_on(Some(2)) && !on.is_on(Some(3)) && !on.is_on(None));
        assert!(field(Kind::U8, 0).is_on(Some(9)) && field(Kind::U8, 0).is_on(None));
    }
}
