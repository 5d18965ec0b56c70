//! Readings for a department: files in the form of Circular 10/2021, one a station and slot of five minutes, left in a
//! folder or on an SFTP or FTP server, the oldest first.
//!
//! What has to be sent is found by following the journal, so a backlog that comes weeks late is sent like everything
//! else, and a corrected slot is sent again. A slot counts as sent when the server has taken the whole file under its
//! name; that is on disk before the journal is let go of. A power cut in between sends a file once more, with the same
//! name and bytes.

mod config; // to whom, of which stations, named how
mod slots; // what has to be sent
mod sent; // what was
mod page; // the text of a file
mod folder; // a folder of this machine
mod sftp; // a server that OpenSSH's own client talks to
mod ftp; // a server of the older kind
mod worker; // look, write, send, remember, wait

pub use config::{Circular10, Ftp, LineEnd, Named, Sftp, Target};
pub use worker::{Export, ExportError, Source};

/// A file that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    /// Folders below the target, as `2026/03/12`; empty where there are none.
    folder: String,
    /// Its name.
    name: String,
    /// What is in it.
    text: String,
}

impl Page {
    /// Folder and name, as servers write a path.
    fn path(&self) -> String {
        match self.folder.as_str() {
            "" => self.name.clone(),
            folder => format!("{folder}/{}", self.name),
        }
    }

    /// The name under which it is written until it is whole.
    fn unfinished(&self) -> String {
        format!("{}.part", self.path())
    }
}

/// How far a batch of pages came: so many of them, from the first on, are where they belong.
#[derive(Debug)]
struct Came {
    done: usize,
    trouble: Option<Trouble>,
}

/// Why it came no farther.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// Nobody is there, or does not let us in; nothing else would fare better.
    #[error("the target is away: {0}")]
    Away(String),
    /// The next page was refused; another may be taken.
    #[error("the target refused a file: {0}")]
    Refused(String),
}

impl Came {
    const fn all(done: usize) -> Self {
        Self { done, trouble: None }
    }

    fn away(done: usize, why: impl std::fmt::Display) -> Self {
        Self { done, trouble: Some(Trouble::Away(why.to_string())) }
    }

    fn refused(done: usize, why: impl std::fmt::Display) -> Self {
        Self { done, trouble: Some(Trouble::Refused(why.to_string())) }
    }
}
