//! An upstream with real journals in a folder of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Station, StationCode, Timestamp};
use ingest::upstream::{Address, Config, Template, Upstream, Version};
use ingest::{ADMIT, Intake, ParameterTable};
use journal::Journal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Stand {
    pub journal: Journal,
    pub dead: Journal,
    stop: CancellationToken,
    running: JoinSet<()>,
    _dir: tempfile::TempDir,
}

struct Held;

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_773_266_400_000)
    }
}

pub fn config(at: SocketAddr, version: Version) -> Config {
    Config {
        name: "province".into(),
        address: Address { host: at.ip().to_string(), port: at.port(), encrypted: false },
        tls: None,
        login: None,
        version,
        client_id: "saltline-province".into(),
        share: None,
        workers: 1,
        topics: vec![Template::parse("province/{station}/data").unwrap()],
        format: None,
        packet_bytes_max: 16 * 1024,
        session_expiry: Duration::from_secs(3_600),
        retry_max: Duration::from_millis(300),
    }
}

impl Stand {
    pub fn start(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journals = journal::Config::default();
        let journal = Journal::open(&dir.path().join("journal"), &journals).unwrap();
        let dead = Journal::open(&dir.path().join("deadletter"), &journals).unwrap();
        let table = ParameterTable::new(&domain::standard_parameters());
        let intake = Intake::new(journal.clone(), dead.clone(), table, ADMIT, Arc::new(Held));
        intake.stations().set([Station::new(StationCode::new("xuan-hoa").unwrap())]);
        let upstream = Upstream::new(config, &intake).unwrap();
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(upstream.run(stop.clone()));
        Self { journal, dead, stop, running, _dir: dir }
    }

    /// Tells the upstream to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has.
    pub async fn stopped(mut self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running.join_next()).await.expect("it stops");
    }

    /// Waits until so many reports and so many refused packets are on disk.
    pub async fn holds(&self, reports: u64, refused: u64) {
        let wait = async {
            while self.journal.durable_end() < reports || self.dead.durable_end() < refused {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            let (has, dead) = (self.journal.durable_end(), self.dead.durable_end());
            panic!("{has} reports and {dead} refused; {reports} and {refused} are wanted");
        }
    }
}

pub fn report(n: usize) -> String {
    format!(r#"{{"time":{},"seq":{n},"values":{{"salinity":{n}}}}}"#, 1_773_000_000 + n)
}
