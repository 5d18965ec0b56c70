//! What may go wrong between us and QuestDB. None of it is final: the follower tries again, the reader asks history.

use history::HistoryError;
use ingest::BadRecord;
use journal::JournalError;

/// Why a step did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No connection, or it broke.
    #[error("QuestDB cannot be reached: {0}")]
    Away(String),
    /// Connected, and no answer in time.
    #[error("QuestDB did not answer in time")]
    Timeout,
    /// It does not know us.
    #[error("QuestDB does not accept the login")]
    Login,
    /// It answered that it will not.
    #[error("QuestDB refuses: {0}")]
    Refused(String),
    /// The answer is not one of QuestDB's.
    #[error("what answers is not QuestDB: {0}")]
    Answer(String),
    /// The table is not the one that readings belong into.
    #[error("table `{table}` is not as it has to be: {what}")]
    Table {
        /// Its name.
        table: String,
        /// What is different.
        what: String,
    },
    /// QuestDB takes rows and does not put them into the table.
    #[error("table `{table}` is suspended: {what}")]
    Suspended {
        /// Its name.
        table: String,
        /// What QuestDB says of it.
        what: String,
    },
    /// The journal does not read back.
    #[error("journal does not serve")]
    Journal(#[from] JournalError),
    /// The journal holds what this program does not know.
    #[error("journal holds a record that cannot be read")]
    Record(#[from] BadRecord),
    /// History does not read back.
    #[error("history does not serve")]
    History(#[from] HistoryError),
}

impl Trouble {
    /// The word that metrics and logs use.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Timeout => "timeout",
            Self::Login => "login",
            Self::Refused(_) => "refused",
            Self::Answer(_) => "answer",
            Self::Table { .. } => "table",
            Self::Suspended { .. } => "suspended",
            Self::Journal(_) => "journal",
            Self::Record(_) => "record",
            Self::History(_) => "history",
        }
    }
}
