//! The real rooms behind the portal: what history, registry and alerting hold is what pages and API show.

use std::sync::Arc;
use std::time::Duration;

use alerting::{Alerting, Roster};
use analytics::rules::Analyzer;
use domain::{
    Admitted, ChannelKind, Duty, Flag, Language, Level, Measured, Person, PersonId, Place, Rule,
    RuleCode, Station, standard_parameters,
};
use history::History;
use journal::Journal;
use portal::{Portal, Readiness, Rooms};
use registry::{Registry, River, RiverKind, Role};
use tokio::sync::broadcast;

use crate::ask::Asked;
use crate::fixture::{Held, PASSWORD, code, now, parameter};

fn rule() -> Rule {
    Rule {
        code: RuleCode::new("salinity-intake").unwrap(),
        name: "Độ mặn lấy nước".to_owned(),
        parameter: parameter("salinity"),
        stations: vec![],
        levels: vec![Level { limit: 1.0, clear: 0.8 }, Level { limit: 4.0, clear: 3.5 }],
        hold: Duration::ZERO,
    }
}

fn station() -> Station {
    Station {
        name: "Xuân Hòa".to_owned(),
        place: Some(Place { lat: 10.3366, lon: 106.4103 }),
        river: Some("tien".to_owned()),
        km_from_mouth: Some(42.0),
        ..Station::new(code("xuan-hoa"))
    }
}

async fn book(registry: &Registry) {
    let line = vec![Place { lat: 10.274, lon: 106.737 }, Place { lat: 10.3469, lon: 106.347 }];
    let river = River {
        code: "tien".to_owned(),
        kind: RiverKind::River,
        name: "Sông Tiền".to_owned(),
        name_en: "Tien River".to_owned(),
        schematic: true,
        line,
    };
    registry.put_river(&river).await.unwrap();
    registry.put_station(&station()).await.unwrap();
    registry.put_rule(&rule()).await.unwrap();
    registry.add_user("truc", PASSWORD, Role::Operator).await.unwrap();
}

fn roster() -> Roster {
    let person = Person {
        id: PersonId::new("ba-tu").unwrap(),
        name: "Ba Tư".to_owned(),
        phone: Some("+84901234567".to_owned()),
        email: None,
        language: Language::VietnameseUnmarked,
    };
    let duty = Duty {
        person: person.id.clone(),
        rule: None,
        station: None,
        channel: ChannelKind::Sms,
        from_level: 0,
    };
    Roster {
        people: vec![person],
        duties: vec![duty],
        stations: vec![station()],
        rules: vec![rule()],
        parameters: standard_parameters(),
    }
}

fn admitted(minutes_ago: u64, salinity: f64) -> Admitted {
    let taken_at = now() - Duration::from_mins(minutes_ago);
    let parameter = parameter("salinity");
    Admitted {
        station: code("xuan-hoa"),
        taken_at,
        received_at: taken_at,
        seq: None,
        replay: false,
        values: vec![Measured { parameter, value: Some(salinity), flag: Flag::Good }],
    }
}

/// Four reports, of which the last is over the limit, taken the way the engine takes them.
async fn portal_in(folder: &std::path::Path) -> Portal {
    let registry = Registry::open(&folder.join("registry.sqlite")).await.unwrap();
    book(&registry).await;
    let history = History::open(&folder.join("history"), history::Config::default()).unwrap();
    let ledger = Journal::open(&folder.join("ledger"), &journal::Config::default()).unwrap();
    let clock = Arc::new(Held(now()));
    let alerting = Alerting::open(ledger, clock.clone()).unwrap();
    alerting.set_roster(roster());
    let mut analyzer = Analyzer::new(vec![rule()], [(station().code, station().interval)]).unwrap();
    for (position, (ago, salinity)) in (0..).zip([(47, 0.4), (32, 0.6), (17, 0.7), (2, 1.25)]) {
        let admitted = admitted(ago, salinity);
        history.apply(position, &admitted);
        let mut verdicts = Vec::new();
        analyzer.step(&admitted, &mut verdicts);
        alerting.consider(position, &verdicts, now()).await.unwrap();
    }
    let standing = analyzer.standing();
    Portal {
        history,
        registry,
        alerting,
        standing: Arc::new(move || standing.clone()),
        wall: clock.clone(),
        clock,
        metrics: Arc::new(String::new),
        ready: Arc::new(|| Readiness::Ready),
        live: broadcast::Sender::new(8),
        demo: true,
        public_url: None,
        beside: Vec::new(),
    }
}

#[tokio::test]
async fn what_the_rooms_hold_is_what_readers_see() {
    let folder = tempfile::tempdir().unwrap();
    let portal = portal_in(folder.path()).await;
    let settings = portal.settings();
    let registry = portal.registry.clone();
    let ask = Asked::of(Arc::new(Rooms::new(portal)), settings);

    let page = ask.get("/").await.text;
    for word in ["Xuân Hòa", "vượt 1 g/L · mức 1/2", "1,25", "2 phút trước", "Sông Tiền"]
    {
        assert!(page.contains(word), "`{word}` is not in {page}");
    }
    let readings = "/api/v1/stations/xuan-hoa/readings?parameter=salinity";
    let rows = ask.get(readings).await.json()["readings"].as_array().unwrap().clone();
    let values: Vec<f64> = rows.iter().map(|row| row["value"].as_f64().unwrap()).collect();
    assert_eq!(values, [0.4, 0.6, 0.7, 1.25]);
    let hours = ask.get(&format!("{readings}&every=1d")).await.json();
    assert_eq!(hours["readings"][0]["count"], 4);
    let warning = ask.get("/api/v1/warnings").await.json();
    assert_eq!((&warning[0]["state"], &warning[0]["level"]), (&"exceed".into(), &1.into()));
    assert!(ask.get("/outbox").await.text.contains("+84901234567"));
    assert!(ask.get("/s/xuan-hoa").await.text.contains("1,25"));

    // A change of the book is seen with the next question.
    let renamed = Station { name: "Cống Xuân Hòa".to_owned(), ..station() };
    registry.put_station(&renamed).await.unwrap();
    assert!(ask.get("/").await.text.contains("Cống Xuân Hòa"));
}

#[tokio::test]
async fn an_answer_at_the_desk_is_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let portal = portal_in(folder.path()).await;
    let (settings, alerting) = (portal.settings(), portal.alerting.clone());
    let registry = portal.registry.clone();
    let ask = Asked::of(Arc::new(Rooms::new(portal)), settings);
    assert_eq!(ask.post("", "/login", "name=truc&password=wrong+wrong+wrong").await.status, 401);
    let cookie = ask.sign_in("truc").await;
    let token = ask.token(&cookie).await;
    let id = ask.get("/api/v1/alerts").await.json()[0]["id"].as_str().unwrap().to_owned();
    let form = format!("csrf={token}&note=Cống+đã+đóng");
    let answer = ask.post(&cookie, &format!("/desk/alerts/{id}/ack"), &form).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let desk = ask.get_as(&cookie, "/desk").await.text;
    assert!(desk.contains("đã có người nhận") && desk.contains("Cống đã đóng"), "{desk}");
    assert_eq!(alerting.alerts()[0].state, domain::AlertState::Acknowledged);
    let audits = registry.audits(5).await.unwrap();
    assert!(audits.iter().any(|line| line.act.starts_with("acknowledge alert")));
    ask.post(&cookie, "/logout", &format!("csrf={token}")).await;
    assert_eq!(ask.get_as(&cookie, "/desk").await.status, 303);
}
