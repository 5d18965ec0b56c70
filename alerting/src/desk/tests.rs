//! The desk's table, cell by cell.

use domain::{Alert, AlertEvent, AlertId, AlertState, EventKind, Verdict, Water, Why};

use super::*;
use crate::book::with_event;
use crate::testing::{time, verdict};

/// An alert that lived through these events, as `raised0 worsened1 lost`.
fn alert(life: &str) -> Option<Alert> {
    let mut alert: Option<Alert> = None;
    for (hour, word) in life.split_whitespace().enumerate() {
        let kind = EventKind::parse(word.trim_end_matches(char::is_numeric)).unwrap();
        let level = word.trim_start_matches(char::is_alphabetic).parse().ok();
        let at = time(&format!("{:02}:00", 5 + hour));
        let newborn = || {
            let of = verdict("05:00 exceed0 1.2");
            Alert {
                id: AlertId::raised(&of.rule, &of.station, 7),
                rule: of.rule,
                station: of.station,
                parameter: of.parameter,
                level: 0,
                state: AlertState::Open,
                raised_at: at,
                cleared_at: None,
                events: Vec::new(),
            }
        };
        let before = alert.unwrap_or_else(newborn);
        let level = level.unwrap_or(before.level);
        let (value, taken_at, limit, why, by) = (None, Some(at), None, String::new(), None);
        let event = AlertEvent { kind, at, value, taken_at, limit, why, by };
        alert = Some(with_event(&before, level, event));
    }
    alert
}

fn check(cases: &[(&str, &str, Decision)]) {
    for (life, said, wanted) in cases {
        let decision = decide(alert(life).as_ref(), &verdict(said));
        assert_eq!(decision, *wanted, "open `{life}`, verdict `{said}`");
    }
}

#[test]
fn the_table_of_the_desk_is_what_it_does() {
    use Because as B;
    use Decision as D;
    check(&[
        ("", "05:00 exceed1 2.5", D::Raise(B::CrossedTheLimit)),
        ("", "05:00 safe 0.1", D::Hold(B::NothingOpen)),
        ("", "05:00 unknown", D::Hold(B::NothingOpen)),
        ("raised0", "06:00 exceed2 4.5", D::Worsen(B::HigherLevel)),
        ("raised1", "06:00 exceed1 2.5", D::Hold(B::SameLevel)),
        ("raised2", "06:00 exceed0 1.5", D::Ease(B::LowerLevel)),
        ("raised1", "06:00 safe 0.1", D::Clear(B::BackToSafe)),
        ("raised1", "06:00 unknown", D::Lost(B::NoGoodReading)),
        ("raised1 lost", "07:00 unknown", D::Hold(B::LostAlready)),
        ("raised1 lost acknowledged", "07:00 unknown", D::Hold(B::LostAlready)),
        ("raised1 lost", "07:00 exceed1 2.5", D::Found(B::SpeaksAgain)),
        ("raised1 lost", "07:00 exceed2 4.5", D::Worsen(B::HigherLevel)),
        ("raised1 lost", "07:00 exceed0 1.5", D::Ease(B::LowerLevel)),
        ("raised1 lost", "07:00 safe 0.1", D::Clear(B::BackToSafe)),
        ("raised1 lost found1", "07:00 unknown", D::Lost(B::NoGoodReading)),
    ]);
}

#[test]
fn a_backlog_is_the_past_and_clears_nothing() {
    use Because as B;
    use Decision as D;
    check(&[
        ("", "03:00 backlog1 2.5", D::Backlog(B::FoundInBacklog)),
        // Before the alert that is open now.
        ("raised1", "03:00 backlog1 2.5", D::Backlog(B::FoundInBacklog)),
        // Within it, at its level or below: told already.
        ("raised1", "06:00 backlog1 2.5", D::Hold(B::CoveredByOpen)),
        // Within it, and worse than anybody was told.
        ("raised1", "06:00 backlog2 4.5", D::Backlog(B::FoundInBacklog)),
    ]);
    let safe_in_the_past = Verdict { why: Why::FoundInBacklog, ..verdict("06:00 safe 0.1") };
    assert_eq!(
        decide(alert("raised1").as_ref(), &safe_in_the_past),
        D::Hold(B::BacklogSaysNothing)
    );
}

#[test]
fn what_nobody_watches_any_more_is_withdrawn_and_not_safe() {
    let reasons = [
        (Why::RuleRemoved, Because::RuleRemoved),
        (Why::NotWatched, Because::NotWatched),
        (Why::RuleUnusable, Because::RuleUnusable),
    ];
    for (why, because) in reasons {
        let gone = Verdict { why, ..verdict("06:00 unknown") };
        for open in ["raised1", "raised1 lost", "raised1 acknowledged"] {
            let decision = decide(alert(open).as_ref(), &gone);
            assert_eq!(decision, Decision::Withdraw(because), "open `{open}`");
        }
        assert_eq!(decide(None, &gone), Decision::Hold(Because::NothingOpen));
    }
    let ended = alert("raised1 withdrawn1").unwrap();
    assert_eq!(ended.state, AlertState::Cleared);
    assert_eq!(voice(&ended, EventKind::Withdrawn), Voice::Loud, "who was warned has to hear it");
}

#[test]
fn silence_in_any_words_never_clears() {
    let open = alert("raised1");
    for why in [Why::WentSilent, Why::FirstReading, Why::BackToSafe, Why::Fell, Why::Rose] {
        let unknown = Verdict { water: Water::Unknown, why, ..verdict("06:00 unknown") };
        assert!(!matches!(decide(open.as_ref(), &unknown), Decision::Clear(_)), "{why}");
    }
}

#[test]
fn a_link_that_comes_and_goes_rings_once() {
    let alert = |life| alert(life).unwrap();
    assert_eq!(voice(&alert("raised1 lost"), EventKind::Lost), Voice::Loud);
    assert_eq!(voice(&alert("raised1 lost found1"), EventKind::Found), Voice::Quiet);
    assert_eq!(voice(&alert("raised1 lost found1 lost"), EventKind::Lost), Voice::Quiet);
    assert_eq!(voice(&alert("backlog1"), EventKind::Backlog), Voice::Quiet);
    assert_eq!(voice(&alert("raised1 cleared"), EventKind::Cleared), Voice::Loud);
}

#[test]
fn an_answer_ends_when_it_gets_worse() {
    assert_eq!(alert("raised0 acknowledged").unwrap().state, AlertState::Acknowledged);
    assert_eq!(alert("raised0 acknowledged lost").unwrap().state, AlertState::Acknowledged);
    assert_eq!(alert("raised0 acknowledged worsened1").unwrap().state, AlertState::Open);
    assert_eq!(alert("raised0 cleared acknowledged").unwrap().state, AlertState::Cleared);
}

#[test]
fn every_reason_has_one_name() {
    let names: std::collections::HashSet<_> = Because::ALL.map(Because::as_str).into();
    assert_eq!(names.len(), Because::ALL.len());
}
