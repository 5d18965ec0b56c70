//! The book as its users see it: what is written reads back, what cannot be kept is refused by name, and two
//! processes may have it open.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{
    Aggregation, ChannelKind, Clock, Duty, EcReference, Language, Level, Mapping, Parameter,
    ParameterCode, Person, PersonId, Place, Profile, Range, Rule, RuleCode, Station, StationCode,
    Timestamp, standard_parameters,
};
use registry::{
    Login, Noun, Registry, RegistryError, River, RiverKind, Role, SESSIONS_PER_USER_MAX, secret,
};

struct Held(AtomicI64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct Book {
    registry: Registry,
    folder: tempfile::TempDir,
}

impl std::ops::Deref for Book {
    type Target = Registry;
    fn deref(&self) -> &Registry {
        &self.registry
    }
}

async fn book() -> Book {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    let clock = Arc::new(Held(AtomicI64::new(1_000)));
    Book { registry: registry.with_clock(clock).by("cli"), folder }
}

fn code(text: &str) -> StationCode {
    StationCode::new(text).unwrap()
}

fn salinity() -> ParameterCode {
    ParameterCode::new("salinity").unwrap()
}

fn xuan_hoa() -> Station {
    Station {
        code: code("xuan-hoa"),
        name: "Xuân Hòa".to_owned(),
        place: Some(Place { lat: 10.3366, lon: 106.4103 }),
        river: Some("tien".to_owned()),
        km_from_mouth: Some(42.0),
        interval: Duration::from_mins(5),
        profile: Profile {
            fields: vec![Mapping {
                name: "Sal".to_owned(),
                parameter: salinity(),
                scale: 0.1,
                offset: -0.05,
                ec: None,
            }],
            utc_offset_s: Some(25_200),
            ..Profile::default()
        },
        known_as: vec!["24e124136B502217".to_owned()],
    }
}

fn intake() -> Rule {
    Rule {
        code: RuleCode::new("salinity-intake").unwrap(),
        name: "Độ mặn lấy nước".to_owned(),
        parameter: salinity(),
        stations: vec![code("xuan-hoa")],
        levels: vec![Level { limit: 1.0, clear: 0.8 }, Level { limit: 4.0, clear: 3.5 }],
        hold: Duration::from_mins(10),
    }
}

fn ba_tu() -> Person {
    Person {
        id: PersonId::new("ba-tu").unwrap(),
        name: "Ba Tư".to_owned(),
        phone: Some("+84900000001".to_owned()),
        email: None,
        language: Language::VietnameseUnmarked,
    }
}

fn by_sms() -> Duty {
    Duty {
        person: ba_tu().id,
        rule: Some(intake().code),
        station: Some(code("xuan-hoa")),
        channel: ChannelKind::Sms,
        from_level: 0,
    }
}

fn tien() -> River {
    River {
        code: "tien".to_owned(),
        kind: RiverKind::River,
        name: "Sông Tiền".to_owned(),
        name_en: "Tien River".to_owned(),
        schematic: true,
        line: vec![Place { lat: 10.26, lon: 106.76 }, Place { lat: 10.3366, lon: 106.4103 }],
    }
}

#[tokio::test]
async fn a_new_book_has_the_standard_parameters() {
    let book = book().await;
    let mut wanted = standard_parameters();
    wanted.sort_by(|a, b| a.code.cmp(&b.code));
    assert_eq!(book.parameters().await.unwrap(), wanted);
}

#[tokio::test]
async fn a_station_speaks_with_its_key_and_no_other() {
    let book = book().await;
    let key = book.add_station(&xuan_hoa()).await.unwrap();
    assert_eq!(key.reveal().len(), 32);
    let login = book.login(&code("xuan-hoa"), key.reveal()).await.unwrap();
    assert_eq!(login, Login::Welcome(xuan_hoa()));
    for wrong in ["", "x", &key.reveal()[1..], &key.reveal().to_uppercase()] {
        assert_eq!(book.login(&code("xuan-hoa"), wrong).await.unwrap(), Login::WrongKey);
    }
    let stranger = book.login(&code("an-dinh"), key.reveal()).await.unwrap();
    assert_eq!(stranger, Login::UnknownStation);
}

#[tokio::test]
async fn a_rotated_key_no_longer_opens() {
    let book = book().await;
    let old = book.add_station(&xuan_hoa()).await.unwrap();
    let new = book.rotate_key(&code("xuan-hoa")).await.unwrap();
    assert_eq!(book.login(&code("xuan-hoa"), old.reveal()).await.unwrap(), Login::WrongKey);
    let login = book.login(&code("xuan-hoa"), new.reveal()).await.unwrap();
    assert!(matches!(login, Login::Welcome(_)));
}

#[tokio::test]
async fn a_station_without_a_key_cannot_log_in_until_it_gets_one() {
    let book = book().await;
    assert!(book.put_station(&xuan_hoa()).await.unwrap());
    assert_eq!(book.login(&code("xuan-hoa"), "").await.unwrap(), Login::WrongKey);
    let key = book.rotate_key(&code("xuan-hoa")).await.unwrap();
    let login = book.login(&code("xuan-hoa"), key.reveal()).await.unwrap();
    assert!(matches!(login, Login::Welcome(_)));
}

#[tokio::test]
async fn no_key_and_no_password_is_in_the_file() {
    let book = book().await;
    let key = book.add_station(&xuan_hoa()).await.unwrap();
    book.add_user("lan", "correct horse battery", Role::Viewer).await.unwrap();
    book.close().await;
    for entry in std::fs::read_dir(book.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [key.reveal(), "correct horse battery"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

#[tokio::test]
async fn what_is_written_reads_back() {
    let book = book().await;
    assert!(book.put_river(&tien()).await.unwrap());
    assert!(book.put_station(&xuan_hoa()).await.unwrap());
    assert!(book.put_station(&Station::new(code("an-dinh"))).await.unwrap());
    assert!(book.put_rule(&intake()).await.unwrap());
    assert!(book.put_person(&ba_tu()).await.unwrap());
    assert!(book.put_duty(&by_sms()).await.unwrap());
    assert_eq!(book.rivers().await.unwrap(), [tien()]);
    let stations = [Station::new(code("an-dinh")), xuan_hoa()];
    assert_eq!(book.stations().await.unwrap(), stations);
    assert_eq!(book.station(&code("xuan-hoa")).await.unwrap(), Some(xuan_hoa()));
    assert_eq!(book.rules().await.unwrap(), [intake()]);
    assert_eq!(book.people().await.unwrap(), [ba_tu()]);
    assert_eq!(book.duties().await.unwrap(), [by_sms()]);
}

#[tokio::test]
async fn the_coast_is_no_river() {
    let book = book().await;
    let coast = River { code: "coast".to_owned(), kind: RiverKind::Coast, ..tien() };
    book.put_river(&coast).await.unwrap();
    assert_eq!(book.rivers().await.unwrap(), []);
    assert_eq!(book.coast().await.unwrap(), [coast]);
}

#[tokio::test]
async fn the_version_moves_with_a_change_and_only_then() {
    let book = book().await;
    let mut last = book.version().await.unwrap();
    macro_rules! moves {
        ($change:expr) => {
            $change.await.unwrap();
            let now = book.version().await.unwrap();
            assert!(last < now, "{} did not move the version", stringify!($change));
            last = now;
        };
    }
    moves!(book.add_station(&xuan_hoa()));
    moves!(book.rotate_key(&code("xuan-hoa")));
    moves!(book.put_station(&Station { name: "Cống Xuân Hòa".to_owned(), ..xuan_hoa() }));
    moves!(book.put_rule(&intake()));
    moves!(book.put_rule(&Rule { hold: Duration::ZERO, ..intake() }));
    moves!(book.put_person(&ba_tu()));
    moves!(book.put_duty(&by_sms()));
    moves!(book.put_duty(&Duty { from_level: 1, ..by_sms() }));
    moves!(book.drop_duty(&by_sms()));
    moves!(book.drop_person(&ba_tu().id));
    moves!(book.put_river(&tien()));
    moves!(book.add_user("lan", "correct horse battery", Role::Admin));

    book.put_river(&tien()).await.unwrap();
    book.put_rule(&Rule { hold: Duration::ZERO, ..intake() }).await.unwrap();
    let expires = Timestamp::from_millis(i64::MAX);
    book.put_session(&[1; 32], "lan", expires, "csrf").await.unwrap();
    book.drop_session(&[1; 32]).await.unwrap();
    assert_eq!(book.version().await.unwrap(), last);
}

#[tokio::test]
async fn every_change_is_in_the_audit_with_who_and_when() {
    let book = book().await;
    book.add_station(&xuan_hoa()).await.unwrap();
    book.by("lan").put_person(&ba_tu()).await.unwrap();
    book.put_person(&ba_tu()).await.unwrap();
    book.audit(Timestamp::from_millis(5), "lan", "alert.ack", "", "a note").await.unwrap();
    let lines = book.audits(4).await.unwrap();
    let told: Vec<_> = lines.iter().map(|l| (l.who.as_str(), l.act.as_str())).collect();
    let wanted = [
        ("lan", "alert.ack"),
        ("lan", "person.put"),
        ("cli", "station.key"),
        ("cli", "station.put"),
    ];
    assert_eq!(told, wanted);
    assert_eq!(lines[0].at, Timestamp::from_millis(5));
    assert!(lines[1].after.contains("…001"), "{}", lines[1].after);
    assert!(!lines[1].after.contains("+84900000001"));
    assert!(lines.windows(2).all(|pair| pair[0].seq == pair[1].seq + 1));
}

#[tokio::test]
async fn a_failed_change_leaves_nothing() {
    let book = book().await;
    let before = (book.version().await.unwrap(), book.audits(1).await.unwrap());
    let mut station = xuan_hoa();
    station.profile.fields[0].parameter = ParameterCode::new("mercury").unwrap();
    let error = book.add_station(&station).await.unwrap_err();
    let wanted = "station `xuan-hoa` names the parameter `mercury`, which is not in the registry";
    assert_eq!(error.to_string(), wanted);
    assert_eq!(book.stations().await.unwrap(), []);
    assert_eq!((book.version().await.unwrap(), book.audits(1).await.unwrap()), before);
}

#[tokio::test]
async fn a_station_is_added_once() {
    let book = book().await;
    book.add_station(&xuan_hoa()).await.unwrap();
    let again = book.add_station(&xuan_hoa()).await.unwrap_err();
    assert!(matches!(again, RegistryError::AlreadyThere { what: Noun::Station, .. }), "{again}");
    let nobody = book.rotate_key(&code("an-dinh")).await.unwrap_err();
    assert!(matches!(nobody, RegistryError::NotFound { what: Noun::Station, .. }), "{nobody}");
}

#[tokio::test]
async fn a_station_that_means_nothing_is_refused() {
    let book = book().await;
    let field = |scale, offset| Profile {
        fields: vec![Mapping { scale, offset, ..xuan_hoa().profile.fields[0].clone() }],
        ..Profile::default()
    };
    let twice = vec![xuan_hoa().profile.fields[0].clone(); 2];
    let twice = Profile { fields: twice, ..Profile::default() };
    let place = |lat, lon| Some(Place { lat, lon });
    let bad = [
        Station { name: "  ".to_owned(), ..xuan_hoa() },
        Station { place: place(106.4, 10.3), ..xuan_hoa() },
        Station { place: place(f64::NAN, 10.3), ..xuan_hoa() },
        Station { km_from_mouth: Some(-1.0), ..xuan_hoa() },
        Station { km_from_mouth: Some(f64::INFINITY), ..xuan_hoa() },
        Station { interval: Duration::ZERO, ..xuan_hoa() },
        Station { interval: Duration::from_hours(24 * 8), ..xuan_hoa() },
        Station { profile: field(0.0, 0.0), ..xuan_hoa() },
        Station { profile: field(1.0, f64::NAN), ..xuan_hoa() },
        Station { profile: twice, ..xuan_hoa() },
        Station { known_as: vec![" ".to_owned()], ..xuan_hoa() },
        Station { known_as: vec!["x".repeat(257)], ..xuan_hoa() },
        Station { known_as: vec!["pier".to_owned(), "PIER".to_owned()], ..xuan_hoa() },
        Station { known_as: (0..17).map(|n| format!("pier-{n}")).collect(), ..xuan_hoa() },
    ];
    for station in bad {
        let error = book.put_station(&station).await.unwrap_err();
        assert!(matches!(error, RegistryError::BadValue { what: Noun::Station, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_profile_says_what_a_conductivity_is_referred_to() {
    let book = book().await;
    let with = |name: &str, parameter: &str, ec: Option<EcReference>| {
        let mut station = xuan_hoa();
        let parameter = ParameterCode::new(parameter).unwrap();
        let (name, scale, offset) = (name.to_owned(), 0.001, 0.0);
        station.profile.fields.push(Mapping { name, parameter, scale, offset, ec });
        station
    };
    for ec in [None, Some(EcReference::Raw), Some(EcReference::At25), Some(EcReference::At20)] {
        let station = with("EC", "conductivity", ec);
        book.registry.put_station(&station).await.unwrap();
        assert_eq!(book.registry.station(&station.code).await.unwrap(), Some(station.clone()));
        assert_eq!(book.registry.stations().await.unwrap(), [station]);
    }
    for (name, parameter, ec, part) in [
        ("SpCond", "conductivity", None, "likely referred to 25 °C"),
        ("EC_20", "conductivity_25", None, "likely referred to 20 °C"),
        ("EC_raw", "conductivity_25", None, "likely as measured"),
        ("Sal2", "salinity", Some(EcReference::Raw), "`ec` is for conductivities"),
    ] {
        let refused = book.registry.put_station(&with(name, parameter, ec)).await.unwrap_err();
        assert!(refused.to_string().contains(part), "{refused}");
    }
    for (name, parameter, ec) in [
        ("SpCond", "conductivity_25", None),
        ("SpCond", "conductivity", Some(EcReference::At25)),
        ("SpCond", "conductivity", Some(EcReference::Raw)),
    ] {
        book.registry.put_station(&with(name, parameter, ec)).await.unwrap();
    }
    let mut far = xuan_hoa();
    far.profile.utc_offset_s = Some(15 * 3_600);
    assert!(book.registry.put_station(&far).await.is_err());
}

#[tokio::test]
async fn what_others_call_a_station_means_one_station() {
    let book = book().await;
    book.add_station(&xuan_hoa()).await.unwrap();
    assert_eq!(book.stations().await.unwrap()[0].known_as, ["24e124136B502217"]);
    let pier = |name: &str| Station {
        code: code("my-tho"),
        known_as: vec![name.to_owned(), "tg/edge/pier".to_owned()],
        ..xuan_hoa()
    };
    let error = book.add_station(&pier("24E124136b502217")).await.unwrap_err();
    assert!(error.to_string().contains("24E124136b502217"), "{error}");
    assert_eq!(book.stations().await.unwrap().len(), 1);
    book.put_station(&Station { known_as: Vec::new(), ..xuan_hoa() }).await.unwrap();
    book.add_station(&pier("24E124136b502217")).await.unwrap();
    let found = book.station(&code("my-tho")).await.unwrap().unwrap();
    assert_eq!(found.known_as, ["24E124136b502217", "tg/edge/pier"]);
}

#[tokio::test]
async fn a_parameter_is_a_row_not_code() {
    let book = book().await;
    let mercury = Parameter {
        code: ParameterCode::new("mercury").unwrap(),
        name_vi: "Thủy ngân".to_owned(),
        ..standard_parameters().remove(0)
    };
    assert!(book.put_parameter(&mercury).await.unwrap());
    assert!(!book.put_parameter(&mercury).await.unwrap());
    assert!(book.parameters().await.unwrap().contains(&mercury));
    let of = |all: &[Parameter], code: &str| {
        all.iter().find(|parameter| parameter.code.as_str() == code).unwrap().aggregation
    };
    let all = book.parameters().await.unwrap();
    assert_eq!(of(&all, "rainfall"), Aggregation::Total);
    assert_eq!(of(&all, "wind_direction"), Aggregation::Direction);
    assert_eq!(of(&all, "mercury"), Aggregation::Mean);
    let empty = Parameter { fail: Some(Range { low: 1.0, high: 0.0 }), ..mercury };
    let error = book.put_parameter(&empty).await.unwrap_err();
    assert!(matches!(error, RegistryError::BadValue { what: Noun::Parameter, .. }), "{error}");
}

#[tokio::test]
async fn an_edited_standard_parameter_stays_edited() {
    let book = book().await;
    let mut salinity = book.parameters().await.unwrap().into_iter().find(|p| p.unit == "g/L");
    let salinity = salinity.as_mut().unwrap();
    salinity.decimals = 3;
    book.put_parameter(salinity).await.unwrap();
    let version = book.version().await.unwrap();
    let again = Registry::open(&book.folder.path().join("registry.sqlite")).await.unwrap();
    assert!(again.parameters().await.unwrap().contains(salinity));
    assert_eq!(again.version().await.unwrap(), version);
}

#[tokio::test]
async fn a_rule_that_would_lie_is_refused() {
    let book = book().await;
    book.put_station(&xuan_hoa()).await.unwrap();
    let levels = |levels: &[(f64, f64)]| Rule {
        levels: levels.iter().map(|&(limit, clear)| Level { limit, clear }).collect(),
        ..intake()
    };
    for rule in [levels(&[]), levels(&[(1.0, 1.0)]), levels(&[(1.0, 0.8), (0.5, 0.4)])] {
        let error = book.put_rule(&rule).await.unwrap_err();
        assert!(matches!(error, RegistryError::BadRule(_)), "{error}");
    }
    let parameter = ParameterCode::new("mercury").unwrap();
    let stations = vec![code("an-dinh")];
    for rule in [Rule { parameter, ..intake() }, Rule { stations, ..intake() }] {
        let error = book.put_rule(&rule).await.unwrap_err();
        assert!(matches!(error, RegistryError::Misfit(_)), "{error}");
    }
    let twice = Rule { stations: vec![code("xuan-hoa"); 2], ..intake() };
    let long = Rule { hold: Duration::from_hours(25), ..intake() };
    let nameless = Rule { name: String::new(), ..intake() };
    for rule in [twice, long, nameless] {
        let error = book.put_rule(&rule).await.unwrap_err();
        assert!(matches!(error, RegistryError::BadValue { what: Noun::Rule, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_person_nobody_can_reach_is_refused() {
    let book = book().await;
    let phone = |text: &str| Person { phone: Some(text.to_owned()), ..ba_tu() };
    let email = |text: &str| Person { email: Some(text.to_owned()), ..ba_tu() };
    let bad = [
        phone("0900000001"),
        phone("+0900000001"),
        phone("+84 900 000 001"),
        phone("+8490000000123456"),
        email("ba.tu"),
        email("@example.org"),
        email("a@b@example.org"),
        email("ba tu@example.org"),
        email("ba@example.org\r\nBcc: all@example.org"),
        Person { name: String::new(), ..ba_tu() },
    ];
    for person in bad {
        let error = book.put_person(&person).await.unwrap_err();
        assert!(matches!(error, RegistryError::BadValue { what: Noun::Person, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_duty_that_could_never_be_carried_out_is_refused() {
    let book = book().await;
    book.put_station(&xuan_hoa()).await.unwrap();
    book.put_rule(&intake()).await.unwrap();
    let nobody = book.put_duty(&by_sms()).await.unwrap_err();
    assert!(matches!(nobody, RegistryError::Dangling { other: Noun::Person, .. }), "{nobody}");
    book.put_person(&ba_tu()).await.unwrap();
    for duty in [
        Duty { channel: ChannelKind::Email, ..by_sms() },
        Duty { from_level: 2, ..by_sms() },
        Duty { rule: None, from_level: 16, ..by_sms() },
    ] {
        let error = book.put_duty(&duty).await.unwrap_err();
        assert!(matches!(error, RegistryError::BadValue { what: Noun::Duty, .. }), "{error}");
    }
    for duty in [
        Duty { rule: Some(RuleCode::new("no-such").unwrap()), ..by_sms() },
        Duty { station: Some(code("no-such")), ..by_sms() },
    ] {
        let error = book.put_duty(&duty).await.unwrap_err();
        assert!(matches!(error, RegistryError::Dangling { what: Noun::Duty, .. }), "{error}");
    }
    let none = book.drop_duty(&by_sms()).await.unwrap_err();
    assert!(matches!(none, RegistryError::NotFound { what: Noun::Duty, .. }), "{none}");
}

#[tokio::test]
async fn a_change_does_not_pull_the_floor_from_under_a_duty() {
    let book = book().await;
    book.put_station(&xuan_hoa()).await.unwrap();
    book.put_rule(&intake()).await.unwrap();
    book.put_person(&ba_tu()).await.unwrap();
    book.put_duty(&Duty { from_level: 1, ..by_sms() }).await.unwrap();
    let phoneless = Person { phone: None, ..ba_tu() };
    let error = book.put_person(&phoneless).await.unwrap_err();
    assert!(matches!(error, RegistryError::BadValue { what: Noun::Person, .. }), "{error}");
    let lower = Rule { levels: vec![Level { limit: 1.0, clear: 0.8 }], ..intake() };
    let error = book.put_rule(&lower).await.unwrap_err();
    assert!(matches!(error, RegistryError::BadValue { what: Noun::Rule, .. }), "{error}");
    book.drop_person(&ba_tu().id).await.unwrap();
    assert_eq!(book.duties().await.unwrap(), []);
}

#[tokio::test]
async fn duties_for_everything_and_for_one_station_stand_side_by_side() {
    let book = book().await;
    book.put_station(&xuan_hoa()).await.unwrap();
    book.put_rule(&intake()).await.unwrap();
    book.put_person(&ba_tu()).await.unwrap();
    let everything = Duty { rule: None, station: None, ..by_sms() };
    for _ in 0..2 {
        book.put_duty(&everything).await.unwrap();
        book.put_duty(&by_sms()).await.unwrap();
    }
    assert_eq!(book.duties().await.unwrap(), [everything, by_sms()]);
}

#[tokio::test]
async fn a_user_logs_in_with_their_password_and_no_other() {
    let book = book().await;
    book.add_user("lan", "correct horse battery", Role::Operator).await.unwrap();
    let lan = book.check_password("lan", "correct horse battery").await.unwrap().unwrap();
    assert_eq!((lan.name.as_str(), lan.role), ("lan", Role::Operator));
    assert_eq!(book.users().await.unwrap(), [lan]);
    assert_eq!(book.check_password("lan", "correct horse").await.unwrap(), None);
    assert_eq!(book.check_password("minh", "correct horse battery").await.unwrap(), None);
    let huge = "x".repeat(1 << 20);
    assert_eq!(book.check_password("lan", &huge).await.unwrap(), None);
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
}

#[tokio::test]
async fn a_user_without_a_proper_name_or_password_is_refused() {
    let book = book().await;
    for name in ["", "Lan", "lan minh", "l/an", "lân", &"a".repeat(65)] {
        let error = book.add_user(name, "correct horse battery", Role::Viewer).await.unwrap_err();
        assert!(matches!(error, RegistryError::BadUserName(_)), "{error}");
    }
    let error = book.add_user("lan", "elevenchars", Role::Viewer).await.unwrap_err();
    assert_eq!(error.to_string(), "a password has 12 to 256 characters, this one has 11");
    let error = book.add_user("lan", &"x".repeat(257), Role::Viewer).await.unwrap_err();
    assert!(matches!(error, RegistryError::BadPassword { found: 257, .. }), "{error}");
    book.add_user("lan", "correct horse battery", Role::Viewer).await.unwrap();
    let again = book.add_user("lan", "correct horse battery", Role::Admin).await.unwrap_err();
    assert!(matches!(again, RegistryError::AlreadyThere { what: Noun::User, .. }), "{again}");
}

#[tokio::test]
async fn a_session_lasts_until_it_expires_or_is_dropped() {
    let book = book().await;
    book.add_user("lan", "correct horse battery", Role::Operator).await.unwrap();
    let id = secret::hash(&secret::token().unwrap());
    let at = Timestamp::from_millis;
    book.put_session(&id, "lan", at(10_000), "c-token").await.unwrap();
    let session = book.session(&id, at(9_999)).await.unwrap().unwrap();
    assert_eq!((session.user.role, session.csrf.as_str()), (Role::Operator, "c-token"));
    assert_eq!(book.session(&id, at(10_000)).await.unwrap(), None);
    assert_eq!(book.session(&[0; 32], at(1)).await.unwrap(), None);
    assert_eq!(book.drop_expired_sessions(at(9_999)).await.unwrap(), 0);
    assert_eq!(book.drop_expired_sessions(at(10_000)).await.unwrap(), 1);
    let error = book.put_session(&id, "minh", at(1), "").await.unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { what: Noun::User, .. }), "{error}");
}

#[tokio::test]
async fn one_session_too_many_ends_the_oldest() {
    let book = book().await;
    book.add_user("lan", "correct horse battery", Role::Viewer).await.unwrap();
    let at = Timestamp::from_millis;
    let id = |n: u32| secret::hash(&n.to_string());
    for n in 0..=SESSIONS_PER_USER_MAX {
        book.put_session(&id(n), "lan", at(1 << 40), "").await.unwrap();
    }
    assert_eq!(book.session(&id(0), at(1)).await.unwrap(), None);
    for n in 1..=SESSIONS_PER_USER_MAX {
        assert!(book.session(&id(n), at(1)).await.unwrap().is_some(), "{n}");
    }
}
