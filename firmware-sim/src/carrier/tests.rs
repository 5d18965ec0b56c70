//! The carrier against clients that we did not write: lettre and rusmppc.

use std::str::FromStr;

use futures_util::StreamExt;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use rusmpp::pdus::{BindTransceiver, DeliverSmResp, SubmitSm};
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, RegisteredDelivery};
use rusmpp::{CommandId, Pdu};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::clock::MachineClock;

struct Open {
    smtp: std::net::SocketAddr,
    smpp: std::net::SocketAddr,
    heard: mpsc::Receiver<Heard>,
    _serving: JoinSet<()>,
}

async fn open() -> Open {
    let (smtp, smpp) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let (at_smtp, at_smpp) = (smtp.local_addr().unwrap(), smpp.local_addr().unwrap());
    let (tx, heard) = mpsc::channel(HEARD_MAX);
    let carrier = Carrier { smtp, smpp, receipt_after: Duration::from_millis(20) };
    let mut serving = JoinSet::new();
    serving.spawn(carrier.serve(Arc::new(MachineClock), tx, CancellationToken::new()));
    Open { smtp: at_smtp, smpp: at_smpp, heard, _serving: serving }
}

async fn next(open: &mut Open) -> Heard {
    tokio::time::timeout(Duration::from_secs(10), open.heard.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_e_mail_in_vietnamese_is_read_as_it_was_written() {
    let mut open = open().await;
    let mailer = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(open.smtp.port())
        .credentials(("saltline".to_owned(), "secret".to_owned()).into())
        .build();
    let body = "Cống Xuân Hòa đo 8,85 g/l.\nKHÔNG lấy nước tưới.\n.\nCuối.";
    let message = Message::builder()
        .from("Saltline <salt@example.org>".parse().unwrap())
        .to("ba-tu@example.org".parse().unwrap())
        .subject("CẢNH BÁO MẶN: Xuân Hòa")
        .body(body.to_owned())
        .unwrap();
    mailer.send(message).await.unwrap();
    let Heard::Email { to, from, subject, body: read } = next(&mut open).await else { panic!() };
    assert_eq!((to, from.as_str()), (vec!["ba-tu@example.org".to_owned()], "salt@example.org"));
    assert_eq!(subject, "CẢNH BÁO MẶN: Xuân Hòa");
    assert_eq!(read.replace("\r\n", "\n").trim_end(), body);
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order_and_nonsense_costs_nothing() {
    let mut open = open().await;
    let mut client = TcpStream::connect(open.smtp).await.unwrap();
    client
        .write_all(
            b"EHLO x\r\nDATA\r\nFOO\r\nRCPT TO:<a@b>\r\nMAIL FROM:<c@d> SIZE=99999999\r\n\
              AUTH LOGIN\r\nYQ==\r\nYg==\r\nMAIL FROM:<c@d>\r\nRCPT TO:<a@b>\r\nDATA\r\n\
              Subject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
        )
        .await
        .unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    let codes: Vec<&str> =
        said.lines().filter(|l| l.as_bytes().get(3) == Some(&b' ')).map(|l| &l[..3]).collect();
    let wanted = [
        "220", "250", "503", "500", "503", "552", "334", "334", "235", "250", "250", "354", "250",
        "221",
    ];
    assert_eq!(codes, wanted);
    let Heard::Email { body, subject, .. } = next(&mut open).await else { panic!() };
    assert_eq!((subject.as_str(), body.trim_end()), ("hi", ".dot"));
}

#[tokio::test]
async fn a_short_message_is_numbered_read_and_its_delivery_reported() {
    let mut open = open().await;
    let (client, mut events) =
        rusmppc::ConnectionBuilder::new().connect(format!("smpp://{}", open.smpp)).await.unwrap();
    client
        .bind_transceiver(
            BindTransceiver::builder()
                .system_id(COctetString::from_str("saltline").unwrap())
                .password(COctetString::from_str("secret").unwrap())
                .build(),
        )
        .await
        .unwrap();
    let parts = ["CẢNH BÁO MẶN: Cống ", "Xuân Hòa 8,85 g/l"];
    let mut ids = Vec::new();
    for (number, text) in (1_u8..).zip(parts) {
        let mut bytes = vec![5, 0, 3, 42, 2, number];
        bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        let submit = SubmitSm::builder()
            .source_addr(COctetString::from_str("SALTLINE").unwrap())
            .destination_addr(COctetString::from_str("84901234567").unwrap())
            .esm_class(EsmClass::from(0x40))
            .registered_delivery(RegisteredDelivery::from(1))
            .data_coding(DataCoding::Ucs2)
            .short_message(OctetString::from_vec(bytes).unwrap())
            .build();
        let response = client.submit_sm(submit).await.unwrap();
        ids.push(response.message_id().as_str().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    let wanted = Heard::Sms {
        to: "84901234567".to_owned(),
        from: "SALTLINE".to_owned(),
        text: parts.concat(),
        parts: 2,
    };
    assert_eq!(next(&mut open).await, wanted);
    for id in ids {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap();
        let Some(rusmppc::Event::Incoming(command)) = event else { panic!("no receipt") };
        assert_eq!(command.id(), CommandId::DeliverSm);
        let Some(Pdu::DeliverSm(receipt)) = command.pdu() else { panic!() };
        assert_eq!(u8::from(receipt.esm_class), 0x04);
        let text = receipt.short_message().to_str().unwrap();
        assert!(text.contains(&format!("id:{id} ")) && text.contains("stat:DELIVRD"), "{text}");
        client.deliver_sm_resp(command.sequence_number(), DeliverSmResp::default()).await.unwrap();
    }
    client.unbind().await.unwrap();
}

#[tokio::test]
async fn who_is_not_bound_may_not_submit() {
    let open = open().await;
    let (client, _events) =
        rusmppc::ConnectionBuilder::new().connect(format!("smpp://{}", open.smpp)).await.unwrap();
    assert!(client.submit_sm(SubmitSm::default()).await.is_err());
}
