//! Stations against a broker that misbehaves: what they say, what they keep, what they say again.
#![allow(clippy::unwrap_used, reason = "tests, their helpers included")]

#[allow(dead_code, reason = "each test file uses its part")]
mod broker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use broker::{Answer, Broker};
use domain::{Clock, Timestamp};
use firmware_sim::Totals;
use firmware_sim::clock::{MachineClock, VirtualTime};
use firmware_sim::estuary::station;
use firmware_sim::fleet::Fleet;
use firmware_sim::mqtt::{Door, Tls};
use firmware_sim::station::{Backlog, Dials};
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const START: &str = "2026-03-12T05:00:00+07:00";
const INTERVAL: Duration = Duration::from_secs(300);

struct Running {
    tasks: JoinSet<Totals>,
    stop: CancellationToken,
}

impl Running {
    async fn stop(mut self) -> Totals {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.tasks.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    }
}

/// A fleet at 6,000 times the speed: a report every 50 ms from every station.
fn run(codes: &[&str], door: Door, dials: Dials) -> Running {
    let stations = codes.iter().map(|c| (station(c).unwrap(), "secret".to_owned())).collect();
    let start = Timestamp::parse_rfc3339(START).unwrap();
    let time = VirtualTime { start, epoch: MachineClock.now(), speed: 6_000.0 };
    let fleet = Fleet {
        door,
        stations,
        seed: 42,
        dials,
        time,
        interval: INTERVAL,
        away: Duration::ZERO,
        backlog: Backlog::Unasked,
        firmware: None,
    };
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(fleet.run(Arc::new(MachineClock), stop.clone()));
    Running { tasks, stop }
}

fn door(broker: &Broker) -> Door {
    Door { address: broker.at.to_string(), tls: None }
}

#[tokio::test]
async fn both_versions_say_what_the_wire_document_says() {
    let broker = Broker::open([]).await;
    let running = run(&["xuan-hoa", "my-tho"], door(&broker), Dials::default());
    let from = |b: &Broker, v5| b.acked().iter().filter(|s| s.v5 == v5).count();
    broker.until(|b| 5 <= from(b, false) && 5 <= from(b, true)).await;
    let totals = running.stop().await;
    assert_eq!(totals.measured, totals.acked + totals.queued, "{totals:?}");
    let readings = broker.readings();
    let own: Vec<_> = readings.iter().filter(|s| s.client == "xuan-hoa").collect();
    assert!(own.iter().all(|said| said.topic == "stations/xuan-hoa/readings"));
    let news = own.iter().find(|said| said.json().get("replay").is_none());
    let json = news.expect("news is no backlog").json();
    let names: BTreeSet<_> = json["values"].as_object().unwrap().keys().cloned().collect();
    let wanted = ["battery", "conductivity", "ph", "salinity", "water_level", "water_temperature"];
    assert_eq!(names, wanted.map(str::to_owned).into());
    // By number: whatever was measured before the link was up comes after the news.
    let times: BTreeMap<u64, String> = own.iter().map(|said| (said.seq(), said.time())).collect();
    assert_eq!(times.len(), own.len(), "each number once: {times:?}");
    // A machine that is busy puts its stations up a moment after the virtual clock began.
    let (first, _) = times.first_key_value().unwrap();
    let begin = Timestamp::parse_rfc3339(&times[first]).unwrap();
    let start = Timestamp::parse_rfc3339(START).unwrap();
    assert!(start <= begin && begin == begin.floor(INTERVAL), "{times:?}");
    for (seq, time) in &times {
        let due = begin + INTERVAL * u32::try_from(seq - first).unwrap();
        assert_eq!(*time, due.to_local_rfc3339(), "number {seq} of {times:?}");
    }
    let book = broker.book.lock().unwrap();
    for knock in &book.knocks {
        assert_eq!((&knock.user, knock.key.as_str()), (&knock.client, "secret"));
        let topic = format!("stations/{}/state", knock.client);
        assert_eq!(knock.will, (topic, "offline".to_owned(), true));
    }
    let states: Vec<&str> = book
        .said
        .iter()
        .filter(|s| s.topic == "stations/my-tho/state" && s.retain)
        .map(|s| s.payload.as_str())
        .collect();
    assert_eq!(states, ["online", "offline"]);
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_after_the_news_and_as_a_backlog() {
    let broker = Broker::open([Answer::Ack, Answer::Ack, Answer::Hangup]).await;
    let running = run(&["vam-giong"], door(&broker), Dials::default());
    broker.until(|b| b.acked().len() >= 30).await;
    let totals = running.stop().await;
    let acked = broker.acked();
    let is_old = |said: &broker::Said| said.json()["replay"].as_bool().unwrap_or(false);
    let mut seqs: Vec<u64> = acked.iter().map(broker::Said::seq).collect();
    let old: Vec<u64> = acked.iter().filter(|s| is_old(s)).map(broker::Said::seq).collect();
    assert!(old.windows(2).all(|w| w[0] < w[1]), "the backlog comes oldest first: {old:?}");
    assert!(old.contains(&(seqs[0] + 2)), "the report of before the break comes as a backlog");
    let first_old = seqs.iter().position(|seq| *seq == old[0]).unwrap();
    assert!(!is_old(&acked[2]) && 2 < first_old, "after the news: {seqs:?}");
    assert!(!is_old(&acked[acked.len() - 1]), "and then there is news again");
    seqs.sort_unstable();
    assert!(seqs.windows(2).all(|w| w[1] == w[0] + 1), "no gap, no repeat: {seqs:?}");
    assert!(totals.connected >= 2 && totals.sent > totals.acked);
}

#[tokio::test]
async fn a_hard_life_loses_nothing() {
    let broker = Broker::open([]).await;
    let dials = Dials { loss: 0.3, power_cuts: 12.0, clock_drift_ppm: 100.0, faults: 4.0 };
    let running = run(&["xuan-hoa", "my-tho", "go-cat"], door(&broker), dials);
    broker.until(|b| b.acked().len() >= 300).await;
    let totals = running.stop().await;
    assert_eq!(totals.measured, totals.acked + totals.queued, "{totals:?}");
    assert!(totals.power_cuts > 0 && totals.connected > 3, "{totals:?}");
    for code in ["xuan-hoa", "my-tho", "go-cat"] {
        let seqs: BTreeSet<u64> =
            broker.acked().iter().filter(|s| s.client == code).map(broker::Said::seq).collect();
        let (first, last) = (seqs.first().unwrap(), seqs.last().unwrap());
        assert!(last - first < seqs.len() as u64 + 21, "{code}: only the last window may miss");
    }
}

#[tokio::test]
async fn mqtt_5_says_why_and_the_station_heeds_it() {
    let broker = Broker::open([
        Answer::Ack,
        Answer::Ack,
        Answer::Reason(PubAckReason::PayloadFormatInvalid),
        Answer::Reason(PubAckReason::QuotaExceeded),
    ])
    .await;
    // The second station of a fleet speaks 5; what falls to the first, which speaks 3.1.1, stays unanswered.
    let running = run(&["xuan-hoa", "my-tho"], door(&broker), Dials::default());
    let v5_acked = |b: &Broker| b.acked().iter().filter(|s| s.v5).count();
    broker.until(|b| b.book.lock().unwrap().script.is_empty() && 30 <= v5_acked(b)).await;
    let totals = running.stop().await;
    let said = broker.readings();
    for scripted in said.iter().filter(|s| s.v5) {
        let again = |s: &&broker::Said| s.client == scripted.client && s.seq() == scripted.seq();
        let times = said.iter().filter(again).count();
        match scripted.answer {
            Answer::Reason(PubAckReason::PayloadFormatInvalid) => assert_eq!(times, 1),
            Answer::Reason(PubAckReason::QuotaExceeded) => assert!(times > 1, "sent again later"),
            _ => {}
        }
    }
    let refused = said
        .iter()
        .filter(|s| s.v5 && s.answer == Answer::Reason(PubAckReason::PayloadFormatInvalid))
        .count();
    assert_eq!(totals.refused, refused as u64);
}

#[tokio::test]
async fn a_wrong_key_is_turned_away_and_nothing_is_said_or_lost() {
    let broker = Broker::open([]).await;
    broker.book.lock().unwrap().key = "another".to_owned();
    let running = run(&["xuan-hoa"], door(&broker), Dials::default());
    broker.until(|b| 2 <= b.book.lock().unwrap().knocks.len()).await;
    let totals = running.stop().await;
    assert_eq!((totals.acked, totals.sent, totals.connected), (0, 0, 0));
    assert_eq!(totals.measured, totals.queued);
}

#[tokio::test]
async fn stations_speak_tls_with_an_authority_they_trust_and_with_no_other() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let broker = Broker::open_with([], Some(Arc::new(config).into())).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, issued.cert.pem()).unwrap();
    let address = format!("localhost:{}", broker.at.port());
    let trusting = Door { address: address.clone(), tls: Some(Tls::trusting(&ca).unwrap()) };
    let running = run(&["xuan-hoa", "my-tho"], trusting, Dials::default());
    broker.until(|b| b.acked().len() >= 4).await;
    running.stop().await;

    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&ca, other.cert.pem()).unwrap();
    let door = Door { address, tls: Some(Tls::trusting(&ca).unwrap()) };
    let login = firmware_sim::mqtt::Login {
        code: "xuan-hoa".to_owned(),
        key: None,
        version: firmware_sim::mqtt::Version::V311,
        session: firmware_sim::mqtt::Session::Fresh,
        window: 1,
    };
    assert!(firmware_sim::mqtt::Link::open(&door, &login).await.is_err());
    std::fs::write(&ca, "nothing").unwrap();
    assert!(Tls::trusting(&ca).is_err());
}

#[tokio::test]
async fn what_is_asked_for_again_comes_again_and_the_question_is_answered_once_it_has_arrived() {
    let broker = Broker::open([]).await;
    let running = run(&["xuan-hoa", "my-tho"], door(&broker), Dials::default());
    let seqs = |b: &Broker, code: &str| -> Vec<u64> {
        b.acked().iter().filter(|s| s.client == code).map(broker::Said::seq).collect()
    };
    let codes = ["xuan-hoa", "my-tho"];
    broker.until(|b| codes.iter().all(|code| 5 <= seqs(b, code).len())).await;
    for code in codes {
        let first = seqs(&broker, code)[0];
        let body = serde_json::json!({
            "id": format!("q-{code}"), "kind": "resend", "from_seq": first, "to_seq": first + 2,
        });
        let topic = format!("stations/{code}/command");
        broker.book.lock().unwrap().tell.push((code.to_owned(), topic, body.to_string()));
    }
    // The broker tells at the next packet; the answers come in order.
    let receipts = |b: &Broker, code: &str| -> Vec<String> {
        let book = b.book.lock().unwrap();
        let own = book.said.iter().filter(|s| s.topic == format!("stations/{code}/receipt"));
        own.map(|s| s.json()["state"].as_str().unwrap().to_owned()).collect()
    };
    broker.until(|b| codes.iter().all(|code| receipts(b, code).len() == 2)).await;
    let totals = running.stop().await;
    for code in codes {
        assert_eq!(receipts(&broker, code), ["accepted", "done"]);
        let all = seqs(&broker, code);
        let again: Vec<u64> = all[1..].iter().copied().filter(|seq| *seq < all[0] + 3).collect();
        assert_eq!(&again[2..], &all[..3], "the three came twice, the second time in order");
        let replays = broker.acked();
        let replays = replays.iter().filter(|s| s.client == code && s.json()["replay"] == true);
        assert_eq!(replays.count(), 3);
    }
    assert_eq!(totals.resent, 6);
    assert_eq!(totals.measured, totals.acked + totals.queued, "{totals:?}");
}

#[tokio::test]
async fn two_weeks_away_come_back_after_the_news_at_their_pace() {
    let broker = Broker::open([]).await;
    let start = Timestamp::parse_rfc3339(START).unwrap();
    let time = VirtualTime { start, epoch: MachineClock.now(), speed: 600.0 };
    let fleet = Fleet {
        door: door(&broker),
        stations: vec![(station("xuan-hoa").unwrap(), "secret".to_owned())],
        seed: 42,
        dials: Dials::default(),
        time,
        interval: INTERVAL,
        away: Duration::from_secs(14 * 86_400),
        backlog: Backlog::Unasked,
        firmware: None,
    };
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(fleet.run(Arc::new(MachineClock), stop.clone()));
    let seqs = |b: &Broker| b.acked().iter().map(broker::Said::seq).collect::<BTreeSet<u64>>();
    let span = |seqs: &BTreeSet<u64>| seqs.last().unwrap() - seqs.first().unwrap() + 1;
    broker
        .until(|b| {
            let enough = 14 * 288 <= b.book.lock().unwrap().said.len();
            enough && Some(seqs(b)).is_some_and(|seqs| seqs.len() as u64 == span(&seqs))
        })
        .await;
    let totals = Running { tasks, stop }.stop().await;
    let acked = broker.acked();
    let old = |s: &broker::Said| s.json()["replay"] == true;
    assert!(!old(&acked[0]), "what is news when it comes back goes first");
    let seqs = seqs(&broker);
    assert!(14 * 288 <= seqs.len() && totals.dropped == 0, "{totals:?}");
}
