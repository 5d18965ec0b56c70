//! One dead, one unplugged, one that refuses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Flag, StationCode};
use firmware_sim::modbus::{Bus, SerialLink, serve_pty};
use ingest::modbus::At;
use ingest::{Answer, Batch, DeadLetter, Pass};
use tokio_util::sync::CancellationToken;

use super::stand::{Stand, line, simulated, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_values_of_every_slave_are_on_disk_over_each_kind_of_line() {
    let mut stand = Stand::new();
    let bus = Arc::new(Bus::new(1..=2));
    let (tcp, rtu) = (stand.serve(&bus, false).await, stand.serve(&bus, true).await);
    let link = stand.path("by-id");
    let serial = SerialLink::new(&link).unwrap();
    let (there, stop) = (bus.clone(), stand.stop.clone());
    stand.spawn(async move { serve_pty(serial, there, stop).await.unwrap() });
    let every = Duration::from_millis(200);
    let lines = [("tcp", tcp), ("rtu", rtu), ("pty", At::Serial(link))]
        .map(|(name, at)| line(name, at, &simulated(), 2, every));
    stand.ask(lines.to_vec(), None);
    stand.until("readings", || 60 <= stand.journal.durable_end()).await;
    stand.stopped().await;
    for name in ["tcp-1", "tcp-2", "rtu-1", "rtu-2", "pty-1", "pty-2"] {
        let stored = stand.stored(Some(name));
        assert!(5 < stored.len(), "{name}: {}", stored.len());
        for reading in &stored {
            assert_eq!(reading.values.len(), 6, "{name}");
            assert!(reading.values.iter().all(|value| value.flag == Flag::NotEvaluated));
            assert!((7.0..7.4).contains(&value(reading, "ph").unwrap()), "{reading:?}");
        }
        // On the grid: no turn drifts.
        let times: Vec<i64> = stored.iter().map(|one| one.taken_at.as_millis()).collect();
        let on_the_grid = times.iter().filter(|time| {
            let periods = (*time - times[0]) as f64 / 200.0;
            (periods - periods.round()).abs() < 0.3
        });
        assert!(times.len() < 2 * on_the_grid.count(), "{name}: {times:?}");
    }
    assert_eq!(stand.dead.durable_end(), 0);
}

/// A line of 9,600 bits a second, small: nine answer, one is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_slave_costs_the_others_no_sample() {
    let mut stand = Stand::new();
    let mut bus = Bus::new(1..=10);
    bus.dead = vec![4];
    bus.baud = Some(9_600);
    let bus = Arc::new(bus);
    let at = stand.serve(&bus, true).await;
    let every = Duration::from_millis(1_500);
    let mut config = line("bus", at, &simulated(), 10, every);
    config.serial.baud = 9_600;
    config.late_max = Duration::from_secs(1);
    let began = Instant::now();
    stand.ask(vec![config], None);
    tokio::time::sleep(Duration::from_secs(12)).await;
    let periods = (began.elapsed().as_secs_f64() / 1.5) as usize;
    stand.stopped().await;
    assert!(stand.stored(Some("bus-4")).is_empty());
    for unit in [1, 2, 3, 5, 6, 7, 8, 9, 10] {
        let times: Vec<i64> = stand
            .stored(Some(&format!("bus-{unit}")))
            .iter()
            .map(|one| one.taken_at.as_millis())
            .collect();
        assert!(periods - 1 <= times.len(), "{unit}: {} of {periods}", times.len());
        let mean = (times[times.len() - 1] - times[0]) as f64 / (times.len() - 1) as f64;
        assert!((mean / 1_500.0 - 1.0).abs() < 0.05, "{unit}: {times:?}");
    }
    let nobody = bus.injected()["nobody"];
    assert!((2..=5).contains(&nobody), "the dead one was asked {nobody} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_pulled_out_and_put_in_again_is_found() {
    let mut stand = Stand::new();
    let bus = Arc::new(Bus::new([1]));
    let link = stand.path("by-id");
    let mut config =
        line("pty", At::Serial(link.clone()), &simulated(), 1, Duration::from_millis(100));
    // What is wrong with the line is not held against the slave.
    config.back_off_max = Duration::from_secs(3_600);
    stand.ask(vec![config], None);
    for round in 1..=3 {
        let serial = SerialLink::new(&link).unwrap();
        let plugged = CancellationToken::new();
        let serve = serve_pty(serial, bus.clone(), plugged.clone());
        let before = stand.journal.durable_end();
        let more = stand.until("readings again", || before + 5 <= stand.journal.durable_end());
        tokio::select! {
            _ = serve => panic!("round {round}: the line broke"),
            () = more => {}
        }
    }
    stand.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_believed_is_a_letter_with_its_registers_and_goes_in_again() {
    let mut stand = Stand::new();
    let bus = Arc::new(Bus::new([1]));
    let at = stand.serve(&bus, false).await;
    let odd = "device = \"odd\"\nsource = \"a test\"\nvalue = [{ name = \"Sal\", function = 4, register = 0, type = \"f32\", unit = \"ppt\" }, \
               { parameter = \"ph\", function = 4, register = 8, type = \"f32\", unit = \"\" }]";
    let odd = Arc::new(ingest::modbus::Profile::read("odd", odd).unwrap());
    stand.ask(vec![line("odd", at, &odd, 1, Duration::from_millis(100))], None);
    stand.until("letters", || 2 <= stand.dead.durable_end()).await;
    stand.stopped().await;
    let (_, bytes) = stand.dead.read(0, 1).unwrap().remove(0);
    let letter = DeadLetter::decode(&bytes).unwrap();
    let text = String::from_utf8(letter.payload.to_vec()).unwrap();
    assert_eq!(letter.topic, "modbus/odd/1");
    assert!(text.starts_with("modbus 1\nline odd unit 1 profile odd\ntime "), "{text}");
    assert!(text.contains("\nread 4 0 2 41") && text.contains("\nvalue Sal measuring "), "{text}");
    assert_eq!(value(&stand.stored(None)[0], "ph").map(f64::round), Some(7.0));
    let mut station = domain::Station::new(StationCode::new("odd-1").unwrap());
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

/// Off unless it is allowed; and then only what the profile names, in its range, once, with its record in the book.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_writes_where_it_is_allowed_and_only_there() {
    let mut stand = Stand::new();
    let bus = Arc::new(Bus::new([1]));
    let at = stand.serve(&bus, true).await;
    let registry = registry::Registry::open(&stand.path("registry.sqlite")).await.unwrap();
    let every = Duration::from_millis(100);
    let mut may = line("may", at.clone(), &simulated(), 1, every);
    may.slaves[0].writes = true;
    let stations = ["may-1", "not-1"].map(|code| StationCode::new(code).unwrap());
    for code in &stations {
        registry.add_station(&domain::Station::new(code.clone())).await.unwrap();
    }
    stand.ask(vec![may, line("not", at, &simulated(), 1, every)], Some(&registry));
    let order = async |station: &StationCode, name: &str, value: f64| {
        let args = serde_json::json!({ "name": name, "value": value });
        let wish = registry::Wish {
            station: station.clone(),
            kind: "modbus-write".to_owned(),
            args: args.as_object().unwrap().clone(),
            expires_in: Duration::from_secs(60),
            once: None,
        };
        let made = registry.by("ba-tu").make_command(&wish).await.unwrap();
        registry.move_command(station, &made.id, registry::CommandState::Sent, "").await.unwrap();
        let begun = Instant::now();
        loop {
            let command = registry.command(&made.id).await.unwrap().unwrap();
            if command.state.is_over() {
                return (command.state, command.why);
            }
            assert!(begun.elapsed() < super::stand::PATIENCE, "{command:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    use registry::CommandState::{Done, Failed};
    assert_eq!(order(&stations[0], "gate_opening", 1.2).await, (Done, String::new()));
    let read = ingest::modbus::Sounding {
        at: stand.serve(&bus, false).await,
        serial: ingest::modbus::Serial::default(),
        unit: 1,
        answer_within: Duration::from_secs(1),
    };
    let block = ingest::modbus::wire::Block {
        function: ingest::modbus::wire::Function::Holding,
        first: 20,
        count: 1,
    };
    assert_eq!(ingest::modbus::sound(&read, block).await.unwrap(), [Some(120)]);
    for (station, name, value, why) in [
        (&stations[0], "gate_opening", 4.01, "0 to 4 m"),
        (&stations[0], "salinity", 1.0, "there are gate_opening"),
        (&stations[1], "gate_opening", 1.0, "not allowed"),
    ] {
        let (state, said) = order(station, name, value).await;
        assert!(state == Failed && said.contains(why), "{said}");
    }
    assert_eq!(ingest::modbus::sound(&read, block).await.unwrap(), [Some(120)]);
    let audits = registry.audits(20).await.unwrap();
    assert!(
        audits.iter().any(|line| line.who == "ba-tu" && line.act.contains("command")),
        "{audits:?}"
    );
    stand.stopped().await;
}
