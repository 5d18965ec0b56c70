//! Lines and slaves with a real journal in a folder of its own.

use std::sync::Arc;
use std::time::Duration;

use domain::{Admitted, Aggregation, Clock, Parameter, ParameterCode, Station, StationCode};
use firmware_sim::modbus::{Bus, serve_rtu, serve_tcp};
use ingest::modbus::{At, Config, Master, Profile, Profiles, Serial, SlaveConfig};
use ingest::{ADMIT, Decoder, Intake, ParameterTable, Record};
use journal::Journal;
use saltline::clock::SystemClock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stand {
    pub journal: Journal,
    pub dead: Journal,
    pub intake: Intake,
    pub stop: CancellationToken,
    running: JoinSet<()>,
    dir: tempfile::TempDir,
}

/// Names of the proof's values, as parameters that only tests have.
pub const PROOF_VALUES: [&str; 9] =
    ["a_who", "a_ms", "b_who", "b_ms", "b_tag", "c_who", "c_ms", "c_tag", "c_tag_too"];

/// The three blocks of the proof, each a question of its own form.
pub fn proof() -> Arc<Profile> {
    let value = |name: &str, register: u16, kind: &str| {
        format!(
            "[[value]]\nparameter = \"{name}\"\nfunction = 3\nregister = {register}\ntype = \"{kind}\"\nunit = \"1\"\n"
        )
    };
    let text = [
        "device = \"proof\"\nsource = \"firmware-sim/src/modbus/registers.rs\"\n".to_owned(),
        value("a_who", 1000, "u32"),
        value("a_ms", 1002, "u32"),
        value("b_who", 1100, "u32"),
        value("b_ms", 1102, "u32"),
        value("b_tag", 1104, "u16"),
        value("c_who", 1200, "u32"),
        value("c_ms", 1202, "u32"),
        value("c_tag", 1204, "u16"),
        value("c_tag_too", 1205, "u16"),
    ];
    Arc::new(Profile::read("proof", &text.concat()).unwrap())
}

pub fn simulated() -> Arc<Profile> {
    Profiles::shipped().unwrap().get("saltline-sim").unwrap().clone()
}

/// A line with slaves `{name}-1`, `{name}-2` and so on at the addresses 1, 2 and so on.
pub fn line(name: &str, at: At, profile: &Arc<Profile>, slaves: u8, every: Duration) -> Config {
    let slave = |unit| SlaveConfig {
        station: StationCode::new(&format!("{name}-{unit}")).unwrap(),
        unit,
        profile: profile.clone(),
        every,
        writes: false,
    };
    Config {
        name: name.to_owned(),
        at,
        serial: Serial { baud: 115_200, ..Serial::default() },
        answer_within: Duration::from_millis(100),
        pause: Duration::ZERO,
        quiet: Duration::from_millis(20),
        late_max: Duration::from_millis(300),
        budget: Duration::from_secs(2),
        back_off_max: Duration::from_secs(2),
        retry_max: Duration::from_millis(300),
        slaves: (1..=slaves).map(slave).collect(),
    }
}

impl Stand {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journals = journal::Config::default();
        let journal = Journal::open(&dir.path().join("journal"), &journals).unwrap();
        let dead = Journal::open(&dir.path().join("deadletter"), &journals).unwrap();
        let mut parameters = domain::standard_parameters();
        parameters.extend(PROOF_VALUES.iter().map(|name| Parameter {
            code: ParameterCode::new(name).unwrap(),
            unit: "1".to_owned(),
            ucum: "1".to_owned(),
            name_vi: String::new(),
            name_en: String::new(),
            decimals: 0,
            fail: None,
            suspect: None,
            aggregation: Aggregation::Mean,
        }));
        let table = ParameterTable::new(&parameters);
        let intake =
            Intake::new(journal.clone(), dead.clone(), table, ADMIT, Arc::new(SystemClock));
        let (stop, running) = (CancellationToken::new(), JoinSet::new());
        Self { journal, dead, intake, stop, running, dir }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Slaves behind a TCP port, with RTU frames or with TCP's own.
    pub async fn serve(&mut self, bus: &Arc<Bus>, rtu: bool) -> At {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (bus, stop, host) = (bus.clone(), self.stop.clone(), "127.0.0.1".to_owned());
        if rtu {
            self.running.spawn(serve_rtu(listener, bus, stop));
            At::RtuOverTcp { host, port }
        } else {
            self.running.spawn(serve_tcp(listener, bus, stop));
            At::Tcp { host, port }
        }
    }

    /// Runs something beside the lines.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(work);
    }

    /// Asks on these lines, for stations that there are.
    pub fn ask(&mut self, lines: Vec<Config>, registry: Option<&registry::Registry>) {
        let slaves = lines.iter().flat_map(|line| &line.slaves);
        self.intake.stations().set(slaves.map(|slave| Station::new(slave.station.clone())));
        self.running.spawn(Master::new(lines, &self.intake, registry).run(self.stop.clone()));
    }

    /// Waits until this holds.
    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let wait = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited for {what}");
    }

    /// Stops everything.
    pub async fn stopped(&mut self) {
        self.stop.cancel();
        let all = async { while self.running.join_next().await.is_some() {} };
        assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "it does not stop");
    }

    /// Everything that is on disk, of one station or of all.
    pub fn stored(&self, station: Option<&str>) -> Vec<Admitted> {
        let mut decoder = Decoder::default();
        let (mut next, end) = (self.journal.oldest(), self.journal.durable_end());
        let mut found = Vec::new();
        while next < end {
            for (position, bytes) in self.journal.read(next, 4_096).unwrap() {
                next = position + 1;
                if let Record::Admitted(admitted) = decoder.decode(&bytes).unwrap()
                    && station.is_none_or(|station| station == admitted.station.as_str())
                {
                    found.push(admitted);
                }
            }
        }
        found
    }
}

/// The value of a parameter, where the reading has it.
pub fn value(of: &Admitted, name: &str) -> Option<f64> {
    of.values.iter().find(|value| value.parameter.as_str() == name)?.value
}

/// What time it is.
pub fn now() -> domain::Timestamp {
    SystemClock.now()
}
