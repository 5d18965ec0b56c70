//! The living state in one file, so that the log before it can go. Written beside the old one, synced, and put in its
//! place by a rename: there is always one whole snapshot or none.
//!
//! ```text
//! magic     [u8; 8]  "SLTSES" and the format's version in two digits, now "01"
//! position  u64      the first record of the log that is not in here
//! changes   …        each: length u32, not 0 · crc32 u32 over its bytes · a change as in `codec`
//! end       u32      0
//! count     u64      changes
//! crc32     u32      over magic, position and count
//! ```
//! All numbers little endian. A file that does not read back is an error, not an empty state: sessions that silently
//! vanished would lose what was acknowledged for them.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use journal::Position;

use super::SessionLogError;
use super::codec;
use super::state::State;

const MAGIC: [u8; 8] = *b"SLTSES01";
const NAME: &str = "snapshot";
/// The largest change: a message of the largest packet (1 MiB) and 30,000 letters with a hundred identifiers each.
const CHANGE_BYTES_MAX: u32 = 64 << 20;

/// A snapshot as read.
pub(super) struct Snapshot {
    pub(super) state: State,
    /// Changes that it holds.
    pub(super) changes: u64,
    /// The first record of the log that is not in it.
    pub(super) position: Position,
    pub(super) bytes: u64,
}

/// Puts a new snapshot in place of the old one. Returns its bytes. Blocking.
pub(super) fn save(dir: &Path, position: Position, state: &State) -> io::Result<u64> {
    let fresh = dir.join(format!(".{NAME}.new"));
    let written = write(&fresh, position, state);
    if written.is_err() {
        // It takes room that something else may need; the next try begins anew anyway.
        drop(std::fs::remove_file(&fresh));
    }
    let bytes = written?;
    std::fs::rename(&fresh, dir.join(NAME))?;
    File::open(dir)?.sync_all()?;
    Ok(bytes)
}

fn write(path: &Path, position: Position, state: &State) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 16, File::create(path)?);
    let bytes = write_to(&mut file, position, state)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(bytes)
}

pub(super) fn write_to(
    file: &mut impl Write,
    position: Position,
    state: &State,
) -> io::Result<u64> {
    file.write_all(&MAGIC)?;
    file.write_all(&position.to_le_bytes())?;
    let (mut count, mut bytes) = (0_u64, 32_u64);
    for change in state.changes() {
        let encoded = codec::encode(&change);
        let length = u32::try_from(encoded.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(&crc32fast::hash(&encoded).to_le_bytes())?;
        file.write_all(&encoded)?;
        count += 1;
        bytes += 8 + u64::from(length);
    }
    file.write_all(&0_u32.to_le_bytes())?;
    file.write_all(&count.to_le_bytes())?;
    file.write_all(&seal(position, count).to_le_bytes())?;
    Ok(bytes)
}

/// Reads the snapshot, if there is one. Blocking.
pub(super) fn load(dir: &Path) -> Result<Option<Snapshot>, SessionLogError> {
    let path = dir.join(NAME);
    match File::open(&path) {
        Ok(file) => {
            let bytes = file.metadata().map_or(0, |meta| meta.len());
            let (position, state, changes) = read(BufReader::with_capacity(1 << 16, file))
                .map_err(|source| SessionLogError::Snapshot { path, source })?;
            Ok(Some(Snapshot { state, changes, position, bytes }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SessionLogError::Snapshot { path, source }),
    }
}

pub(super) fn read(mut file: impl Read) -> io::Result<(Position, State, u64)> {
    let magic: [u8; 8] = array(&mut file)?;
    if magic != MAGIC {
        return Err(bad("it is not a snapshot of this version"));
    }
    let position = u64::from_le_bytes(array(&mut file)?);
    let mut state = State::default();
    let mut count = 0;
    loop {
        let length = u32::from_le_bytes(array(&mut file)?);
        if length == 0 {
            break;
        }
        if CHANGE_BYTES_MAX < length {
            return Err(bad("impossible length"));
        }
        let crc = u32::from_le_bytes(array(&mut file)?);
        // Room is made for what is there, not for what a damaged length says.
        let mut encoded = Vec::new();
        (&mut file).take(length.into()).read_to_end(&mut encoded)?;
        if encoded.len() < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if crc32fast::hash(&encoded) != crc {
            return Err(bad("checksum differs"));
        }
        let change = codec::decode(Bytes::from(encoded))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        state.apply(change);
        count += 1;
    }
    let counted = u64::from_le_bytes(array(&mut file)?);
    let sealed = u32::from_le_bytes(array(&mut file)?);
    if counted != count || sealed != seal(position, count) {
        return Err(bad("its end differs"));
    }
    Ok((position, state, count))
}

fn array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn seal(position: Position, count: u64) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&MAGIC);
    crc.update(&position.to_le_bytes());
    crc.update(&count.to_le_bytes());
    crc.finalize()
}

/// Where the snapshot of a folder stands.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}
