//! A follower's state of the tests on disk, each file of one moment: `tests/NAME-NEXT.cbor` holds what was known before the
//! journal's record NEXT. Whoever starts again with that record asks for that file and no other, so state and store are of
//! one moment, or the state is not there and begins anew.
//!
//! A file is `SLTTST01`, NEXT (eight bytes, little-endian), the BLAKE3 of the rest, and the rest: a `Live` as CBOR. It is
//! written beside, synced and renamed. Another version of `Live` does not read back and is as good as none.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use analytics::quality::Live;

/// The folder, in the data folder.
const FOLDER: &str = "tests";
const MAGIC: &[u8; 8] = b"SLTTST01";
const HEAD: usize = 48;
/// Files of one name that are kept: the newest, and the one before it for whoever looks at a store that is being sealed.
const KEPT: usize = 2;

/// The files of one follower.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
    name: &'static str,
}

impl Shelf {
    /// Those of history, in this data folder.
    #[must_use]
    pub fn of_history(data: &Path) -> Self {
        Self { dir: data.join(FOLDER), name: "history" }
    }

    /// Those of the engine.
    #[must_use]
    pub fn of_engine(data: &Path) -> Self {
        Self { dir: data.join(FOLDER), name: "engine" }
    }

    /// The state before this record; a new one where there is none that can be read, and the log says why.
    #[must_use]
    pub fn load(&self, next: u64) -> Live {
        let path = self.path(next);
        let why = match fs::read(&path) {
            Ok(bytes) => match read(&bytes, next) {
                Ok(live) => return live,
                Err(what) => what,
            },
            Err(error) if error.kind() == ErrorKind::NotFound => "it is not there".to_owned(),
            Err(error) => error.to_string(),
        };
        if 0 < next {
            metrics::counter!("saltline_quality_anew_total", "follower" => self.name).increment(1);
            tracing::warn!(
                path = %path.display(), why,
                "what the tests knew is lost; they begin anew, and each station's newest flags are judged once more"
            );
        }
        Live::default()
    }

    /// Writes a state durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn save(&self, next: u64, state: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let (path, fresh) = (self.path(next), self.dir.join(format!("{}.new", self.name)));
        let mut out = File::create(&fresh)?;
        out.write_all(MAGIC)?;
        out.write_all(&next.to_le_bytes())?;
        out.write_all(blake3::hash(state).as_bytes())?;
        out.write_all(state)?;
        out.sync_data()?;
        fs::rename(&fresh, path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Deletes the files that nobody will ask for, now that the store is of this moment.
    pub fn clear(&self, next: u64) {
        let mut kept = 0;
        for (at, path) in self.files() {
            kept += usize::from(at <= next);
            if at <= next && kept <= KEPT {
                continue;
            }
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old state of the tests stays");
            }
        }
    }

    /// Newest first.
    fn files(&self) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let file = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix(self.name)?;
            let next = name.strip_prefix('-')?.strip_suffix(".cbor")?.parse().ok()?;
            Some((next, path))
        };
        let mut files: Vec<_> = entries.filter_map(|entry| file(entry.path())).collect();
        files.sort_unstable_by_key(|(next, _)| std::cmp::Reverse(*next));
        files
    }

    fn path(&self, next: u64) -> PathBuf {
        self.dir.join(format!("{}-{next:020}.cbor", self.name))
    }
}

/// A state as it is written down.
#[must_use]
pub fn written(live: &Live) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(live, &mut bytes).expect("a state in memory has nothing that CBOR lacks");
    bytes
}

fn read(bytes: &[u8], next: u64) -> Result<Live, String> {
    let (head, state) = bytes.split_at_checked(HEAD).ok_or("it is torn")?;
    let (head, hash) = head.split_at(HEAD - blake3::OUT_LEN);
    if head != [MAGIC.as_slice(), &next.to_le_bytes()].concat() {
        return Err("it is of another program or another record".to_owned());
    }
    if blake3::hash(state).as_bytes() != hash {
        return Err("it is torn".to_owned());
    }
    ciborium::from_reader(state).map_err(|error| error.to_string())
}
