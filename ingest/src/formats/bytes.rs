//! Bare bytes: numbers at fixed places, which only the layout in the station's profile knows ([`LayoutField`]). There is
//! no time in them and no check behind them, so what is short is refused whole: half of a payload is another payload.

use std::borrow::Cow;

use domain::{LayoutField, Reason, Refusal, Said, Status};

use super::refused;

/// Reads the values of one payload, which came on this LoRaWAN port, if it came on one. Bytes behind the last field are
/// nobody's: newer firmware appends.
///
/// # Errors
/// `no_layout` where no field is of this port, `malformed` where a field is not there whole.
pub fn decode(
    payload: &[u8],
    port: Option<u8>,
    layout: &[LayoutField],
) -> Result<Vec<Said<'static>>, Refusal> {
    let values = layout.iter().filter(|field| field.is_on(port)).map(|field| said(field, payload));
    let values: Vec<_> = values.collect::<Result<_, _>>()?;
    if values.is_empty() {
        return Err(refused(Reason::NoLayout, &missing(port, layout)));
    }
    Ok(values)
}

fn said(field: &LayoutField, payload: &[u8]) -> Result<Said<'static>, Refusal> {
    let raw = field.read(payload).ok_or_else(|| {
        let (length, parameter, end) = (payload.len(), &field.parameter, field.end());
        let detail = format!("{length} bytes; {parameter} would end with byte {end}");
        refused(Reason::Malformed, &detail)
    })?;
    Ok(Said {
        name: Cow::Owned(field.parameter.to_string()),
        value: field.value(raw),
        unit: field.unit.clone().map(Cow::Owned),
        status: Status::Measuring,
    })
}

/// Why no field speaks of it.
fn missing(port: Option<u8>, layout: &[LayoutField]) -> String {
    let mut ports: Vec<u8> = layout.iter().filter_map(|field| field.port).collect();
    ports.sort_unstable();
    ports.dedup();
    let ports: Vec<_> = ports.iter().map(u8::to_string).collect();
    match (port, ports.join(", ")) {
        (_, ports) if ports.is_empty() => {
            "the station's profile has no layout for its bytes".to_owned()
        }
        (Some(port), ports) => format!("port {port}; the layout has {ports}"),
        (None, ports) => format!("bytes without a port; the layout has ports only: {ports}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::ParameterCode;
    use domain::raw::{Absent, Kind, Order};
    use proptest::prelude::*;

    pub(crate) fn field(at: u8, kind: Kind, parameter: &str) -> LayoutField {
        LayoutField {
            port: None,
            at,
            kind,
            order: Order::Abcd,
            mask: None,
            scale: 1.0,
            offset: 0.0,
            unit: None,
            parameter: ParameterCode::new(parameter).unwrap(),
            absent: Vec::new(),
        }
    }

    /// Dragino's DDS75-LB, a distance sensor over water, as its user manual has the uplink on port 2: battery in mV
    /// (2 bytes), distance in mm (2 bytes; 0 no sensor, 20 no echo), interrupt (1 byte), temperature in 0.1 °C (2
    /// bytes), sensor flag (1 byte). It hangs 3.2 m above the datum.
    pub(crate) fn dds75() -> Vec<LayoutField> {
        let unit = |unit: &str| Some(unit.to_owned());
        let mut layout = vec![
            LayoutField { unit: unit("mV"), ..field(0, Kind::U16, "battery") },
            LayoutField {
                scale: -0.001,
                offset: 3.2,
                absent: vec![Absent::Whole(0), Absent::Whole(20)],
                ..field(2, Kind::U16, "water_level")
            },
            LayoutField { scale: 0.1, ..field(5, Kind::I16, "air_temperature") },
        ];
        layout.iter_mut().for_each(|field| field.port = Some(2));
        layout
    }

    fn told(payload: &[u8], port: Option<u8>) -> Vec<(String, Option<f64>)> {
        let said = decode(payload, port, &dds75()).unwrap();
        let round = |value: f64| (value * 1e6).round() / 1e6;
        said.into_iter().map(|it| (it.name.into_owned(), it.value.map(round))).collect()
    }

    #[test]
    fn a_distance_sensor_is_read_as_its_manual_says() {
        let payload = [0x0C, 0xE4, 0x08, 0x98, 0x00, 0x01, 0x1F, 0x01];
        let wanted = [("battery", 3300.0), ("water_level", 1.0), ("air_temperature", 28.7)];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), Some(value)));
        assert_eq!(told(&payload, Some(2)), wanted);
        let none = [0x0C, 0xE4, 0x00, 0x14, 0x00, 0xFF, 0x9C, 0x01, 0xAA];
        let told = told(&none, Some(2));
        assert_eq!((told[1].1, told[2].1), (None, Some(-10.0)));
    }

    #[test]
    fn what_no_layout_speaks_of_is_refused_with_its_reason() {
        let payload = [0x0C, 0xE4, 0x08, 0x98, 0x00, 0x01, 0x1F];
        let why = |payload: &[u8], port, layout: &[LayoutField]| {
            let refusal = decode(payload, port, layout).unwrap_err();
            (refusal.reason, refusal.detail)
        };
        let (layout, none) = (dds75(), Reason::NoLayout);
        let short = why(&payload[..6], Some(2), &layout);
        let detail = "6 bytes; air_temperature would end with byte 7";
        assert_eq!(short, (Reason::Malformed, detail.to_owned()));
        assert_eq!(why(&[], Some(2), &layout).0, Reason::Malformed);
        let other = why(&payload, Some(5), &layout);
        assert_eq!(other, (none, "port 5; the layout has 2".to_owned()));
        let bare = "bytes without a port; the layout has ports only: 2";
        assert_eq!(why(&payload, None, &layout), (none, bare.to_owned()));
        assert_eq!(why(&payload, Some(2), &[]).0, none);
        assert_eq!(why(&[], None, &[]).0, none);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            payload in prop::collection::vec(any::<u8>(), 0..32),
            at in any::<u8>(), kind in 0..Kind::BYTES.len(), order in 0..4_usize, mask in any::<u32>(),
        ) {
            let mask = Kind::BYTES[kind].is_unsigned().then_some(mask);
            let order = Order::ALL[order];
            let field = LayoutField { order, mask, ..field(at, Kind::BYTES[kind], "ph") };
            let whole = field.end() <= payload.len();
            prop_assert_eq!(decode(&payload, None, &[field]).is_ok(), whole);
        }
    }
}
