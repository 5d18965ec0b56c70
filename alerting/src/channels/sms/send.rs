//! A notice becomes an SMS: segmented, marked with a reference that stays the same when it has to be sent again,
//! and handed to the SMSC with the wish for a receipt.

use std::future::Future;
use std::time::Duration;

use domain::Notice;
use rusmpp::CommandStatus;
use rusmpp::pdus::SubmitSm;
use rusmpp::tlvs::MessageSubmissionRequestTlvValue as Tlv;
use rusmpp::types::{COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, Npi, RegisteredDelivery, Ton, UserMessageReference};
use rusmppc::error::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link::{Bound, Handled, Link, c_string};
use super::receipt::Receipt;
use super::segments::{Alphabet, segments};
use super::{Concatenation, SmsConfig, Source};
use crate::channels::{Accepted, NotSent, Setback};

/// How long a notice waits for the connection that is just being made: a TCP handshake and a bind across the
/// country, twice over.
const LINK_WAIT: Duration = Duration::from_secs(3);

/// One part, from our queue to the SMSC's answer: a second more than the answer itself may take, for writing into a
/// socket that the other side may have stopped reading.
const WRITING: Duration = Duration::from_secs(1);

/// esm_class of an ordinary message, and of one that begins with a user data header (SMPP 3.4 §5.2.12). Written as
/// numbers because `EsmClass::default()` of rusmpp 0.4 is 0x08, a delivery acknowledgement.
const PLAIN: u8 = 0x00;
const WITH_HEADER: u8 = 0x40;

/// Six hours, relative (SMPP 3.4 §7.1.1.2): a phone that is switched on tomorrow need not be told of today's tide.
const VALID_FOR: &str = "000000060000000R";

/// registered_delivery: a receipt, whatever the outcome, and nothing else (SMPP 3.4 §5.2.17).
const RECEIPT_WANTED: u8 = 0x01;

/// The way out to an SMSC.
pub(crate) struct Sms {
    config: SmsConfig,
    link: Link,
}

impl Sms {
    pub(crate) fn new(config: &SmsConfig) -> Self {
        Self { config: config.clone(), link: Link::new(config.clone()) }
    }

    /// Keeps the connection until `stop`, handing over receipts.
    pub(crate) async fn tend<F, Fut>(&self, on_receipt: F, stop: &CancellationToken)
    where
        F: Fn(Receipt) -> Fut,
        Fut: Future<Output = Handled>,
    {
        self.link.tend(on_receipt, stop).await;
    }

    /// Hands the notice to the SMSC, part by part.
    pub(crate) async fn send(&self, notice: &Notice) -> Result<Accepted, NotSent> {
        let parts = compose(notice, &self.config)?;
        let bound = self
            .link
            .bound(LINK_WAIT)
            .await
            .ok_or_else(|| NotSent::later(Setback::Away, "no connection to the SMSC"))?;
        let _unanswered = bound
            .window
            .acquire()
            .await
            .map_err(|_| NotSent::later(Setback::Away, "the connection to the SMSC ended"))?;
        let mut references = Vec::with_capacity(parts.len());
        for part in parts {
            references.push(submit(&bound, part).await?);
        }
        Ok(Accepted { references })
    }
}

async fn submit(bound: &Bound, part: SubmitSm) -> Result<String, NotSent> {
    match timeout(bound.answer_within + WRITING, bound.client.submit_sm(part)).await {
        Ok(Ok(answer)) => Ok(answer.message_id().as_str().to_owned()),
        Ok(Err(Error::UnexpectedResponse { response })) => Err(refused(response.status())),
        Ok(Err(Error::Encode(why))) => {
            Err(NotSent::never(format!("cannot be written in SMPP: {why}")))
        }
        Ok(Err(error)) => {
            // Half-open or broken: whoever comes next shall not wait for it again.
            bound.dead.cancel();
            Err(NotSent::later(Setback::Away, error))
        }
        Err(_) => {
            bound.dead.cancel();
            Err(NotSent::later(
                Setback::Away,
                format!("no answer within {:?}", bound.answer_within),
            ))
        }
    }
}

/// What comes next after a command status (SMPP 3.4 §5.1.3).
fn refused(status: CommandStatus) -> NotSent {
    let detail = format!("{status:?}");
    match status {
        CommandStatus::EsmeRthrottled | CommandStatus::EsmeRmsgqful => {
            NotSent::later(Setback::Throttled, detail)
        }
        CommandStatus::EsmeRinvbndsts => NotSent::later(Setback::Away, detail),
        CommandStatus::EsmeRinvdstadr
        | CommandStatus::EsmeRinvdstton
        | CommandStatus::EsmeRinvdstnpi
        | CommandStatus::EsmeRinvmsglen
        | CommandStatus::EsmeRinvsrcadr
        | CommandStatus::EsmeRinvsrcton
        | CommandStatus::EsmeRinvsrcnpi => NotSent::never(detail),
        _ => NotSent::later(Setback::Busy, detail),
    }
}

/// The notice as the PDUs of its parts.
pub(super) fn compose(notice: &Notice, config: &SmsConfig) -> Result<Vec<SubmitSm>, NotSent> {
    let (alphabet, parts) = segments(&notice.body);
    let reference = reference(notice);
    let total = u8::try_from(parts.len()).map_err(|_| NotSent::never("too many parts"))?;
    parts
        .into_iter()
        .zip(1..=total)
        .map(|(octets, number)| {
            let part = Part { octets, number, total, reference };
            submit_sm(notice, config, alphabet, part)
        })
        .collect()
}

struct Part {
    octets: Vec<u8>,
    number: u8,
    total: u8,
    reference: u16,
}

fn submit_sm(
    notice: &Notice,
    config: &SmsConfig,
    alphabet: Alphabet,
    part: Part,
) -> Result<SubmitSm, NotSent> {
    let (ton, npi, source) = source(&config.source)?;
    let mut tlvs = vec![Tlv::UserMessageReference(UserMessageReference::new(part.reference))];
    let concatenated = 1 < part.total;
    if concatenated && config.concatenation == Concatenation::Sar {
        tlvs.push(Tlv::SarMsgRefNum(part.reference));
        tlvs.push(Tlv::SarTotalSegments(part.total));
        tlvs.push(Tlv::SarSegmentSeqnum(part.number));
    }
    let with_header = concatenated && config.concatenation == Concatenation::Udh;
    let octets = if with_header { with_udh(&part) } else { part.octets };
    Ok(SubmitSm::builder()
        .source_addr_ton(ton)
        .source_addr_npi(npi)
        .source_addr(source)
        .dest_addr_ton(Ton::International)
        .dest_addr_npi(Npi::Isdn)
        .destination_addr(destination(&notice.address)?)
        .esm_class(EsmClass::from(if with_header { WITH_HEADER } else { PLAIN }))
        .validity_period(
            EmptyOrFullCOctetString::from_string(VALID_FOR.to_owned())
                .map_err(|why| NotSent::never(format!("the validity: {why}")))?,
        )
        .registered_delivery(RegisteredDelivery::from(RECEIPT_WANTED))
        .data_coding(match alphabet {
            Alphabet::Gsm7 => DataCoding::McSpecific,
            Alphabet::Ucs2 => DataCoding::Ucs2,
        })
        .short_message(
            OctetString::from_vec(octets)
                .map_err(|why| NotSent::never(format!("the text: {why}")))?,
        )
        .tlvs(tlvs)
        .build())
}

/// A user data header of one element: concatenated short message, 8-bit reference (3GPP TS 23.040 §9.2.3.24.1).
fn with_udh(part: &Part) -> Vec<u8> {
    let reference = part.reference.to_be_bytes()[1];
    let header = [0x05, 0x00, 0x03, reference, part.total, part.number];
    [header.as_slice(), &part.octets].concat()
}

/// The same notice always has the same reference: 16 bits of its id (FNV-1a), so that an SMSC or a phone can tell a
/// second copy from a second message.
fn reference(notice: &Notice) -> u16 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = notice.id.as_str().bytes().fold(0x811c_9dc5, mix);
    u16::try_from((hash >> 16) ^ (hash & 0xFFFF)).unwrap_or(u16::MAX)
}

fn source(source: &Source) -> Result<(Ton, Npi, COctetString<1, 21>), NotSent> {
    let (ton, npi, text) = match source {
        Source::Unset => (Ton::Unknown, Npi::Unknown, ""),
        Source::Name(name) => (Ton::Alphanumeric, Npi::Unknown, name.as_str()),
        Source::International(number) => (Ton::International, Npi::Isdn, number.as_str()),
        Source::Short(number) => (Ton::Unknown, Npi::Isdn, number.as_str()),
    };
    Ok((ton, npi, c_string(text, "source").map_err(NotSent::never)?))
}

/// E.164 without its plus: 8 to 15 digits.
fn destination(address: &str) -> Result<COctetString<1, 21>, NotSent> {
    let spoken = |c: char| !matches!(c, ' ' | '.' | '-');
    let digits: String = address.trim_start_matches('+').chars().filter(|c| spoken(*c)).collect();
    let is_number = (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number || !address.starts_with('+') {
        return Err(NotSent::never(format!("`{address}` is not a phone number like +84901234567")));
    }
    c_string(&digits, "destination").map_err(NotSent::never)
}
