//! A short-message centre after SMPP 3.4: binds anybody, numbers every message, joins parts, and sends a delivery
//! receipt to the transceiver that asked for one.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Clock;
use futures_util::{SinkExt, StreamExt};
use rusmpp::pdus::{
    BindReceiverResp, BindTransceiverResp, BindTransmitterResp, DeliverSm, SubmitSm, SubmitSmResp,
};
use rusmpp::tlvs::MessageDeliveryRequestTlvValue;
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::{EsmClass, InterfaceVersion, MessageState};
use rusmpp::{Command, CommandStatus, Pdu};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::codec::Framed;

use super::Heard;
use super::message::{Assembler, Part};

/// The largest PDU: a message_payload of 64 kB and its head.
const PDU_BYTES_MAX: usize = 66 * 1024;
/// Receipts that may be owed on one connection; a client that submits faster is throttled.
const RECEIPTS_MAX: usize = 10_000;

/// What the centre keeps for all connections.
pub(super) struct Centre {
    receipt_after: Duration,
    clock: Arc<dyn Clock>,
    heard: mpsc::Sender<Heard>,
    next_id: AtomicU64,
    assembler: Mutex<Assembler>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Not,
    Sends,
    Receives,
    Both,
}

struct Session {
    wire: Framed<TcpStream, CommandCodec>,
    bound: Bound,
    owed: VecDeque<(Instant, DeliverSm)>,
    sequence: u32,
}

impl Centre {
    pub(super) fn new(
        receipt_after: Duration,
        clock: Arc<dyn Clock>,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        Self {
            receipt_after,
            clock,
            heard,
            next_id: AtomicU64::new(1),
            assembler: Mutex::new(Assembler::default()),
        }
    }

    /// Serves one client to its end.
    pub(super) async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let codec = CommandCodec::new().with_max_length(PDU_BYTES_MAX);
        let mut session = Session {
            wire: Framed::new(stream, codec),
            bound: Bound::Not,
            owed: VecDeque::new(),
            sequence: 0,
        };
        loop {
            let due = session.owed.front().map(|(at, _)| *at);
            tokio::select! {
                command = session.wire.next() => match command {
                    Some(Ok(command)) => {
                        if !self.obey(&mut session, command).await? {
                            return Ok(());
                        }
                    }
                    Some(Err(error)) => return Err(io::Error::other(error)),
                    None => return Ok(()),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    session.pay().await?;
                }
            }
        }
    }

    /// Answers one command; false when it was the last.
    async fn obey(&self, session: &mut Session, command: Command) -> io::Result<bool> {
        let number = command.sequence_number();
        let ok = CommandStatus::EsmeRok;
        let version = Some(InterfaceVersion::Smpp3_4);
        match command.pdu() {
            Some(Pdu::BindTransceiver(_)) => {
                session.bound = Bound::Both;
                let pdu = BindTransceiverResp::new(system_id(), version);
                session.answer(ok, number, pdu).await?;
            }
            Some(Pdu::BindTransmitter(_)) => {
                session.bound = Bound::Sends;
                let pdu = BindTransmitterResp::new(system_id(), version);
                session.answer(ok, number, pdu).await?;
            }
            Some(Pdu::BindReceiver(_)) => {
                session.bound = Bound::Receives;
                let pdu = BindReceiverResp::new(system_id(), version);
                session.answer(ok, number, pdu).await?;
            }
            Some(Pdu::SubmitSm(submit)) => self.submit(session, number, submit).await?,
            Some(Pdu::EnquireLink) => session.answer(ok, number, Pdu::EnquireLinkResp).await?,
            Some(Pdu::Unbind) => {
                session.answer(ok, number, Pdu::UnbindResp).await?;
                return Ok(false);
            }
            Some(Pdu::DeliverSmResp(_) | Pdu::EnquireLinkResp | Pdu::GenericNack) => {}
            _ => {
                session.answer(CommandStatus::EsmeRinvcmdid, number, Pdu::GenericNack).await?;
            }
        }
        Ok(true)
    }

    async fn submit(
        &self,
        session: &mut Session,
        number: u32,
        submit: &SubmitSm,
    ) -> io::Result<()> {
        let refused = match session.bound {
            Bound::Not | Bound::Receives => Some(CommandStatus::EsmeRinvbndsts),
            _ if RECEIPTS_MAX <= session.owed.len() => Some(CommandStatus::EsmeRthrottled),
            _ => None,
        };
        if let Some(status) = refused {
            return session.answer(status, number, SubmitSmResp::default()).await;
        }
        let id = format!("{:010}", self.next_id.fetch_add(1, Relaxed));
        let part = Part::of(submit);
        let whole = self.assembler.lock().unwrap_or_else(PoisonError::into_inner).take(part);
        if let Some(heard) = whole
            && self.heard.send(heard).await.is_err()
        {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        // 1: whatever becomes of it; 3: only success, which is all that happens here.
        let wants_receipt = matches!(u8::from(submit.registered_delivery) & 0b11, 1 | 3);
        if wants_receipt && session.bound == Bound::Both {
            let receipt = self.receipt(submit, &id)?;
            session.owed.push_back((Instant::now() + self.receipt_after, receipt));
        }
        let id = COctetString::from_string(id).map_err(io::Error::other)?;
        let response = SubmitSmResp::builder().message_id(id).build();
        session.answer(CommandStatus::EsmeRok, number, response).await
    }

    /// The receipt as Appendix B of the standard has it, and as TLVs.
    fn receipt(&self, submit: &SubmitSm, id: &str) -> io::Result<DeliverSm> {
        let date = self.clock.now().local().strftime("%y%m%d%H%M").to_string();
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:{date} done date:{date} stat:DELIVRD err:000 text:"
        );
        Ok(DeliverSm::builder()
            .source_addr(submit.destination_addr.clone())
            .source_addr_ton(submit.dest_addr_ton)
            .source_addr_npi(submit.dest_addr_npi)
            .destination_addr(submit.source_addr.clone())
            .dest_addr_ton(submit.source_addr_ton)
            .dest_addr_npi(submit.source_addr_npi)
            // Bit 2: contains a delivery receipt. The codec's default has another bit set.
            .esm_class(EsmClass::from(0x04))
            .short_message(OctetString::from_string(text).map_err(io::Error::other)?)
            .push_tlv(MessageDeliveryRequestTlvValue::ReceiptedMessageId(
                COctetString::from_string(id.to_owned()).map_err(io::Error::other)?,
            ))
            .push_tlv(MessageDeliveryRequestTlvValue::MessageState(MessageState::Delivered))
            .build())
    }
}

impl Session {
    async fn answer(
        &mut self,
        status: CommandStatus,
        number: u32,
        pdu: impl Into<Pdu>,
    ) -> io::Result<()> {
        let command = Command::new(status, number, pdu);
        self.wire.send(command).await.map_err(io::Error::other)
    }

    /// Sends the receipt that is due.
    async fn pay(&mut self) -> io::Result<()> {
        let Some((_, receipt)) = self.owed.pop_front() else { return Ok(()) };
        // 1 to 0x7fff_ffff, and round again.
        self.sequence = self.sequence % 0x7fff_ffff + 1;
        self.answer(CommandStatus::EsmeRok, self.sequence, receipt).await
    }
}

fn system_id() -> COctetString<1, 16> {
    COctetString::from_static_slice(b"firmware-sim\0").expect("13 octets with their end fit")
}
