//! The book is the fold of the ledger, at every record; and what is told is told once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{AlertState, ChannelKind};
use journal::Journal;

use super::*;
use crate::testing::{Held, alerting, roster, time, verdict};
use crate::{Alerting, Decided};

const BOTH: [ChannelKind; 2] = [ChannelKind::Sms, ChannelKind::Email];

/// All that people can see of an alerting.
fn seen(alerting: &Alerting) -> String {
    let (alerts, notices) = (alerting.alerts(), alerting.notices(usize::MAX));
    format!("{alerts:?} {notices:?}")
}

fn reopened(dir: &std::path::Path, clock: &Arc<Held>) -> Alerting {
    alerting(dir, Arc::clone(clock) as Arc<dyn domain::Clock>, &BOTH)
}

async fn consider(alerting: &Alerting, position: u64, said: &str) -> Vec<Decided> {
    let verdict = verdict(said);
    let now = verdict.judged_at;
    alerting.consider(position, &[verdict], now).await.unwrap()
}

const TIDE: [&str; 9] = [
    "05:00 exceed0 1.2",
    "06:00 exceed2 4.4",
    "07:00 unknown",
    "08:00 exceed2 4.5",
    "09:00 exceed1 2.2",
    "10:00 safe 0.4",
    "03:00 backlog1 2.5",
    "11:00 exceed0 1.1",
    "12:00 safe 0.4",
];

#[tokio::test]
async fn a_restart_at_any_record_changes_nothing_and_tells_nobody_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Held::at("05:00");
    let mut ids = HashSet::new();
    for (position, said) in (7..).zip(TIDE) {
        let live = reopened(dir.path(), &clock);
        for (replayed, before) in (7..position).zip(TIDE) {
            assert_eq!(consider(&live, replayed, before).await, [], "{before} was decided");
        }
        clock.pass(Duration::from_mins(60));
        assert_eq!(consider(&live, position, said).await.len(), 1, "{said}");
        settle_some(&live, position).await;
        let before = seen(&live);
        ids.extend(live.notices(usize::MAX).into_iter().map(|view| view.notice.id.clone()));
        drop(live);
        let again = reopened(dir.path(), &clock);
        assert!(seen(&again) == before, "after {said}");
        assert_eq!(again.decided_to(), Some(position));
    }
    // Raised, worsened, lost, eased, cleared by both; found and backlog by e-mail; raised and cleared by both again.
    assert_eq!(ids.len(), 2 * 5 + 2 + 2 * 2);
}

/// Lets some notices pass through every state.
async fn settle_some(alerting: &Alerting, position: u64) {
    let Some(view) = alerting.notices(1).pop() else { return };
    let id = view.notice.id.clone();
    let name = format!("ref{position}");
    let attempted = Record::Attempted {
        notice: id.to_string(),
        attempt: 1,
        cause: "away".to_owned(),
        detail: "nobody".to_owned(),
        next_at: time("23:00").as_millis(),
    };
    let receipt = Record::Receipt {
        notice: id.to_string(),
        reference: name.clone(),
        delivered: position.is_multiple_of(2),
        detail: "UNDELIV".to_owned(),
    };
    let all = [
        attempted,
        Record::handed_over(&id, vec![name]),
        receipt,
        Record::given_up(&id, "refused", "550".to_owned()),
    ];
    for record in all.into_iter().take(usize::try_from(position % 4).unwrap() + 1) {
        alerting.record(record).await.unwrap();
    }
}

#[tokio::test]
async fn the_life_of_an_alert_is_told_in_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Held::at("05:00");
    let live = reopened(dir.path(), &clock);
    for (position, said) in (7..).zip(TIDE) {
        consider(&live, position, said).await;
    }
    let lives: Vec<String> = live
        .alerts()
        .iter()
        .map(|alert| {
            let kinds: Vec<&str> = alert.events.iter().map(|event| event.kind.as_str()).collect();
            format!("{} {} {}", alert.id, alert.state.as_str(), kinds.join(" "))
        })
        .collect();
    expect_test::expect![[r#"
        salinity-intake.xuan-hoa.14 cleared raised cleared
        salinity-intake.xuan-hoa.13b1 cleared backlog
        salinity-intake.xuan-hoa.7 cleared raised worsened lost found eased cleared"#]]
    .assert_eq(&lives.join("\n"));
    let past = &live.alerts()[1];
    assert_eq!((past.raised_at, past.level), (time("03:00"), 1));
}

#[tokio::test]
async fn an_answer_is_written_down_with_its_name_and_survives() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Held::at("05:00");
    let live = reopened(dir.path(), &clock);
    let decided = consider(&live, 7, "05:00 exceed0 1.2").await;
    let id = decided[0].alert.id.clone();
    let answered = live.acknowledge(&id, "ba-tu", "dong cong roi").await.unwrap().unwrap();
    assert_eq!(answered.state, AlertState::Acknowledged);
    let unknown = domain::AlertId::from_text("no.such.1");
    assert_eq!(live.acknowledge(&unknown, "x", "").await.unwrap(), None);
    drop(live);
    let alert = reopened(dir.path(), &clock).alert(&id).unwrap();
    let event = alert.events.last().unwrap();
    assert_eq!((event.by.as_deref(), event.why.as_str()), (Some("ba-tu"), "dong cong roi"));
}

#[tokio::test]
async fn several_verdicts_of_one_record_stand_on_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let live = reopened(dir.path(), &Held::at("05:00"));
    let said = [
        "05:00 exceed0 1.2",
        "05:10 exceed1 2.2",
        "05:20 safe 0.1",
        "05:30 exceed0 1.1",
        "03:00 backlog0 1.5",
        "03:30 backlog0 1.6",
    ];
    let verdicts: Vec<_> = said.into_iter().map(verdict).collect();
    let decided = live.consider(7, &verdicts, time("05:30")).await.unwrap();
    let ids: Vec<String> =
        decided.iter().map(|d| format!("{} {}", d.alert.id, d.event.as_str())).collect();
    expect_test::expect![[r#"
        salinity-intake.xuan-hoa.7 raised
        salinity-intake.xuan-hoa.7 worsened
        salinity-intake.xuan-hoa.7 cleared
        salinity-intake.xuan-hoa.7r1 raised
        salinity-intake.xuan-hoa.7b1 backlog
        salinity-intake.xuan-hoa.7b2 backlog"#]]
    .assert_eq(&ids.join("\n"));
}

#[tokio::test]
async fn a_thousand_people_are_told_by_one_decision() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Held::at("05:00");
    let live = reopened(dir.path(), &clock);
    let mut many = roster(&[]);
    many.people = (0..1_000)
        .map(|n| crate::testing::person(&format!("p{n}"), domain::Language::Vietnamese))
        .collect();
    many.duties =
        many.people.iter().map(|p| crate::testing::duty(p.id.as_str(), BOTH[0])).collect();
    live.set_roster(many);
    consider(&live, 7, "05:00 exceed0 1.2").await;
    let before = seen(&live);
    assert_eq!(live.notices(usize::MAX).len(), 1_000);
    drop(live);
    assert!(seen(&reopened(dir.path(), &clock)) == before);
}

/// A power cut between the announced notices and their decision: nothing was decided, so it is decided again, once.
#[tokio::test]
async fn announced_notices_without_their_decision_do_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Held::at("05:00");
    let live = reopened(dir.path(), &clock);
    let notices = Vec::new();
    let announced = Record::MoreNotices { position: Some(7), alert: "r.s.7".to_owned(), notices };
    live.record(announced).await.unwrap();
    drop(live);
    let live = reopened(dir.path(), &clock);
    assert_eq!(live.decided_to(), None);
    assert_eq!(consider(&live, 7, "05:00 exceed0 1.2").await.len(), 1);
    assert_eq!(live.notices(usize::MAX).len(), 2);
}

#[tokio::test]
async fn any_order_of_verdicts_keeps_the_promises() {
    let words =
        ["exceed0 1.2", "exceed1 2.4", "exceed2 4.8", "safe 0.1", "unknown", "backlog1 2.5"];
    for seed in 0..8_u64 {
        eprintln!("seed {seed}");
        let dir = tempfile::tempdir().unwrap();
        let clock = Held::at("00:00");
        let live = reopened(dir.path(), &clock);
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut said = Vec::new();
        for step in 0..60_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let word = words[usize::try_from(random >> 33).unwrap() % words.len()];
            said.push(format!("{:02}:{:02} {word}", step / 6, step % 6 * 10));
            let open =
                |a: &Alerting| a.alerts().iter().filter(|x| x.state != AlertState::Cleared).count();
            let before = open(&live);
            consider(&live, step, &said[said.len() - 1]).await;
            let after = open(&live);
            assert!(after <= 1, "seed {seed} step {step}: two open alerts of one rule");
            assert!(
                before <= after || word.starts_with("safe"),
                "seed {seed} step {step}: {word} cleared"
            );
        }
        let ids: Vec<_> = live.notices(usize::MAX).iter().map(|v| v.notice.id.clone()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "seed {seed}");
        let before = seen(&live);
        drop(live);
        let again = reopened(dir.path(), &clock);
        assert!(seen(&again) == before, "seed {seed}");
        // What changed nothing left no record: it is held again, and changes nothing again.
        for (step, said) in (0..).zip(&said) {
            assert_eq!(consider(&again, step, said).await, [], "seed {seed}");
        }
    }
}

/// Closes so many alerts in the book, each told to two channels and handed over.
fn live_through(book: &mut Book, records: &[(u64, bytes::Bytes)], rounds: u64) {
    for round in 0..rounds {
        for (nth, (_, bytes)) in (0..).zip(records) {
            let text = std::str::from_utf8(bytes).unwrap();
            let text = text.replace(".xuan-hoa.1", &format!(".xuan-hoa.{round}"));
            let (at, record) = Record::decode(text.as_bytes(), round).unwrap();
            book.apply(at, &record, 2 * round + nth).unwrap();
        }
        for view in book.notices.newest(4) {
            book.notices.handed_over(&view.notice.id, time("06:00"), &[format!("ref{round}")]);
        }
    }
}

async fn one_tide(dir: &std::path::Path) -> Vec<(u64, bytes::Bytes)> {
    let live = reopened(dir, &Held::at("05:00"));
    consider(&live, 1, "05:00 exceed0 1.2").await;
    consider(&live, 2, "05:10 safe 0.1").await;
    drop(live);
    let ledger = Journal::open(dir, &journal::Config::default()).unwrap();
    ledger.read(0, usize::MAX).unwrap()
}

#[tokio::test]
async fn what_is_over_is_forgotten_in_memory_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let records = one_tide(dir.path()).await;
    let mut book = Book::default();
    let start = std::time::Instant::now();
    live_through(&mut book, &records, 6_000);
    eprintln!("12,000 decisions of two notices each folded in {:?}", start.elapsed());
    assert_eq!(book.alerts.newest_first().len(), 2_000);
    assert_eq!(book.notices.newest(usize::MAX).len(), 5_000);
    assert_eq!(book.notices.waiting(ChannelKind::Sms), 0);
    // The oldest alert in memory was raised in round 4,000, the oldest notice is of round 4,750.
    assert_eq!(book.begins(), Some(8_000));
}

#[tokio::test]
async fn a_start_folds_only_what_is_still_remembered_and_forgets_nothing_open() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Held::at("05:00");
    let live = reopened(dir.path(), &clock);
    consider(&live, 1, "05:00 exceed0 1.2").await;
    live.mark().unwrap();
    let before = seen(&live);
    drop(live);
    let again = reopened(dir.path(), &clock);
    assert!(seen(&again) == before);
    // What is open holds the cursor, however much happens after it.
    assert_eq!(again.book().begins(), Some(0));
}
