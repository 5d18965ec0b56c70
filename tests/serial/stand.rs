//! Lines with a real journal in a folder of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::{Admitted, Station, StationCode};
use firmware_sim::serial::SerialLink;
use ingest::line::{Place, Serial};
use ingest::serial::{Config, LoggerConfig, Loggers, Profile, Profiles};
use ingest::{ADMIT, DeadLetter, Decoder, Intake, ParameterTable, Record};
use journal::Journal;
use saltline::clock::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

/// A profile that is shipped.
pub fn shipped(name: &str) -> Arc<Profile> {
    Profiles::shipped().unwrap().get(name).unwrap().clone()
}

/// A line with these loggers, by station, profile and address, each asked `every`.
pub fn line(
    name: &str,
    path: PathBuf,
    loggers: &[(&str, &Arc<Profile>, &str)],
    every: Option<Duration>,
) -> Config {
    let logger = |&(station, profile, address): &(&str, &Arc<Profile>, &str)| LoggerConfig {
        station: StationCode::new(station).unwrap(),
        profile: profile.clone(),
        address: address.to_owned(),
        every,
    };
    Config {
        name: name.to_owned(),
        place: Place::Serial(path),
        serial: Serial { baud: 115_200, ..Serial::default() },
        answer_within: Duration::from_millis(150),
        pause: Duration::from_millis(2),
        quiet: Duration::from_millis(20),
        late_max: Duration::from_millis(400),
        back_off_max: Duration::from_secs(2),
        retry_max: Duration::from_millis(300),
        silent_after: Duration::from_secs(5),
        loggers: loggers.iter().map(logger).collect(),
    }
}

impl Stand {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journals = journal::Config::default();
        let journal = Journal::open(&dir.path().join("journal"), &journals).unwrap();
        let dead = Journal::open(&dir.path().join("deadletter"), &journals).unwrap();
        let table = ParameterTable::new(&domain::standard_parameters());
        let intake =
            Intake::new(journal.clone(), dead.clone(), table, ADMIT, Arc::new(SystemClock));
        let (stop, running) = (CancellationToken::new(), JoinSet::new());
        Self { journal, dead, intake, stop, running, dir }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A port, and the path that leads to it.
    pub fn port(&self, name: &str) -> (SerialLink, PathBuf) {
        let path = self.path(name);
        (SerialLink::new(&path).unwrap(), path)
    }

    /// Stations that there are.
    pub fn know<'a>(&self, stations: impl IntoIterator<Item = &'a str>) {
        let station = |code| Station::new(StationCode::new(code).unwrap());
        self.intake.stations().set(stations.into_iter().map(station));
    }

    /// Runs something beside the lines.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(work);
    }

    /// Listens and asks on these lines, for stations that there are.
    pub fn run(&mut self, lines: Vec<Config>) {
        let stations: Vec<String> = lines
            .iter()
            .flat_map(|line| line.loggers.iter().map(|logger| logger.station.to_string()))
            .collect();
        self.know(stations.iter().map(String::as_str));
        self.running.spawn(Loggers::new(lines, &self.intake).run(self.stop.clone()));
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
        self.stop = CancellationToken::new();
    }

    /// Everything that is on disk, of one station or of all.
    pub fn stored(&self, station: Option<&str>) -> Vec<Admitted> {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for bytes in records(&self.journal) {
            if let Record::Admitted(admitted) = decoder.decode(&bytes).unwrap()
                && station.is_none_or(|station| station == admitted.station.as_str())
            {
                found.push(admitted);
            }
        }
        found
    }

    /// Every letter that is on disk.
    pub fn letters(&self) -> Vec<DeadLetter> {
        records(&self.dead).iter().map(|bytes| DeadLetter::decode(bytes).unwrap()).collect()
    }

    /// Reason and bytes of each letter.
    pub fn refused(&self) -> Vec<String> {
        let told =
            |letter: DeadLetter| format!("{} {}", letter.reason, letter.payload.escape_ascii());
        self.letters().into_iter().map(told).collect()
    }
}

fn records(journal: &Journal) -> Vec<Bytes> {
    let (mut next, end) = (journal.oldest(), journal.durable_end());
    let mut found = Vec::new();
    while next < end {
        for (position, bytes) in journal.read(next, 4_096).unwrap() {
            next = position + 1;
            found.push(bytes);
        }
    }
    found
}

/// The value of a parameter, where the reading has it.
pub fn value(of: &Admitted, name: &str) -> Option<f64> {
    of.values.iter().find(|value| value.parameter.as_str() == name)?.value
}

/// A device that answers each line or command as `answer` says, until the port breaks.
pub async fn play(mut port: SerialLink, end: u8, mut answer: impl FnMut(&str) -> Vec<u8>) {
    let mut heard = Vec::new();
    let mut byte = [0_u8; 1];
    while port.read_exact(&mut byte).await.is_ok() {
        heard.push(byte[0]);
        if byte[0] == end {
            let question = String::from_utf8_lossy(&heard).trim().to_owned();
            heard.clear();
            port.write_all(&answer(&question)).await.unwrap();
        }
    }
}
