//! What is accepted as configuration, what an SMS looks like on the wire, what comes back.

use domain::{AlertId, ChannelKind, Notice, NoticeId, PersonId};
use rusmpp::pdus::{DeliverSm, SubmitSm};
use rusmpp::tlvs::{MessageDeliveryRequestTlvValue, TlvTag, TlvValue};
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, MessageState, Ton};

use super::send::compose;
use super::*;
use crate::channels::NotSent;
use crate::testing::{smsc::Smsc, time};

const URL: &str = "smpp://saltline:secret@127.0.0.1:2775";

fn notice(address: &str, body: &str) -> Notice {
    let person = PersonId::new("ba-tu").unwrap();
    let alert = AlertId::from_text("salinity-intake.xuan-hoa.7");
    Notice {
        id: NoticeId::new(&alert, 0, &person, ChannelKind::Sms),
        alert,
        person,
        channel: ChannelKind::Sms,
        address: address.to_owned(),
        subject: String::new(),
        body: body.to_owned(),
        made_at: time("05:00"),
    }
}

fn composed(options: &str, body: &str) -> Vec<SubmitSm> {
    let config = SmsConfig::parse(&format!("{URL}{options}")).unwrap();
    compose(&notice("+84901234567", body), &config).unwrap()
}

#[test]
fn a_url_that_smpp_cannot_carry_is_refused() {
    for url in [
        "smpp://127.0.0.1",
        "smpp://saltline@127.0.0.1",
        "http://saltline:secret@127.0.0.1",
        "smpp://saltline:ninechars@127.0.0.1",
        "smpp://sixteencharacter:secret@127.0.0.1",
        &format!("{URL}?window=0"),
        &format!("{URL}?window=many"),
        &format!("{URL}?concat=none"),
        &format!("{URL}?source=NAME-THAT-IS-LONG"),
        &format!("{URL}?source=M%E1%BA%B7n"),
        &format!("{URL}?colour=blue"),
    ] {
        let refused = SmsConfig::parse(url).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("ninechars"), "{refused}");
    }
    assert!(!format!("{:?}", SmsConfig::parse(URL).unwrap()).contains("secret"));
}

#[test]
fn a_source_is_a_brand_a_number_or_a_short_code() {
    let of = |options: &str| SmsConfig::parse(&format!("{URL}{options}")).unwrap().source;
    assert_eq!(of(""), Source::Unset);
    assert_eq!(of("?source=SALTLINE"), Source::Name("SALTLINE".to_owned()));
    assert_eq!(of("?source=%2B84901234567"), Source::International("84901234567".to_owned()));
    assert_eq!(of("?source=+84901234567"), Source::International("84901234567".to_owned()));
    assert_eq!(of("?source=8088"), Source::Short("8088".to_owned()));
}

#[test]
fn a_short_text_is_one_plain_message_with_a_receipt_wanted() {
    let parts = composed("?source=SALTLINE", "CANH BAO MAN: do 8,85 g/l @ {x}");
    let [sm] = &parts[..] else { panic!("{} parts", parts.len()) };
    assert_eq!(u8::from(sm.esm_class), 0);
    assert_eq!(u8::from(sm.registered_delivery), 1);
    assert_eq!(sm.data_coding, DataCoding::McSpecific);
    assert_eq!((sm.source_addr_ton, sm.source_addr.as_str()), (Ton::Alphanumeric, "SALTLINE"));
    assert_eq!(
        (sm.dest_addr_ton, sm.destination_addr.as_str()),
        (Ton::International, "84901234567")
    );
    let octets: &[u8] = sm.short_message().as_ref();
    assert_eq!(octets, b"CANH BAO MAN: do 8,85 g/l \x00 \x1b\x28x\x1b\x29");
    assert!(sm.tlvs().iter().any(|tlv| tlv.tag() == TlvTag::UserMessageReference));
}

#[test]
fn a_long_text_carries_a_header_in_every_part_and_the_same_reference_every_time() {
    let body = "ặ".repeat(100);
    let (first, again) = (composed("", &body), composed("", &body));
    assert_eq!(first, again);
    let headers: Vec<&[u8]> = first.iter().map(|sm| &sm.short_message().as_ref()[..6]).collect();
    assert_eq!((headers[0][..3].to_vec(), headers[0][4], headers[0][5]), (vec![5, 0, 3], 2, 1));
    assert_eq!((headers[1][3], headers[1][4], headers[1][5]), (headers[0][3], 2, 2));
    assert!(first.iter().all(|sm| u8::from(sm.esm_class) == 0x40));
    assert!(first.iter().all(|sm| sm.data_coding == DataCoding::Ucs2));
    assert_eq!(first[0].short_message().as_ref().len(), 140);
}

#[test]
fn or_it_is_marked_by_parameters() {
    let parts = composed("?concat=sar", &"a".repeat(161));
    assert!(parts.iter().all(|sm| u8::from(sm.esm_class) == 0));
    let number = |sm: &SubmitSm| {
        sm.tlvs().iter().find_map(|tlv| match tlv.value() {
            Some(TlvValue::SarSegmentSeqnum(number)) => Some(*number),
            _ => None,
        })
    };
    assert_eq!(parts.iter().map(number).collect::<Vec<_>>(), [Some(1), Some(2)]);
}

#[test]
fn a_number_that_is_not_one_is_never_tried() {
    let config = SmsConfig::parse(URL).unwrap();
    for address in ["", "0901234567", "+84", "+84 90x", "+849012345678901234", "batu@example.vn"] {
        let refused = compose(&notice(address, "…"), &config);
        assert!(matches!(refused, Err(NotSent::Never { .. })), "{address}");
    }
    assert!(compose(&notice("+84 90.123-4567", "…"), &config).is_ok());
}

fn deliver(esm_class: u8, text: &str) -> DeliverSm {
    DeliverSm::builder()
        .esm_class(EsmClass::from(esm_class))
        .short_message(OctetString::from_string(text.to_owned()).unwrap())
        .build()
}

#[test]
fn a_receipt_is_read_from_its_text_or_its_parameters() {
    let text = |stat: &str| {
        format!("id:0A1b sub:001 dlvrd:001 submit date:1 done date:2 stat:{stat} err:0 text:id:x")
    };
    for (stat, fate) in [
        ("DELIVRD", Fate::Delivered),
        ("delivrd", Fate::Delivered),
        ("UNDELIV", Fate::Lost),
        ("EXPIRED", Fate::Lost),
        ("REJECTD", Fate::Lost),
        ("ENROUTE", Fate::OnTheWay),
        ("ACCEPTD", Fate::OnTheWay),
        ("", Fate::OnTheWay),
    ] {
        let receipt = receipt::read(&deliver(0x04, &text(stat))).unwrap();
        assert_eq!((receipt.reference.as_str(), receipt.fate), ("0A1b", fate), "{stat}");
    }
    let mut with_parameters = deliver(0x04, "whatever");
    with_parameters.set_tlvs(vec![
        MessageDeliveryRequestTlvValue::ReceiptedMessageId(
            COctetString::from_string("77".to_owned()).unwrap(),
        ),
        MessageDeliveryRequestTlvValue::MessageState(MessageState::Undeliverable),
    ]);
    let receipt = receipt::read(&with_parameters).unwrap();
    assert_eq!((receipt.reference.as_str(), receipt.fate), ("77", Fate::Lost));
}

#[test]
fn what_is_no_receipt_is_not_read_as_one() {
    assert_eq!(receipt::read(&deliver(0x00, "id:1 stat:DELIVRD")), None);
    assert_eq!(receipt::read(&deliver(0x04, "hello")), None);
    assert_eq!(receipt::read(&deliver(0x04, "id: stat:DELIVRD")), None);
    assert_eq!(receipt::read(&deliver(0x04, "ặặặ")), None);
}

#[tokio::test]
async fn a_probe_says_whether_we_are_let_in() {
    let smsc = Smsc::start().await;
    probe(&SmsConfig::parse(&smsc.url()).unwrap()).await.unwrap();
    let wrong = smsc.url().replace("secret", "wrong");
    let refused = probe(&SmsConfig::parse(&wrong).unwrap()).await;
    assert!(matches!(refused, Err(LinkError::Refused(_))), "{refused:?}");
    smsc.stop().await;
    let away = SmsConfig::parse("smpp://a:b@127.0.0.1:1").unwrap();
    assert!(matches!(probe(&away).await, Err(LinkError::Connect(_))));
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn even_at_trace_level_no_password_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let smsc = Smsc::start().await;
    tracing::info!("it is written");
    probe(&SmsConfig::parse(&smsc.url()).unwrap()).await.unwrap();
    let wrong = smsc.url().replace("secret", "secret2");
    probe(&SmsConfig::parse(&wrong).unwrap()).await.unwrap_err();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("it is written"));
    assert!(!log.contains("secret"), "{log}");
}
