//! The province's book: which stations there are and by which key they speak, where the rivers run, what counts as
//! too much, who has to know, who may look, and who changed what. One SQLite file that the running engine and the
//! command line open at the same time; [`Registry::version`] tells a copy in memory when to look again.

mod error; // what can go wrong, cut by what the caller does next
mod store; // the file, its schema, and how a change is made
pub mod secret; // keys, session ids and their hashes
mod audit; // who changed what
mod parameters; // what is measured
mod stations; // where
mod layouts; // and how its bytes lie
mod derivations; // and what is made of its readings
mod scram; // a secret that is proved and not sent
mod keys; // and who is speaking
mod keyring; // without asking the file each time
mod claims; // a word on paper that becomes a key, once
mod tokens; // people and services at the door
mod openings; // what opens now
mod rivers; // the lines of the map
mod rules; // what counts as too much
mod fits; // and whether it can be computed
mod quality; // which series are tested how
mod people; // who has to know
mod duties; // of what
mod users; // who may look
mod endings; // who may no longer
mod sessions; // who is looking
mod edits; // what people changed of what was measured
mod commands; // what a station is told
mod configs; // how it is to be set
mod replays; // dead letters sent in again
mod firmware; // what may run in a station, and what does
mod rollouts; // who gets it next
pub mod pack; // a province as a folder of text

pub use audit::Audit;
pub use claims::{CLAIM_PREFIX, ClaimCode, Claimed};
pub use commands::{ARGS_BYTES_MAX, COMMANDS_OPEN_MAX, Command, CommandState, EXPIRES_MAX, Wish};
pub use configs::{CONFIG_BYTES_MAX, Held, StationConfig, config_hash};
pub use edits::{EDITS_MAX, EditWish};
pub use error::{Noun, RegistryError};
pub use firmware::{FirmwareSaid, IMAGES_MAX, Image, StationFirmware};
pub use fits::{Misfit, misfits};
pub use keys::{Login, Provable};
pub use openings::Openings;
pub use quality::QUALITY_BYTES_MAX;
pub use replays::{REPLAYS_AT_ONCE_MAX, Replay, ReplayState, ReplayWish, ReplaysAsked};
pub use rivers::{River, RiverKind};
pub use rollouts::{NAMED_MAX, Rollout, RolloutState, RolloutStation, RolloutTerms, Steer};
pub use scram::Verifier;
pub use secret::StationKey;
pub use sessions::{SESSIONS_PER_USER_MAX, Session};
pub use store::Registry;
pub use tokens::{Token, TokenGrant};
pub use users::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, Role, User};
