//! What is accepted as configuration, what an e-mail looks like on the wire, what an answer means.

use std::sync::Arc;

use domain::{AlertId, ChannelKind, Notice, NoticeId, PersonId};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;
use crate::channels::{BadUrl, NotSent, Setback};
use crate::testing::{smtp::Smtp, time};

const FROM: &str = "Saltline <saltline@example.vn>";

fn config(url: &str) -> EmailConfig {
    EmailConfig::parse(url, FROM).unwrap()
}

fn notice(address: &str) -> Notice {
    let person = PersonId::new("ba..tu").unwrap();
    let alert = AlertId::from_text("salinity-intake.xuan-hoa.7");
    Notice {
        id: NoticeId::new(&alert, 0, &person, ChannelKind::Email),
        alert,
        person,
        channel: ChannelKind::Email,
        address: address.to_owned(),
        subject: "CẢNH BÁO MẶN".to_owned(),
        body: "Kính gửi Ba Tư,\n.\nđo 8,85 g/l".to_owned(),
        made_at: time("05:00"),
    }
}

async fn send(server: &Smtp, query: &str, address: &str) -> Result<Vec<String>, NotSent> {
    let email = Email::new(&config(&format!("smtp://127.0.0.1:{}{query}", server.port))).unwrap();
    let sent = email.send(&notice(address)).await.map(|accepted| accepted.references);
    email.close().await;
    sent
}

#[test]
fn plain_smtp_is_for_this_machine_unless_it_is_asked_for_by_name() {
    for (url, tls, port) in [
        ("smtp://127.0.0.1", Tls::None, 587),
        ("smtp://[::1]:25", Tls::None, 25),
        ("smtp://localhost:2525", Tls::None, 2525),
        ("smtp://mail.example.vn", Tls::StartTls, 587),
        ("smtp://mail.example.vn?tls=none", Tls::None, 587),
        ("smtp://127.0.0.1?tls=required", Tls::StartTls, 587),
        ("smtps://mail.example.vn", Tls::Implicit, 465),
    ] {
        let config = config(url);
        assert_eq!((config.tls, config.port), (tls, port), "{url}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_what_could_be() {
    for (url, from) in [
        ("mail.example.vn", FROM),
        ("http://mail.example.vn", FROM),
        ("smtp://user@mail.example.vn", FROM),
        ("smtp://mail.example.vn?tls=maybe", FROM),
        ("smtps://mail.example.vn?tls=none", FROM),
        ("smtp://mail.example.vn?color=blue", FROM),
        ("smtp://mail.example.vn?ca=/nonexistent", FROM),
        ("smtp://mail.example.vn", "nobody"),
    ] {
        let refused = EmailConfig::parse(url, from).unwrap_err();
        assert!(!refused.to_string().is_empty(), "{url}");
    }
    let refused = EmailConfig::parse("ftp://u:s3cret@h", FROM).unwrap_err();
    assert!(matches!(refused, BadUrl::Scheme { .. }));
    assert!(!format!("{refused} {refused:?}").contains("s3cret"));
}

#[test]
fn a_password_is_decoded_and_never_shown() {
    let config = config("smtp://u%40x:s3cr%2Fet@mail.example.vn");
    let (user, password) = config.login.as_ref().unwrap();
    assert_eq!((user.as_str(), password.reveal()), ("u@x", "s3cr/et"));
    assert!(!format!("{config:?}").contains("s3cr"), "{config:?}");
}

#[tokio::test]
async fn an_email_says_who_what_and_that_a_machine_sent_it() {
    let server = Smtp::start().await;
    let references = send(&server, "", "batu@example.vn").await.unwrap();
    assert_eq!(references, ["2.0.0 queued as 1"]);
    let mail = &server.mails()[0];
    for line in [
        "From: Saltline <saltline@example.vn>\r\n",
        "To: batu@example.vn\r\n",
        "Message-ID: <salinity-intake=xuan-hoa=7=0=ba==tu=email@example.vn>\r\n",
        "References: <salinity-intake=xuan-hoa=7@example.vn>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Date: Wed, 11 Mar 2026 22:00:00 +0000\r\n",
        "Content-Type: text/plain; charset=utf-8\r\n",
    ] {
        assert!(mail.contains(line), "{line} in {mail}");
    }
}

#[tokio::test]
async fn one_connection_carries_many_emails() {
    let server = Smtp::start().await;
    let email = Email::new(&config(&format!("smtp://127.0.0.1:{}", server.port))).unwrap();
    for _ in 0..5 {
        email.send(&notice("batu@example.vn")).await.unwrap();
    }
    email.close().await;
    assert_eq!(server.mails().len(), 5);
    // The client gives a connection back in a task of its own; the next e-mail may come a moment before it.
    assert!(server.seen.lock().unwrap().connections <= 2);
}

#[tokio::test]
async fn an_answer_says_whether_another_attempt_may_do() {
    let server = Smtp::start().await;
    let later = |sent: Result<_, NotSent>| match sent {
        Err(NotSent::Later { cause, .. }) => Some(cause),
        Err(NotSent::Never { .. }) => None,
        Ok(_) => panic!("it was sent"),
    };
    for (answer, wanted) in [
        ("450 mailbox busy", Some(Setback::Busy)),
        ("452 too much", Some(Setback::Busy)),
        ("421 closing", Some(Setback::Away)),
        ("550 no such user", None),
    ] {
        server.answer(answer);
        let sent = send(&server, "", "batu@example.vn").await;
        assert_eq!(later(sent), wanted, "{answer}");
    }
    assert_eq!(later(send(&server, "", "not an address").await), None);
    let port = server.port;
    server.stop().await;
    let email = Email::new(&config(&format!("smtp://127.0.0.1:{port}"))).unwrap();
    let sent = email.send(&notice("batu@example.vn")).await.map(|accepted| accepted.references);
    assert_eq!(later(sent), Some(Setback::Away));
}

#[tokio::test]
async fn a_refused_login_is_mended_while_the_notice_waits() {
    let server = Smtp::start().await;
    let with = |password| config(&format!("smtp://user:{password}@127.0.0.1:{}", server.port));
    let sent = Email::new(&with("wrong")).unwrap().send(&notice("batu@example.vn")).await;
    assert!(matches!(sent, Err(NotSent::Later { cause: Setback::Away, .. })), "{sent:?}");
    assert!(!format!("{sent:?}").contains("wrong:"), "{sent:?}");
    assert!(probe(&with("wrong")).await.is_err());
    probe(&with("right")).await.unwrap();
    Email::new(&with("right")).unwrap().send(&notice("batu@example.vn")).await.unwrap();
}

#[tokio::test]
async fn starttls_is_used_and_a_stranger_is_not_trusted() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server_config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(server_config));
    let server = Smtp::start_at(0, Arc::default(), Some(tls)).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();

    let url = format!("smtp://localhost:{}?tls=required", server.port);
    let stranger = Email::new(&config(&url)).unwrap().send(&notice("batu@example.vn")).await;
    assert!(matches!(stranger, Err(NotSent::Later { cause: Setback::Away, .. })), "{stranger:?}");

    let trusted = config(&format!("{url}&ca={}", ca.display()));
    Email::new(&trusted).unwrap().send(&notice("batu@example.vn")).await.unwrap();
    assert_eq!((server.mails().len(), server.seen.lock().unwrap().secured), (1, 1));
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_where_it_is_required() {
    let server = Smtp::start().await;
    assert!(send(&server, "?tls=required", "batu@example.vn").await.is_err());
    assert!(server.mails().is_empty());
}
