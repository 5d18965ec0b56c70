//! SDI-12 sensors: measured and fetched, alone and beside each other, on a good bus and on a bad one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Admitted, Clock};
use firmware_sim::sdi12::{Bus, Dials, proof, proof_all, serve};
use ingest::line::{Place, Serial};
use ingest::sdi12::{Address, Config, Profile, Profiles, SensorConfig, Sensors};
use ingest::{Answer, Batch, Pass};
use saltline::clock::SystemClock;
use tokio_util::sync::CancellationToken;

use super::stand::{Stand, play, value};

fn shipped(name: &str) -> Arc<Profile> {
    Profiles::shipped().unwrap().get(name).unwrap().clone()
}

/// A bus with these sensors, by station, profile and address.
fn bus(path: PathBuf, sensors: &[(&str, &Arc<Profile>, &str)], every: Duration) -> Config {
    let sensor = |&(station, profile, address): &(&str, &Arc<Profile>, &str)| SensorConfig {
        station: domain::StationCode::new(station).unwrap(),
        address: Address::parse(address).unwrap(),
        profile: profile.clone(),
        every,
    };
    Config {
        name: "well".to_owned(),
        place: Place::Serial(path),
        serial: Serial { baud: 115_200, ..Serial::default() },
        answer_within: Duration::from_millis(150),
        pause: Duration::ZERO,
        quiet: Duration::from_millis(10),
        wake: None,
        tries: 3,
        measure_max: Duration::from_secs(2),
        late_max: Duration::from_millis(300),
        back_off_max: Duration::from_secs(2),
        retry_max: Duration::from_millis(300),
        sensors: sensors.iter().map(sensor).collect(),
    }
}

fn run(stand: &mut Stand, config: Config) {
    let stations: Vec<String> =
        config.sensors.iter().map(|sensor| sensor.station.to_string()).collect();
    stand.know(stations.iter().map(String::as_str));
    let (sensors, stop) = (Sensors::new(vec![config], &stand.intake), stand.stop.clone());
    stand.spawn(sensors.run(stop));
}

fn simulate(stand: &mut Stand, there: &Arc<Bus>) -> PathBuf {
    let (port, path) = stand.port("by-id");
    let (sim, stop) = (there.clone(), stand.stop.clone());
    stand.spawn(async move { serve(&sim, port, stop).await.unwrap() });
    path
}

/// The measurement of which this reading is, where all of it is of one.
fn number_of(reading: &Admitted, address: char) -> Option<u64> {
    let salinity = value(reading, "salinity")?;
    let number = (salinity * 1_000.0).round() as u64;
    let wanted = proof(address, number);
    let is =
        |name: &str, wanted: f64| value(reading, name).is_some_and(|it| (it - wanted).abs() < 1e-6);
    let all = is("water_level", wanted[0] / 1_000.0)
        && is("water_temperature", wanted[1])
        && is("conductivity_25", wanted[2] / 1_000.0);
    all.then_some(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measurements_of_several_sensors_are_on_disk_with_their_crc_looked_at() {
    let mut stand = Stand::new();
    let mut there = Bus::new("0aZ");
    there.echo = true;
    let there = Arc::new(there);
    let path = simulate(&mut stand, &there);
    let profile = shipped("saltline-sim");
    let sensors = [("nought", &profile, "0"), ("a", &profile, "a"), ("z", &profile, "Z")];
    run(&mut stand, bus(path, &sensors, Duration::from_millis(600)));
    stand.until("measurements", || 12 <= stand.journal.durable_end()).await;
    stand.stopped().await;
    for (station, address) in [("nought", '0'), ("a", 'a'), ("z", 'Z')] {
        let stored = stand.stored(Some(station));
        let numbers: Vec<_> = stored.iter().map(|one| number_of(one, address)).collect();
        let wanted: Vec<_> = (1..=stored.len() as u64).map(Some).collect();
        assert_eq!(numbers, wanted, "{station}");
    }
    assert_eq!(stand.refused(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_concurrent_measurement_is_under_way_the_others_are_asked() {
    let mut stand = Stand::new();
    let mut there = Bus::new("01234");
    // It says 1 s. One after the other five would take 5 s.
    there.measures_for = Duration::from_millis(900);
    let there = Arc::new(there);
    let path = simulate(&mut stand, &there);
    let profile = shipped("saltline-sim-concurrent");
    let names: Vec<String> = (0..5).map(|n| format!("s{n}")).collect();
    let addresses = ["0", "1", "2", "3", "4"];
    let sensors: Vec<_> = names
        .iter()
        .zip(addresses)
        .map(|(name, address)| (name.as_str(), &profile, address))
        .collect();
    run(&mut stand, bus(path, &sensors, Duration::from_secs(2)));
    let began = Instant::now();
    // Two reports a turn: what was measured, and the battery.
    stand.until("two turns of each", || 20 <= stand.journal.durable_end()).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    stand.stopped().await;
    for (name, address) in names.iter().zip(addresses) {
        let stored = stand.stored(Some(name));
        let measured: Vec<_> = stored.iter().filter(|one| value(one, "ph").is_some()).collect();
        assert!(2 <= measured.len() && measured.len() < stored.len(), "{name}");
        for (number, reading) in (1..).zip(&measured) {
            let all = proof_all(address.chars().next().unwrap(), number);
            assert_eq!(value(reading, "ph"), Some(all[11]), "{name}: the twelfth of twelve");
            assert_eq!(value(reading, "salinity"), Some(all[3]));
        }
        assert!(stored.iter().any(|one| value(one, "battery") == Some(12.6)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_sensor_costs_one_timeout_a_back_off_and_a_bus_that_is_pulled_out_is_found_again() {
    let mut stand = Stand::new();
    let mut there = Bus::new("01");
    there.dead = vec!['1'];
    let there = Arc::new(there);
    let profile = shipped("saltline-sim");
    let sensors = [("good", &profile, "0"), ("dead", &profile, "1")];
    let path = stand.path("by-id");
    let mut config = bus(path, &sensors, Duration::from_millis(300));
    config.back_off_max = Duration::from_secs(3_600);
    run(&mut stand, config);
    for round in 1..=3 {
        let (port, _) = stand.port("by-id");
        let before = stand.journal.durable_end();
        tokio::select! {
            _ = serve(&there, port, CancellationToken::new()) => panic!("round {round}: it broke"),
            () = stand.until("measurements again", || before + 4 <= stand.journal.durable_end()) => {}
        }
    }
    stand.stopped().await;
    assert!(stand.stored(Some("dead")).is_empty());
    let asked = there.injected()["nobody"];
    assert!((2..=6).contains(&asked), "the dead one was asked {asked} times");
}

/// One answer in four is missing, cut, damaged, of another address, doubled or drowned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_wrong_is_stored_of_a_disturbed_bus() {
    let mut stand = Stand::new();
    let mut there = Bus::new("01");
    there.seed = u64::try_from(SystemClock.now().as_millis()).unwrap();
    println!("seed {}", there.seed);
    there.measures_for = Duration::from_millis(5);
    there.dials = Dials {
        silence: 0.02,
        half: 0.04,
        corrupted: 0.08,
        wrong_crc: 0.04,
        wrong_address: 0.02,
        duplicate: 0.03,
        noise: 0.03,
        empty: 0.02,
        short: 0.03,
        stale: 0.0,
        unserved: 0.01,
    };
    let there = Arc::new(there);
    let path = simulate(&mut stand, &there);
    let profile = shipped("saltline-sim");
    let sensors = [("one", &profile, "0"), ("two", &profile, "1")];
    let mut config = bus(path, &sensors, Duration::from_millis(100));
    (config.answer_within, config.late_max) =
        (Duration::from_millis(40), Duration::from_millis(100));
    config.back_off_max = config.late_max;
    run(&mut stand, config);
    let commands = || there.injected().get("commands").copied().unwrap_or(0);
    stand.until("commands", || 1_000 <= commands()).await;
    stand.stopped().await;
    let mut readings = 0;
    for (station, address) in [("one", '0'), ("two", '1')] {
        let mut last = 0;
        for reading in stand.stored(Some(station)) {
            let number = number_of(&reading, address);
            let number =
                number.unwrap_or_else(|| panic!("{station}: values of several: {reading:?}"));
            assert!(last < number, "{station}: {number} after {last}");
            (last, readings) = (number, readings + 1);
        }
    }
    let injected = there.injected();
    println!("{readings} readings, {} letters, {injected:?}", stand.dead.durable_end());
    assert!(100 < readings, "{injected:?}");
    for dial in [
        "silence",
        "half",
        "corrupted",
        "wrong_crc",
        "wrong_address",
        "duplicate",
        "noise",
        "empty",
        "short",
        "unserved",
    ] {
        assert!(0 < injected[dial], "{dial} never struck: {injected:?}");
    }
}

/// A sensor that answers each command as this table says; anything else with its address.
async fn answered(
    answers: &'static [(&'static str, &'static str)],
    profile: &str,
) -> (Stand, Vec<String>) {
    let text = format!("device = \"x\"\nsource = \"a test\"\n{profile}");
    let profile = Arc::new(Profile::read("x", &text).unwrap());
    let mut stand = Stand::new();
    let (port, path) = stand.port("by-id");
    let stop = stand.stop.clone();
    stand.spawn(async move {
        let mut asked: HashMap<String, usize> = HashMap::new();
        let playing = play(port, b'!', move |command| {
            let times = asked.entry(command.to_owned()).or_default();
            *times += 1;
            let all: Vec<_> = answers.iter().filter(|(asked, _)| *asked == command).collect();
            match all.get((*times - 1).min(all.len().saturating_sub(1))) {
                Some((_, answer)) => format!("{answer}\r\n").into_bytes(),
                None if command == "0I!" => b"014SALTLINESIM   101\r\n".to_vec(),
                None => Vec::new(),
            }
        });
        stop.run_until_cancelled(playing).await;
    });
    let mut config = bus(path, &[("well", &profile, "0")], Duration::from_millis(100));
    config.tries = 2;
    config.back_off_max = config.late_max;
    run(&mut stand, config);
    stand.until("something", || 1 <= stand.journal.durable_end() + stand.dead.durable_end()).await;
    stand.stopped().await;
    let told = |one: &Admitted| format!("{:?} {:?}", value(one, "salinity"), value(one, "ph"));
    let first = stand.stored(None).first().map(told);
    let told = first.into_iter().chain(stand.refused().into_iter().take(1)).collect();
    (stand, told)
}

const TWO: &str = "[[measure]]\ncommand = \"M\"\nvalues = 2\nvalue = [{ parameter = \"salinity\", at = 1, unit = \"g/L\" }, \
                   { parameter = \"ph\", at = 2, unit = \"\" }]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_on_several_pages_are_one_measurement_and_a_service_request_need_not_come() {
    let answers = &[("0M!", "00012"), ("0D0!", "0+8.85"), ("0D1!", "0+7.1")];
    let began = Instant::now();
    let (_, told) = answered(answers, TWO).await;
    assert_eq!(told, ["Some(8.85) Some(7.1)"]);
    assert!(
        Duration::from_secs(1) < began.elapsed(),
        "it said 1 s, and nobody said that it was ready"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_that_is_not_the_one_asked_for_is_a_letter_with_its_reason() {
    for (answers, wanted) in [
        // No value at all; one less than promised; one more; another promise than the profile's.
        (&[("0M!", "00002"), ("0D0!", "0")][..], "bad_count 0"),
        (&[("0M!", "00002"), ("0D0!", "0+8.85"), ("0D1!", "0")], "bad_count 0"),
        (&[("0M!", "00002"), ("0D0!", "0+1+2+3")], "bad_count 0+1+2+3"),
        (&[("0M!", "00003")], "bad_count 00003"),
        // Of another sensor; no numbers; not the beginning of a measurement.
        (&[("0M!", "00002"), ("0D0!", "1+8.85+7.1")], "malformed 1+8.85+7.1"),
        (&[("0M!", "00002"), ("0D0!", "0+8.85+7..1")], "malformed 0+8.85+7..1"),
        (&[("0M!", "0+2")], "malformed 0+2"),
        (&[("0M!", "00002"), ("0D0!", "0+8.85+7.1\r\n0+8.85+7.1")], "malformed 0+8.85+7.1"),
    ] {
        let (stand, told) = answered(answers, TWO).await;
        assert_eq!(told, [wanted], "{answers:?}");
        assert_eq!(stand.letters()[0].topic, "sdi12/well/0");
    }
    let crc = format!("crc = true\n{TWO}");
    let wrong = &[("0MC!", "00002"), ("0D0!", "0+8.85+7.1AAA")];
    assert_eq!(answered(wrong, &crc).await.1, ["bad_checksum 0+8.85+7.1AAA"]);
    let none = &[("0MC!", "00002"), ("0D0!", "0+8.85+7.1")];
    assert_eq!(answered(none, &crc).await.1, ["bad_checksum 0+8.85+7.1"]);
    let other = format!("vendor = \"METER\"\n{TWO}");
    assert_eq!(answered(&[], &other).await.1, ["malformed SALTLINE SIM"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_answer_is_asked_for_once_more_before_anything_is_refused() {
    let crc = format!("crc = true\n{TWO}");
    let answers = &[("0MC!", "00002"), ("0D0!", "0+3.14+2.00AAA"), ("0D0!", "0+3.14+2.00Oxv")];
    let (_, told) = answered(answers, &crc).await;
    assert_eq!(told, ["Some(3.14) Some(2.0)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_measurement_that_is_not_believed_goes_in_when_the_profile_is_mended() {
    let profile = TWO.replace("parameter = \"salinity\"", "name = \"Sal\"");
    let profile: &'static str = Box::leak(profile.into_boxed_str());
    let (stand, _) = answered(&[("0M!", "00002"), ("0D0!", "0+8.85+7.1")], profile).await;
    let letter = stand.letters().remove(0);
    let text = String::from_utf8(letter.payload.to_vec()).unwrap();
    assert!(text.starts_with("sdi12 1\nline well address 0 profile x\ntime "), "{text}");
    assert!(text.contains("\nanswer 0D0! +8.85+7.1\nvalue Sal measuring 8.85 g/L\n"), "{text}");
    let mut station = domain::Station::new(domain::StationCode::new("well").unwrap());
    station.profile.fields.push(domain::Mapping {
        name: "Sal".to_owned(),
        parameter: domain::ParameterCode::new("salinity").unwrap(),
        scale: 1.0,
        offset: 0.0,
        ec: None,
    });
    let pass = Pass { station: Arc::new(station) };
    let mut batch = Batch::default();
    assert_eq!(
        stand.intake.retake(&pass, &letter, None, &mut batch),
        Answer::Stored { refused: None }
    );
}
