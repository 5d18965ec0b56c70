//! Files that a logger writes on: whole new lines are read from where the last look ended, and the file stays.
//!
//! How far each file was read is a JSON file in the data folder, replaced as a whole after the lines are on disk. A file
//! is known again by its inode, or by its name where it was uploaded anew, and only if it begins with the same header and
//! has the same bytes before the place where we stopped. So a rotated file is read to its end under its new name, and one
//! that was truncated, replaced or given another header is read from its beginning: what is in history already is not
//! stored twice.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use domain::Format;

use super::name;
use super::pieces::header;
use super::scan::list;

/// Files that are known; more of one folder are not read. A logger has some tables, a folder some hundred loggers.
const FILES_MAX: usize = 10_000;

/// Bytes of one look at one file: some 80,000 rows, committed in pieces. What is left is read at once after them.
const LOOK_BYTES: u64 = 4 << 20;

/// Bytes before the place where we stopped that have to be the same: several lines of any logger.
const TAIL_BYTES: u64 = 1 << 10;

/// The largest header. TOA5 of a station with 128 columns takes 8 KiB.
const HEAD_BYTES: u64 = 64 << 10;

/// How far a file was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its path below the folder when it was first seen: whose it is, and what.
    pub(super) name: String,
    dev: u64,
    ino: u64,
    /// Bytes that are read.
    offset: u64,
    /// Lines in these.
    lines: i64,
    /// Its header, of a table.
    pub(super) head: String,
    /// CRC-32 of the bytes before the offset.
    tail: u32,
}

/// What a look at a file found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fresh {
    /// How far it is read when this is on disk.
    pub(super) after: Known,
    /// The header, and the new lines.
    pub(super) bytes: Bytes,
    /// What has to be added to a line's number in these to be its number in the file.
    pub(super) lines_before: i64,
    /// Why it is not read on where it was known by that.
    pub(super) anew: Option<Anew>,
    /// Is there more of it?
    pub(super) more: bool,
}

/// Why a file is read from its beginning that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anew {
    /// It is shorter than what was read.
    Truncated,
    /// Its header is another.
    Header,
    /// What was read of it is not there any more.
    Replaced,
}

impl Anew {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Header => "header",
            Self::Replaced => "replaced",
        }
    }
}

/// The growing files of a folder.
#[derive(Debug, Default)]
pub(super) struct Growing {
    known: Vec<Known>,
    /// The files that stood there when the folder was listed last.
    standing: HashSet<(u64, u64)>,
    path: PathBuf,
}

/// The file that remembers.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    files: Vec<Known>,
}

const VERSION: u32 = 1;

impl Growing {
    /// What was read of the files of a folder with this name. Blocking.
    ///
    /// # Errors
    /// What the disk says, or that the file cannot be read.
    pub(super) fn open(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(format!("{name}.json"));
        let bad = |why: String| {
            let why = format!("`{}` does not read back: {why}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let known = match std::fs::read(&path) {
            Ok(text) => {
                let kept: Kept =
                    serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
                if kept.version != VERSION {
                    return Err(bad(format!("version {}", kept.version)));
                }
                kept.files
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { known, standing: HashSet::new(), path })
    }

    /// Nothing is known, and what cannot be read is written over.
    pub(super) fn anew(dir: &Path, name: &str) -> Self {
        Self { path: dir.join(format!("{name}.json")), ..Self::default() }
    }

    /// The headers of tables that were read, and whose.
    pub(super) fn heads(&self) -> impl Iterator<Item = (&str, &str)> {
        let tables = self.known.iter().filter(|known| !known.head.is_empty());
        tables.map(|known| (known.name.as_str(), known.head.as_str()))
    }

    /// The files of the folder; those that are gone are forgotten. Blocking.
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    pub(super) fn files(&mut self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        list(dir, 0, &mut files)?;
        files.sort_unstable();
        // A file that is gone and one that stands under another name are told apart by the inode.
        let metas = files.iter().filter_map(|path| path.metadata().ok());
        self.standing = metas.map(|meta| (meta.dev(), meta.ino())).collect();
        let names: HashSet<String> = files.iter().map(|path| below(dir, path)).collect();
        let stands = |known: &Known| self.standing.contains(&(known.dev, known.ino));
        let taken: HashSet<String> =
            self.known.iter().filter(|it| stands(it)).map(|it| it.name.clone()).collect();
        self.known.retain(|known| {
            stands(known) || (names.contains(&known.name) && !taken.contains(&known.name))
        });
        Ok(files)
    }

    fn stands(&self, known: &Known) -> bool {
        self.standing.contains(&(known.dev, known.ino))
    }

    /// What is new in a file, if anything is. Blocking.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn look(
        &self,
        dir: &Path,
        path: &Path,
        wanted: Option<Format>,
    ) -> io::Result<Option<Fresh>> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        let name = below(dir, path);
        let by_inode =
            self.known.iter().find(|known| (known.dev, known.ino) == (meta.dev(), meta.ino()));
        // Whose file is gone may have been uploaded anew; whose stands elsewhere was rotated.
        let known = by_inode
            .or_else(|| self.known.iter().find(|known| known.name == name && !self.stands(known)));
        if known.is_none() && FILES_MAX <= self.known.len() {
            return Ok(None);
        }
        let called = by_inode.map_or(name, |known| known.name.clone());
        let Some(format) = wanted.or_else(|| name::format(&called)).filter(|it| it.has_lines())
        else {
            return Ok(None);
        };
        let Some(head) = head(&mut file, format, meta.len())? else { return Ok(None) };
        let anew = match known {
            Some(known) => changed(&mut file, known, &head, meta.len())?,
            None => None,
        };
        let same = known.filter(|_| anew.is_none());
        let (offset, lines) = match same {
            Some(known) => (known.offset, known.lines),
            None => (head.len() as u64, count(&head)),
        };
        let rows = whole_lines(&mut file, offset)?;
        // Which file it is may have changed even where nothing is new in it.
        let unmoved = same.is_some_and(|it| (it.dev, it.ino) == (meta.dev(), meta.ino()));
        if rows.is_empty() && unmoved {
            return Ok(None);
        }
        let end = offset + rows.len() as u64;
        let after = Known {
            name: called,
            dev: meta.dev(),
            ino: meta.ino(),
            offset: end,
            lines: lines + count(&rows),
            tail: tail(&mut file, end)?,
            head: String::from_utf8_lossy(&head).into_owned(),
        };
        let more = !rows.is_empty() && LOOK_BYTES <= meta.len().saturating_sub(offset);
        let lines_before = lines - count(&head);
        let bytes = match rows.is_empty() {
            true => Bytes::new(),
            false => Bytes::from([head, rows].concat()),
        };
        Ok(Some(Fresh { after, bytes, lines_before, anew, more }))
    }

    /// So far it is read. Blocking; on disk when it returns.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn read(&mut self, after: Known) -> io::Result<()> {
        let standing = std::mem::take(&mut self.standing);
        self.known.retain(|known| {
            let inode = (known.dev, known.ino);
            inode != (after.dev, after.ino)
                && (known.name != after.name || standing.contains(&inode))
        });
        self.standing = standing;
        self.known.push(after);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir)?;
        let fresh = self.path.with_extension("json.new");
        let kept = Kept { version: VERSION, files: std::mem::take(&mut self.known) };
        let text = serde_json::to_vec(&kept)?;
        self.known = kept.files;
        let mut file = File::create(&fresh)?;
        file.write_all(&text)?;
        file.sync_data()?;
        std::fs::rename(&fresh, &self.path)?;
        File::open(dir)?.sync_all()
    }
}

fn below(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}

/// The header of a table, as soon as all of it is there; nothing of another format.
fn head(file: &mut File, format: Format, bytes: u64) -> io::Result<Option<Vec<u8>>> {
    if format != Format::Table {
        return Ok(Some(Vec::new()));
    }
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD_BYTES.min(bytes)).read_to_end(&mut start)?;
    let toa5 = start.trim_ascii_start().starts_with(b"\"TOA5\"") || start.starts_with(b"TOA5");
    let lines = if toa5 { 4 } else { 1 };
    let end = header(&start);
    start.truncate(end);
    Ok((count(&start) == lines).then_some(start))
}

/// Why what was known of a file does not hold for this one.
fn changed(file: &mut File, known: &Known, head: &[u8], bytes: u64) -> io::Result<Option<Anew>> {
    Ok(if String::from_utf8_lossy(head) != known.head {
        Some(Anew::Header)
    } else if bytes < known.offset {
        Some(Anew::Truncated)
    } else if tail(file, known.offset)? != known.tail {
        Some(Anew::Replaced)
    } else {
        None
    })
}

/// CRC-32 of the bytes before `end`.
fn tail(file: &mut File, end: u64) -> io::Result<u32> {
    let start = end.saturating_sub(TAIL_BYTES);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(end - start).read_to_end(&mut bytes)?;
    Ok(crc32fast::hash(&bytes))
}

/// From `offset` on, up to the last line that is whole.
fn whole_lines(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(LOOK_BYTES).read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    bytes.truncate(end);
    Ok(bytes)
}

fn count(bytes: &[u8]) -> i64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one growing file, read again and again.
    struct Stand {
        dir: tempfile::TempDir,
        growing: Growing,
    }

    impl Stand {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("in")).unwrap();
            let growing = Growing::open(&dir.path().join("state"), "x").unwrap();
            Self { dir, growing }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join("in").join(name)
        }

        fn append(&self, name: &str, text: &str) {
            let options = File::options().create(true).append(true).open(self.path(name));
            options.unwrap().write_all(text.as_bytes()).unwrap();
        }

        /// What is new in all files, and why one begins anew; remembered.
        fn look(&mut self) -> Vec<(String, String, Option<Anew>)> {
            let dir = self.dir.path().join("in");
            let mut told = Vec::new();
            for path in self.growing.files(&dir).unwrap() {
                while let Some(fresh) = self.growing.look(&dir, &path, None).unwrap() {
                    let text = String::from_utf8(fresh.bytes.to_vec()).unwrap();
                    told.push((fresh.after.name.clone(), text, fresh.anew));
                    self.growing.read(fresh.after).unwrap();
                    self.growing = Growing::open(&self.dir.path().join("state"), "x").unwrap();
                    self.growing.files(&dir).unwrap();
                }
            }
            told
        }

        fn check(&mut self, wanted: &[(&str, &str, Option<Anew>)]) {
            let told = self.look();
            let told: Vec<_> = told
                .iter()
                .map(|(name, text, anew)| (name.as_str(), text.as_str(), *anew))
                .collect();
            assert_eq!(told, wanted);
        }
    }

    #[test]
    fn whole_new_lines_are_read_once_with_their_header() {
        let mut stand = Stand::new();
        stand.append("a.csv", "time,p");
        stand.check(&[]);
        stand.append("a.csv", "h\n1,7\n2,8");
        stand.check(&[("a.csv", "time,ph\n1,7\n", None)]);
        stand.check(&[]);
        stand.append("a.csv", "\n3,9\n4");
        stand.check(&[("a.csv", "time,ph\n2,8\n3,9\n", None)]);
        stand.append("b.jsonl", "{}\n{");
        stand.append("c.json", "{}\n");
        stand.append("d.csv.gz", "x\n");
        stand.check(&[("b.jsonl", "{}\n", None)]);
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_and_its_successor_from_the_beginning() {
        let mut stand = Stand::new();
        stand.append("a.csv", "time,ph\n1,7\n");
        stand.look();
        stand.append("a.csv", "2,8\n");
        std::fs::rename(stand.path("a.csv"), stand.path("a.csv.1")).unwrap();
        stand.append("a.csv", "time,ph\n3,9\n");
        stand.check(&[("a.csv", "time,ph\n3,9\n", None), ("a.csv", "time,ph\n2,8\n", None)]);
        stand.append("a.csv.1", "3,8\n");
        stand.append("a.csv", "4,9\n");
        stand.check(&[("a.csv", "time,ph\n4,9\n", None), ("a.csv", "time,ph\n3,8\n", None)]);
        std::fs::remove_file(stand.path("a.csv.1")).unwrap();
        stand.append("a.csv", "5,9\n");
        stand.check(&[("a.csv", "time,ph\n5,9\n", None)]);
        assert_eq!(stand.growing.known.len(), 1);
    }

    #[test]
    fn a_file_that_was_uploaded_anew_is_read_on() {
        let mut stand = Stand::new();
        stand.append("a.csv", "time,ph\n1,7\n");
        stand.look();
        stand.append("new.csv", "time,ph\n1,7\n2,8\n");
        std::fs::rename(stand.path("new.csv"), stand.path("a.csv")).unwrap();
        stand.check(&[("a.csv", "time,ph\n2,8\n", None)]);
        stand.check(&[]);
    }

    #[test]
    fn what_is_not_the_same_file_any_more_is_read_from_its_beginning() {
        for (text, anew) in [
            ("time,ph\n", Anew::Truncated),
            ("time,ec\n1,7\n2,8\n", Anew::Header),
            ("time,ph\n1,6\n2,8\n3,9\n", Anew::Replaced),
        ] {
            let mut stand = Stand::new();
            stand.append("a.csv", "time,ph\n1,7\n2,8\n");
            stand.look();
            std::fs::write(stand.path("a.csv"), text).unwrap();
            let told = stand.look();
            assert_eq!(told.len(), 1, "{text}: {told:?}");
            assert_eq!(told[0].2, Some(anew), "{text}");
            assert!(told[0].1 == text || told[0].1.is_empty(), "{told:?}");
            stand.check(&[]);
        }
    }

    #[test]
    fn a_long_file_is_read_in_parts_and_a_broken_memory_is_told() {
        let mut stand = Stand::new();
        let row = format!("{}\n", "1".repeat(99));
        stand.append("a.csv", "time,ph\n");
        for _ in 0..10 {
            stand.append("a.csv", &row.repeat(10_000));
        }
        let told = stand.look();
        assert_eq!(told.len(), 3);
        let rows: usize = told.iter().map(|(_, text, _)| text.lines().count() - 1).sum();
        assert_eq!(rows, 100_000);
        let state = stand.dir.path().join("state/x.json");
        for text in ["", "{}", r#"{"version":2,"files":[]}"#] {
            std::fs::write(&state, text).unwrap();
            assert!(Growing::open(&stand.dir.path().join("state"), "x").is_err(), "{text}");
        }
    }
}
