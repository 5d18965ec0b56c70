//! Who gets files, of which stations, under which names, and where each limit lies.

use std::path::PathBuf;
use std::time::Duration;

use domain::{ParameterCode, StationCode, Timestamp};
use ingest::circular10;

/// One department.
#[derive(Debug, Clone)]
pub struct Circular10 {
    /// What it is called in logs, metrics and the data folder.
    pub name: String,
    /// Where its files go.
    pub target: Target,
    /// Whose readings; every station's where it is empty.
    pub stations: Vec<StationCode>,
    /// What stations are called there, where that is not their code.
    pub names: Vec<Named<StationCode>>,
    /// Symbols beside those of the circular, or instead of them.
    pub symbols: Vec<Named<ParameterCode>>,
    /// A file's name, with `{station}` and `{time}` in it.
    pub file: String,
    /// Are there folders `yyyy/MM/dd`?
    pub dated_folders: bool,
    /// The length of a slot.
    pub every: Duration,
    /// How long after its end a slot is written.
    pub settle: Duration,
    /// What is older is not sent any more.
    pub keep: Duration,
    /// A new export begins with what was measured from then on; with what comes from now on where it is not said.
    pub from: Option<Timestamp>,
    /// What ends a line.
    pub line_end: LineEnd,
    /// The longest wait between two tries.
    pub retry_max: Duration,
    /// How long a server may take for one step.
    pub patience: Duration,
}

/// Where files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A server that is reached over SSH.
    Sftp(Sftp),
    /// A server that is reached over FTP.
    Ftp(Ftp),
}

/// A server that is reached over SSH, with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sftp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are there.
    pub user: String,
    /// The folder on it; empty is where we land.
    pub folder: String,
    /// Our private key; where it is not said, those of the system's own client.
    pub key_file: Option<PathBuf>,
    /// Which servers are known; where it is not said, those of the system's own client.
    pub known_hosts_file: Option<PathBuf>,
}

/// A server that is reached over FTP, plain or with TLS (explicit).
#[derive(Clone, PartialEq, Eq)]
pub struct Ftp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are there.
    pub user: String,
    /// With which password.
    pub password: String,
    /// The folder on it; empty is where we land.
    pub folder: String,
    /// Is it asked for TLS, and whose word is taken?
    pub tls: Option<ingest::upstream::Tls>,
}

impl std::fmt::Debug for Ftp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ftp")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// One of ours, and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<T> {
    /// Ours.
    pub ours: T,
    /// Theirs.
    pub theirs: String,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// As Windows has it.
    CrLf,
    /// As all others have it.
    Lf,
}

impl LineEnd {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::CrLf => "\r\n",
            Self::Lf => "\n",
        }
    }
}

impl Circular10 {
    /// Has a slot with this end to be sent, if it is young enough?
    pub(super) fn wants(&self, end: Timestamp) -> bool {
        self.from.is_none_or(|from| from < end)
    }

    pub(super) fn takes(&self, station: &StationCode) -> bool {
        self.stations.is_empty() || self.stations.contains(station)
    }

    /// The name of a file, and the folders that it stands in.
    pub(super) fn file_of(&self, station: &StationCode, at: Timestamp) -> (String, String) {
        let named = self.names.iter().find(|named| named.ours == *station);
        let called = named.map_or(station.as_str(), |named| named.theirs.as_str());
        let stamp = circular10::stamp(at);
        let name = self.file.replace("{station}", called).replace("{time}", &stamp);
        let folder = match (self.dated_folders, stamp.get(..4), stamp.get(4..6), stamp.get(6..8)) {
            (true, Some(year), Some(month), Some(day)) => format!("{year}/{month}/{day}"),
            _ => String::new(),
        };
        (folder, name)
    }

    /// What a parameter is called in a file, if it stands in one.
    pub(super) fn symbol(&self, parameter: &ParameterCode) -> Option<&str> {
        match self.symbols.iter().find(|named| named.ours == *parameter) {
            Some(named) => Some(named.theirs.as_str()),
            None => circular10::symbol(parameter.as_str()),
        }
    }
}
