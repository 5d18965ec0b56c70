//! What is taken away no longer opens anything, and nothing points at what is no longer there.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::time::Duration;

use domain::{
    ChannelKind, Duty, Language, Level, ParameterCode, Person, PersonId, Rule, RuleCode, Station,
    StationCode, Timestamp,
};
use registry::{Login, Registry, RegistryError, Role};

async fn book() -> (Registry, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    (registry, folder)
}

fn xuan_hoa() -> StationCode {
    StationCode::new("xuan-hoa").unwrap()
}

fn rule(stations: Vec<StationCode>) -> Rule {
    Rule {
        code: RuleCode::new("salt").unwrap(),
        name: "Mặn".to_owned(),
        parameter: ParameterCode::new("salinity").unwrap(),
        stations,
        levels: vec![Level { limit: 4.0, clear: 3.6 }],
        hold: Duration::ZERO,
    }
}

/// Ba Tư is told by SMS of this rule at this station.
async fn on_duty(book: &Registry, rule: Option<RuleCode>, station: Option<StationCode>) {
    let person = Person {
        id: PersonId::new("ba-tu").unwrap(),
        name: "Ba Tư".to_owned(),
        phone: Some("+84900000001".to_owned()),
        email: None,
        language: Language::Vietnamese,
    };
    book.put_person(&person).await.unwrap();
    let (person, channel) = (person.id, ChannelKind::Sms);
    book.put_duty(&Duty { person, rule, station, channel, from_level: 0 }).await.unwrap();
}

async fn newest_act(book: &Registry) -> String {
    book.audits(1).await.unwrap()[0].act.clone()
}

#[tokio::test]
async fn the_key_of_a_removed_station_opens_nothing_also_when_the_station_comes_back() {
    let (book, _folder) = book().await;
    let key = book.add_station(&Station::new(xuan_hoa())).await.unwrap();
    on_duty(&book, None, Some(xuan_hoa())).await;
    let version = book.version().await.unwrap();
    book.drop_station(&xuan_hoa()).await.unwrap();
    assert!(version < book.version().await.unwrap(), "the engine looks again");
    assert_eq!(newest_act(&book).await, "station.drop");
    assert_eq!(book.login(&xuan_hoa(), key.reveal()).await.unwrap(), Login::UnknownStation);
    assert_eq!(book.duties().await.unwrap(), []);
    book.put_station(&Station::new(xuan_hoa())).await.unwrap();
    assert_eq!(book.login(&xuan_hoa(), key.reveal()).await.unwrap(), Login::WrongKey);
    let missing = book.drop_station(&StationCode::new("an-dinh").unwrap()).await.unwrap_err();
    assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing}");
}

#[tokio::test]
async fn a_station_that_a_rule_names_stays_until_the_rule_lets_it_go() {
    let (book, _folder) = book().await;
    book.put_station(&Station::new(xuan_hoa())).await.unwrap();
    book.put_rule(&rule(vec![xuan_hoa()])).await.unwrap();
    let refused = book.drop_station(&xuan_hoa()).await.unwrap_err().to_string();
    assert!(refused.contains("named by the rules salt"), "{refused}");
    assert_eq!(book.stations().await.unwrap().len(), 1);
    book.drop_rule(&rule(Vec::new()).code).await.unwrap();
    book.drop_station(&xuan_hoa()).await.unwrap();
}

#[tokio::test]
async fn a_removed_rule_takes_its_duties_along_and_no_others() {
    let (book, _folder) = book().await;
    book.put_rule(&rule(Vec::new())).await.unwrap();
    on_duty(&book, Some(rule(Vec::new()).code), None).await;
    on_duty(&book, None, None).await;
    book.drop_rule(&rule(Vec::new()).code).await.unwrap();
    assert_eq!(newest_act(&book).await, "rule.drop");
    assert_eq!(book.rules().await.unwrap(), []);
    let left = book.duties().await.unwrap();
    assert_eq!(left.iter().map(|duty| duty.rule.clone()).collect::<Vec<_>>(), [None]);
    let missing = book.drop_rule(&rule(Vec::new()).code).await.unwrap_err();
    assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing}");
}

#[tokio::test]
async fn another_password_ends_what_the_old_one_began() {
    let (book, _folder) = book().await;
    let (old, new) = ("rising-spring-tide", "falling-neap-tide");
    book.add_user("ba-tu", old, Role::Operator).await.unwrap();
    let (session, now) = ([7; 32], Timestamp::from_millis(1_000));
    let expires = Timestamp::from_millis(2_000);
    book.put_session(&session, "ba-tu", expires, "").await.unwrap();
    let short = book.set_password("ba-tu", "short").await.unwrap_err();
    assert!(matches!(short, RegistryError::BadPassword { .. }), "{short}");
    assert!(book.session(&session, now).await.unwrap().is_some(), "nothing has changed");
    book.set_password("ba-tu", new).await.unwrap();
    assert!(book.session(&session, now).await.unwrap().is_none());
    assert!(book.check_password("ba-tu", old).await.unwrap().is_none());
    assert_eq!(book.check_password("ba-tu", new).await.unwrap().unwrap().role, Role::Operator);
    let missing = book.set_password("nobody", new).await.unwrap_err();
    assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing}");
}

#[tokio::test]
async fn a_removed_user_is_out_at_once() {
    let (book, _folder) = book().await;
    book.add_user("ba-tu", "rising-spring-tide", Role::Admin).await.unwrap();
    let (session, now) = ([7; 32], Timestamp::from_millis(1_000));
    book.put_session(&session, "ba-tu", Timestamp::from_millis(2_000), "").await.unwrap();
    book.drop_user("ba-tu").await.unwrap();
    assert!(book.session(&session, now).await.unwrap().is_none());
    assert!(book.check_password("ba-tu", "rising-spring-tide").await.unwrap().is_none());
    let missing = book.drop_user("ba-tu").await.unwrap_err();
    assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing}");
}
