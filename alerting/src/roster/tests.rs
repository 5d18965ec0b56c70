//! Who is told, and who is not.

use domain::{ChannelKind, Language};
use expect_test::{Expect, expect};

use super::*;
use crate::testing::{duty, person, roster, rule, station};

fn check(roster: &Roster, level: u8, voice: Voice, wanted: &Expect) {
    let told = roster.who(&rule().code, &station().code, level, voice);
    let mut lines: Vec<String> = told
        .to
        .iter()
        .map(|to| format!("{} {} {} {:?}", to.person.id, to.channel, to.address, to.way))
        .collect();
    lines.extend(told.missed.iter().map(|(id, channel, why)| format!("{id} {channel} {why:?}")));
    wanted.assert_eq(&lines.join("\n"));
}

#[test]
fn a_person_with_two_duties_on_one_channel_is_told_once() {
    let mut roster = roster(&[ChannelKind::Sms, ChannelKind::Sms, ChannelKind::Email]);
    roster.duties[1].station = Some(station().code);
    let wanted = expect![[r#"
        ba-tu sms +84901234567 Duty
        ba-tu email ba-tu@example.vn Duty"#]];
    check(&roster, 0, Voice::Loud, &wanted);
}

#[test]
fn a_duty_from_a_level_up_hears_nothing_below_it() {
    let mut roster = roster(&[ChannelKind::Sms]);
    roster.duties[0].from_level = 2;
    check(&roster, 1, Voice::Loud, &expect![""]);
    check(&roster, 2, Voice::Loud, &expect!["ba-tu sms +84901234567 Duty"]);
}

#[test]
fn another_rule_or_station_is_another_ones_duty() {
    let mut roster = roster(&[ChannelKind::Sms, ChannelKind::Sms]);
    roster.duties[0].rule = RuleCode::new("other").ok();
    roster.duties[1].station = StationCode::new("vam-giong").ok();
    check(&roster, 2, Voice::Loud, &expect![""]);
}

#[test]
fn without_a_phone_the_email_is_taken_and_without_both_it_is_said() {
    let mut roster = roster(&[ChannelKind::Sms]);
    roster.people[0].phone = None;
    roster.people.push(person("nobody", Language::English));
    roster.people[1].phone = Some(" ".to_owned());
    roster.people[1].email = None;
    roster.duties.push(duty("nobody", ChannelKind::Email));
    roster.duties.push(duty("gone", ChannelKind::Email));
    let wanted = expect![[r#"
        ba-tu email ba-tu@example.vn NoAddressThere
        nobody email NoAddress
        gone email NoSuchPerson"#]];
    check(&roster, 0, Voice::Loud, &wanted);
}

#[test]
fn the_past_is_told_in_writing_also_to_those_who_wait_for_an_sms() {
    let mut roster = roster(&[ChannelKind::Sms, ChannelKind::Email]);
    check(&roster, 0, Voice::Quiet, &expect!["ba-tu email ba-tu@example.vn Quietly"]);
    roster.people[0].email = None;
    let wanted = expect![[r#"
        ba-tu sms QuietWithoutEmail
        ba-tu email NoAddress"#]];
    check(&roster, 0, Voice::Quiet, &wanted);
    check(&roster, 0, Voice::Silent, &expect![""]);
}

#[tokio::test]
async fn the_roster_is_read_from_the_book() {
    let dir = tempfile::tempdir().unwrap();
    let registry = registry::Registry::open(&dir.path().join("registry.sqlite")).await.unwrap();
    let wanted = roster(&[ChannelKind::Sms]);
    registry.put_station(&wanted.stations[0]).await.unwrap();
    registry.put_rule(&wanted.rules[0]).await.unwrap();
    registry.put_person(&wanted.people[0]).await.unwrap();
    registry.put_duty(&wanted.duties[0]).await.unwrap();
    let read = Roster::read(&registry).await.unwrap();
    check(&read, 0, Voice::Loud, &expect!["ba-tu sms +84901234567 Duty"]);
    assert_eq!(read.stations, wanted.stations);
    assert!(!read.parameters.is_empty());
}
