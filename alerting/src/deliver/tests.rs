//! From a verdict to the other side and back, over real sockets: told once, whatever breaks.

use std::sync::Arc;

use domain::ChannelKind::{Email as ByEmail, Sms as BySms};
use rusmpp::CommandStatus;
use tokio::task::JoinHandle;

use super::*;
use crate::channels::email::EmailConfig;
use crate::channels::sms::SmsConfig;
use crate::testing::{Running, alerting, smsc::Smsc, smtp::Smtp, until, verdict};
use crate::{NoticeState, NoticeView};

/// A delivery that runs, and how to end it.
struct Delivering {
    alerting: Alerting,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Delivering {
    #[expect(clippy::disallowed_methods, reason = "the test waits for the task's end itself")]
    fn start(dir: &std::path::Path, on: &[ChannelKind], channels: Channels) -> Self {
        let alerting = alerting(dir, Running::new(), on);
        let stop = CancellationToken::new();
        let (to_run, token) = (alerting.clone(), stop.clone());
        let task = tokio::spawn(async move { to_run.deliver(channels, token).await });
        Self { alerting, stop, task }
    }

    async fn consider(&self, position: u64, said: &str) {
        let now = self.alerting.now();
        self.alerting.consider(position, &[verdict(said)], now).await.unwrap();
    }

    async fn settled(&self, count: usize) {
        let over = |view: &&NoticeView| !matches!(view.state, NoticeState::Waiting { .. });
        until(&self.alerting, |notices| notices.iter().filter(over).count() == count).await;
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn by_sms(smsc: &Smsc) -> Channels {
    let mut config = SmsConfig::parse(&smsc.url()).unwrap();
    config.reconnect_longest = Duration::from_millis(300);
    Channels { email: None, sms: Some(config) }
}

fn by_email(server: &Smtp) -> Channels {
    let url = format!("smtp://127.0.0.1:{}", server.port);
    Channels { email: EmailConfig::parse(&url, "saltline@example.vn").ok(), sms: None }
}

fn both(smsc: &Smsc, server: &Smtp) -> Channels {
    Channels { email: by_email(server).email, sms: by_sms(smsc).sms }
}

#[tokio::test]
async fn an_alert_rings_and_mails_once_and_a_restart_does_not_repeat_it() {
    let (smsc, server, dir) =
        (Smsc::start().await, Smtp::start().await, tempfile::tempdir().unwrap());
    for _ in 0..3 {
        let running = Delivering::start(dir.path(), &[BySms, ByEmail], both(&smsc, &server));
        running.consider(7, "05:00 exceed2 8.85").await;
        running.settled(2).await;
        running.stop().await;
    }
    assert_eq!(
        smsc.texts(),
        [
            "CANH BAO MAN: Cong Xuan Hoa 05:00 12/03 do 8,85 g/l, vuot nguong 4 g/l. KHONG lay nuoc. Tin 7"
        ]
    );
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn an_alert_of_the_past_goes_by_email_only() {
    let (smsc, server, dir) =
        (Smsc::start().await, Smtp::start().await, tempfile::tempdir().unwrap());
    let running = Delivering::start(dir.path(), &[BySms, ByEmail], both(&smsc, &server));
    running.consider(7, "03:00 backlog1 2.5").await;
    running.settled(1).await;
    running.stop().await;
    assert_eq!((smsc.taken().len(), server.mails().len()), (0, 1));
    assert!(server.mails()[0].contains("Subject: SO LIEU GUI BU"), "{}", server.mails()[0]);
}

#[tokio::test]
async fn an_smsc_that_is_away_is_waited_for_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let smsc = Smsc::start().await;
    let (channels, port, seen) = (by_sms(&smsc), smsc.port, Arc::clone(&smsc.seen));
    smsc.stop().await;
    let running = Delivering::start(dir.path(), &[BySms], channels);
    running.consider(7, "05:00 exceed2 8.85").await;
    until(&running.alerting, |notices| {
        notices.iter().any(|view| matches!(view.state, NoticeState::Waiting { attempts: 1.., .. }))
    })
    .await;
    let smsc = Smsc::start_at(port, seen).await;
    running.settled(1).await;
    running.stop().await;
    assert_eq!(smsc.taken().len(), 1);
}

#[tokio::test]
async fn an_smsc_that_hangs_up_between_two_alerts_is_called_again() {
    let dir = tempfile::tempdir().unwrap();
    let smsc = Smsc::start().await;
    let (port, seen) = (smsc.port, Arc::clone(&smsc.seen));
    let running = Delivering::start(dir.path(), &[BySms], by_sms(&smsc));
    running.consider(7, "05:00 exceed1 2.5").await;
    running.settled(1).await;
    smsc.stop().await;
    let smsc = Smsc::start_at(port, seen).await;
    running.consider(8, "05:10 exceed2 4.5").await;
    running.settled(2).await;
    running.stop().await;
    assert_eq!(smsc.taken().len(), 2);
    assert_eq!(smsc.seen.lock().unwrap().binds, 2);
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_waited_for_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Smtp::start().await;
    let (channels, port, seen) = (by_email(&server), server.port, Arc::clone(&server.seen));
    server.stop().await;
    let running = Delivering::start(dir.path(), &[ByEmail], channels);
    running.consider(7, "05:00 exceed2 8.85").await;
    until(&running.alerting, |notices| {
        notices.iter().any(|view| matches!(view.state, NoticeState::Waiting { attempts: 1.., .. }))
    })
    .await;
    let server = Smtp::start_at(port, seen, None).await;
    running.settled(1).await;
    running.stop().await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_throttled_message_leaves_later_and_once() {
    let (smsc, dir) = (Smsc::start().await, tempfile::tempdir().unwrap());
    smsc.answer(CommandStatus::EsmeRthrottled);
    smsc.answer(CommandStatus::EsmeRmsgqful);
    let running = Delivering::start(dir.path(), &[BySms], by_sms(&smsc));
    running.consider(7, "05:00 exceed2 8.85").await;
    running.settled(1).await;
    running.stop().await;
    assert_eq!(smsc.taken().len(), 1);
}

#[tokio::test]
async fn an_smsc_that_never_answers_is_left_and_called_again() {
    let (smsc, dir) = (Smsc::start().await, tempfile::tempdir().unwrap());
    smsc.seen.lock().unwrap().swallow = 1;
    let mut channels = by_sms(&smsc);
    channels.sms =
        channels.sms.map(|sms| SmsConfig { answer_within: Duration::from_millis(300), ..sms });
    let running = Delivering::start(dir.path(), &[BySms], channels);
    running.consider(7, "05:00 exceed2 8.85").await;
    running.settled(1).await;
    running.stop().await;
    assert_eq!((smsc.taken().len(), smsc.seen.lock().unwrap().binds), (1, 2));
}

#[tokio::test]
async fn a_refused_message_is_given_up_with_the_reason() {
    let (smsc, server, dir) =
        (Smsc::start().await, Smtp::start().await, tempfile::tempdir().unwrap());
    smsc.answer(CommandStatus::EsmeRinvdstadr);
    server.answer("550 5.1.1 no such user");
    let running = Delivering::start(dir.path(), &[BySms, ByEmail], both(&smsc, &server));
    running.consider(7, "05:00 exceed2 8.85").await;
    running.settled(2).await;
    for view in running.alerting.notices(2) {
        let NoticeState::GivenUp { why, .. } = &view.state else { panic!("{view:?}") };
        assert!(why.starts_with("refused: "), "{why}");
        assert!(why.contains("550") || why.contains("Rinvdstadr"), "{why}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_receipt_is_recorded_and_then_answered() {
    let (smsc, dir) = (Smsc::start().await, tempfile::tempdir().unwrap());
    let running = Delivering::start(dir.path(), &[BySms], by_sms(&smsc));
    running.consider(7, "05:00 exceed1 2.5").await;
    running.settled(1).await;
    running.consider(8, "05:10 exceed2 4.5").await;
    running.settled(2).await;
    // The first by its hexadecimal name written in decimal, the second lost.
    smsc.report("10", "DELIVRD");
    smsc.report("0000000B", "UNDELIV");
    until(&running.alerting, |notices| {
        matches!(notices[1].state, NoticeState::Delivered { .. })
            && matches!(&notices[0].state, NoticeState::GivenUp { why, .. } if why.contains("UNDELIV"))
    })
    .await;
    let before = running.alerting.notices(2);
    running.stop().await;
    assert_eq!(alerting(dir.path(), Running::new(), &[]).notices(2), before);
    assert!(smsc.seen.lock().unwrap().acknowledged.iter().all(|s| *s == CommandStatus::EsmeRok));
}

#[tokio::test]
async fn an_all_clear_does_not_overtake_its_alarm() {
    let (smsc, dir) = (Smsc::start().await, tempfile::tempdir().unwrap());
    smsc.answer(CommandStatus::EsmeRsyserr);
    let running = Delivering::start(dir.path(), &[BySms], by_sms(&smsc));
    running.consider(7, "05:00 exceed2 8.85").await;
    running.consider(8, "06:00 safe 0.1").await;
    running.settled(2).await;
    running.stop().await;
    let texts = smsc.texts();
    assert!(texts[0].starts_with("CANH BAO") && texts[1].starts_with("HET CANH BAO"), "{texts:?}");
}

#[tokio::test]
async fn a_wrong_password_loses_nothing() {
    let (smsc, dir) = (Smsc::start().await, tempfile::tempdir().unwrap());
    let mut wrong = by_sms(&smsc);
    wrong.sms = wrong
        .sms
        .map(|sms| SmsConfig { password: crate::channels::Secret::new("wrong".to_owned()), ..sms });
    let running = Delivering::start(dir.path(), &[BySms], wrong);
    running.consider(7, "05:00 exceed2 8.85").await;
    until(&running.alerting, |notices| {
        notices.iter().any(|view| matches!(view.state, NoticeState::Waiting { attempts: 1.., .. }))
    })
    .await;
    running.stop().await;
    let mended = Delivering::start(dir.path(), &[BySms], by_sms(&smsc));
    mended.settled(1).await;
    mended.stop().await;
    assert_eq!(smsc.taken().len(), 1);
}

#[tokio::test]
async fn a_channel_that_is_not_configured_keeps_its_notices() {
    let (server, dir) = (Smtp::start().await, tempfile::tempdir().unwrap());
    let running = Delivering::start(dir.path(), &[BySms, ByEmail], by_email(&server));
    running.consider(7, "05:00 exceed2 8.85").await;
    running.settled(1).await;
    running.stop().await;
    let smsc = Smsc::start().await;
    let configured = Delivering::start(dir.path(), &[BySms, ByEmail], both(&smsc, &server));
    configured.settled(2).await;
    configured.stop().await;
    assert_eq!((smsc.taken().len(), server.mails().len()), (1, 1));
}

#[tokio::test]
async fn five_hundred_messages_leave_through_a_window_of_ten_each_once() {
    let (smsc, dir) = (Smsc::start().await, tempfile::tempdir().unwrap());
    let running = Delivering::start(dir.path(), &[], by_sms(&smsc));
    let mut many = crate::testing::roster(&[]);
    many.people = (0..500)
        .map(|n| {
            let phone = Some(format!("+84901{n:06}"));
            let person = crate::testing::person(&format!("p{n}"), domain::Language::English);
            domain::Person { phone, ..person }
        })
        .collect();
    many.duties = many.people.iter().map(|p| crate::testing::duty(p.id.as_str(), BySms)).collect();
    running.alerting.set_roster(many);
    running.consider(7, "05:00 exceed2 8.85").await;
    let waits = |view: &NoticeView| matches!(view.state, NoticeState::Waiting { .. });
    let mut changes = running.alerting.changes();
    while running.alerting.notices(1_000).iter().any(waits) {
        changes.changed().await.unwrap();
    }
    running.stop().await;
    let told: HashSet<String> =
        smsc.taken().iter().map(|sm| sm.destination_addr.as_str().to_owned()).collect();
    assert_eq!((told.len(), smsc.taken().len()), (500, 500));
}

#[tokio::test]
async fn the_first_message_leaves_within_milliseconds_of_the_decision() {
    let (smsc, dir) = (Smsc::start().await, tempfile::tempdir().unwrap());
    let running = Delivering::start(dir.path(), &[BySms], by_sms(&smsc));
    running.consider(1, "05:00 exceed0 1.5").await;
    running.settled(1).await;
    let mut took = Vec::new();
    for position in 2..42_u64 {
        let said = if position % 2 == 0 { "05:00 exceed1 2.5" } else { "05:00 exceed0 1.5" };
        let start = Instant::now();
        running.consider(position, said).await;
        running.settled(usize::try_from(position).unwrap()).await;
        took.push(start.elapsed());
    }
    running.stop().await;
    took.sort();
    eprintln!(
        "verdict to recorded hand-over, 40 times: median {:?}, worst {:?}",
        took[20], took[39]
    );
    // Two fsyncs and a round trip; a second look at the clock (LOOK_EVERY) would show as a second.
    assert!(took[20] < Duration::from_millis(500), "{took:?}");
}
