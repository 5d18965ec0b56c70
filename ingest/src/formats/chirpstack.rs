//! An uplink as ChirpStack 4 publishes it on `application/{id}/device/{devEui}/event/up`: the values are what the device
//! profile's codec makes of the bytes, in `object`; where there is no codec, what the layout of the station's profile
//! makes of them, in `data`, by `fPort`. The time is the codec's, if it gives one (`object.time`), or else when
//! the network heard the device. `fCnt` counts the device's uplinks. Fields that are not ours are left alone: each version
//! of ChirpStack has others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{BadTime, LayoutField, Reason, Refusal, Report, Said, Stated, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{VALUES_MAX, bytes, loose, refused};

const NAME: &str = "chirpstack";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Uplink {
    time: Option<String>,
    device_info: Device,
    f_cnt: Option<u64>,
    f_port: Option<u8>,
    data: Option<String>,
    object: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    dev_eui: String,
}

/// Reads the report of one uplink of the device `dev_eui`, as the topic names it. What a codec made goes before the
/// layout.
///
/// # Errors
/// A [`Refusal`] of the whole uplink: `malformed`, `no_layout`, `bad_count`, `bad_time`, `no_offset`, or
/// `foreign_topic` where it speaks of another device than its topic.
pub fn decode(
    payload: &[u8],
    dev_eui: &str,
    layout: &[LayoutField],
) -> Result<Vec<Report<'static>>, Refusal> {
    let uplink: Uplink = serde_json::from_slice(payload)
        .map_err(|error| refused(Reason::Malformed, &error.to_string()))?;
    if !uplink.device_info.dev_eui.eq_ignore_ascii_case(dev_eui) {
        let detail = format!("deviceInfo.devEui: `{}`", uplink.device_info.dev_eui);
        return Err(refused(Reason::ForeignTopic, &detail));
    }
    let (own, values) = match uplink.object {
        Some(object) => of_codec(object)?,
        None => (None, of_bytes(uplink.data.as_deref(), uplink.f_port, layout)?),
    };
    let taken = match (own, uplink.time) {
        (Some(own), _) => own,
        (None, Some(heard)) => instant(&heard)?,
        (None, None) => Stated::OnArrival,
    };
    Ok(vec![Report { taken, seq: uplink.f_cnt, replay: false, values }])
}

type Values = Vec<Said<'static>>;

fn of_codec(mut object: Map<String, Value>) -> Result<(Option<Stated>, Values), Refusal> {
    let own = object.remove("time").map_or(Ok(None), |time| own_time(&time))?;
    let mut values = Vec::new();
    for (name, value) in &object {
        loose::say(name, value, NAME, &mut values);
    }
    if values.is_empty() || VALUES_MAX < values.len() {
        let detail = format!("object: {} values; 1 to {VALUES_MAX} are possible", values.len());
        return Err(refused(Reason::BadCount, &detail));
    }
    Ok((own, values))
}

fn of_bytes(
    data: Option<&str>,
    port: Option<u8>,
    layout: &[LayoutField],
) -> Result<Values, Refusal> {
    if layout.is_empty() {
        let detail = "object: missing; give the device profile a codec, or the station a layout";
        return Err(refused(Reason::NoLayout, detail));
    }
    let read = data.map(|data| STANDARD.decode(data));
    match read {
        Some(Ok(payload)) => bytes::decode(&payload, port, layout),
        Some(Err(error)) => Err(refused(Reason::Malformed, &format!("data: {error}"))),
        None => Err(refused(Reason::Malformed, "neither object nor data")),
    }
}

/// The codec's own time: RFC 3339, or Unix seconds or milliseconds as in our own report.
fn own_time(value: &Value) -> Result<Option<Stated>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => instant(text).map(Some),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            super::json::unix(number).map(|at| Some(Stated::At(at)))
        }
        _ => Err(refused(Reason::BadTime, "object.time: not a time")),
    }
}

fn instant(text: &str) -> Result<Stated, Refusal> {
    match Timestamp::parse_rfc3339(text) {
        Ok(at) => Ok(Stated::At(at)),
        Err(BadTime::NoOffset) => Err(refused(Reason::NoOffset, &format!("time: `{text}`"))),
        Err(BadTime::Malformed) => Err(refused(Reason::BadTime, &format!("time: `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EUI: &str = "24e124136b502217";
    /// The example of ChirpStack's documentation, with a codec's object.
    const UPLINK: &str = r#"{"deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
        "time": "2022-07-18T09:34:15.775023242+00:00",
        "deviceInfo": {"tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242", "tenantName": "ChirpStack",
            "applicationId": "17c82e96-be03-4f38-aef3-f83d48582d97", "applicationName": "Test",
            "deviceProfileName": "Test", "deviceName": "Test", "devEui": "24E124136B502217",
            "tags": {"key": "value"}},
        "devAddr": "00189440", "dr": 1, "fPort": 1, "fCnt": 42, "data": "qg==",
        "object": {"EC": 12.5, "probe": {"ph": 7.1}, "state": "ok"},
        "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -48, "snr": 9, "metadata": {}}],
        "txInfo": {"frequency": 868300000}}"#;

    #[test]
    fn the_uplink_of_its_documentation_is_read() {
        let [report] = &decode(UPLINK.as_bytes(), EUI, &[]).unwrap()[..] else { panic!("one") };
        let at = Timestamp::parse_rfc3339("2022-07-18T09:34:15.775Z").unwrap();
        assert_eq!((report.taken, report.seq), (Stated::At(at), Some(42)));
        let said: Vec<_> = report.values.iter().map(|it| (it.name.as_ref(), it.value)).collect();
        assert_eq!(said, [("EC", Some(12.5)), ("probe.ph", Some(7.1))]);
    }

    #[test]
    fn a_codecs_own_time_is_when_it_was_measured() {
        for text in ["1773266400", "1773266400000", "\"2026-03-12T05:00:00+07:00\""] {
            let payload = UPLINK.replace("\"EC\"", &format!("\"time\": {text}, \"EC\""));
            let reports = decode(payload.as_bytes(), EUI, &[]).unwrap();
            let at = Timestamp::from_millis(1_773_266_400_000);
            assert_eq!((reports[0].taken, reports[0].values.len()), (Stated::At(at), 2), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_reason() {
        use Reason as R;
        for (from, to, reason) in [
            ("24E124136B502217", "0000000000000000", R::ForeignTopic),
            ("\"object\"", "\"objekt\"", R::NoLayout),
            ("{\"EC\": 12.5, \"probe\": {\"ph\": 7.1}, \"state\": \"ok\"}", "{}", R::BadCount),
            ("{\"EC\": 12.5, \"probe\": {\"ph\": 7.1}, \"state\": \"ok\"}", "[]", R::Malformed),
            ("09:34:15.775023242+00:00", "09:34:15", R::NoOffset),
            ("2022-07-18T09:34:15.775023242+00:00", "yesterday", R::BadTime),
            ("\"EC\"", "\"time\": \"2026-03-12T05:00:00\", \"EC\"", R::NoOffset),
            ("\"EC\"", "\"time\": true, \"EC\"", R::BadTime),
            ("\"fCnt\": 42", "\"fCnt\": -1", R::Malformed),
            ("\"devEui\"", "\"devEUI\"", R::Malformed),
        ] {
            let payload = UPLINK.replace(from, to);
            assert_ne!(payload, UPLINK, "{from}");
            assert_eq!(
                decode(payload.as_bytes(), EUI, &[]).unwrap_err().reason,
                reason,
                "{from} {to}"
            );
        }
    }

    #[test]
    fn an_uplink_without_a_codec_is_read_by_its_ports_layout() {
        let uplink = |port: &str, data: &str| {
            format!(
                r#"{{"deviceInfo": {{"devEui": "{EUI}"}}, "time": "2026-03-12T05:00:00+07:00", "fCnt": 7,
                    "fPort": {port}, "data": {data}, "object": null}}"#
            )
        };
        let layout = bytes::tests::dds75();
        // 0CE4 0898 00 011F 01: 3.3 V, 2.2 m, 28.7 °C.
        let good = uplink("2", "\"DOQImAABHwE=\"");
        let [report] = &decode(good.as_bytes(), EUI, &layout).unwrap()[..] else { panic!("one") };
        let at = Timestamp::from_millis(1_773_266_400_000);
        assert_eq!((report.taken, report.seq), (Stated::At(at), Some(7)));
        assert_eq!((report.values.len(), report.values[0].value), (3, Some(3300.0)));
        for (payload, reason) in [
            (uplink("5", "\"DOQImAABHwE=\""), Reason::NoLayout),
            (uplink("null", "\"DOQImAABHwE=\""), Reason::NoLayout),
            (uplink("2", "\"DOQImAAB\""), Reason::Malformed),
            (uplink("2", "\"\""), Reason::Malformed),
            (uplink("2", "\"no base64!\""), Reason::Malformed),
            (uplink("2", "null"), Reason::Malformed),
            (uplink("256", "\"DOQImAABHwE=\""), Reason::Malformed),
        ] {
            let refusal = decode(payload.as_bytes(), EUI, &layout).unwrap_err();
            assert_eq!(refusal.reason, reason, "{payload} {refusal}");
        }
        // A codec's own word goes before the layout.
        let [report] = &decode(UPLINK.as_bytes(), EUI, &layout).unwrap()[..] else { panic!() };
        assert_eq!(report.values[0].name, "EC");
    }

    proptest! {
        #[test]
        fn no_mutilated_uplink_makes_it_panic(at in 0..UPLINK.len(), byte in any::<u8>()) {
            let mut payload = UPLINK.as_bytes().to_vec();
            payload[at] = byte;
            drop(decode(&payload, EUI, &[]));
        }
    }
}
