//! An export that may be interrupted. What is whole of it, month by month, lies in a hidden folder beside the file, with
//! a note of how far it is; the same export goes on from there. The months that were whole stay as they are, and the rest
//! is what was known when it began.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use domain::StationCode;
use history::longform::{Form, Writer, join};
use serde::{Deserialize, Serialize};

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Note {
    /// What was asked: another export does not go on with it.
    asked: String,
    /// When it began, milliseconds since 1970.
    pub(super) began: i64,
    /// The first instant that is not whole, milliseconds since 1970; none where nothing is.
    pub(super) until: Option<i64>,
    /// Of a text: bytes that are whole.
    bytes: u64,
    /// Of Parquet: files that are whole.
    parts: u32,
    pub(super) readings: u64,
    pub(super) changed: usize,
    pub(super) stations: BTreeSet<String>,
}

/// What is in hand of it.
pub(super) struct Begun {
    folder: PathBuf,
    form: Form,
    pub(super) note: Note,
    /// Is it one that was interrupted?
    pub(super) again: bool,
    /// One was, and asked for something else.
    pub(super) other: bool,
}

impl Begun {
    /// Takes up the export to `path`, or begins it.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn open(path: &Path, form: Form, asked: &str, now: i64) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".export");
        let folder = path.with_file_name(name);
        let there = folder.is_dir();
        let left = fs::read(folder.join("note.json")).ok();
        let left = left.and_then(|text| serde_json::from_slice::<Note>(&text).ok());
        if let Some(note) = left.filter(|note| note.asked == asked && note.until.is_some()) {
            return Ok(Self { folder, form, note, again: true, other: false });
        }
        if there {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        let note = Note { asked: asked.to_owned(), began: now, ..Note::default() };
        Ok(Self { folder, form, note, again: false, other: there })
    }

    /// Where the next month goes.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn month(&self) -> io::Result<Writer<BufWriter<File>>> {
        let buffered = |file| BufWriter::with_capacity(1 << 18, file);
        if self.form == Form::Parquet {
            return Writer::begin(self.form, buffered(File::create(self.part(self.note.parts))?));
        }
        let mut file =
            File::options().create(true).write(true).truncate(false).open(self.text())?;
        // What is behind it was not whole.
        file.set_len(self.note.bytes)?;
        file.seek(SeekFrom::End(0))?;
        match self.note.bytes {
            0 => Writer::begin(self.form, buffered(file)),
            _ => Ok(Writer::go_on(self.form, buffered(file))),
        }
    }

    /// The month is whole, and is noted so.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn whole(
        &mut self,
        until: i64,
        writer: Writer<BufWriter<File>>,
        stations: &BTreeSet<StationCode>,
    ) -> io::Result<()> {
        let file = writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        match self.form {
            Form::Parquet => self.note.parts += 1,
            _ => self.note.bytes = file.metadata()?.len(),
        }
        self.note.until = Some(until);
        self.note.stations.extend(stations.iter().map(ToString::to_string));
        let fresh = self.folder.join("note.json.new");
        let mut note = File::create(&fresh)?;
        note.write_all(&serde_json::to_vec(&self.note)?)?;
        note.sync_all()?;
        fs::rename(&fresh, self.folder.join("note.json"))?;
        File::open(&self.folder)?.sync_all()
    }

    /// All of it is whole: it gets its name, unless something has it by now.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn finish(self, path: &Path) -> io::Result<()> {
        let whole = match self.form {
            Form::Parquet => {
                let parts: Vec<PathBuf> = (0..self.note.parts).map(|n| self.part(n)).collect();
                let whole = self.folder.join("whole.parquet");
                let out = join(&parts, BufWriter::new(File::create(&whole)?))?;
                out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
                whole
            }
            _ => self.text(),
        };
        // A link fails where the name is taken; a rename would write over it.
        fs::hard_link(whole, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        fs::remove_dir_all(&self.folder)
    }

    fn text(&self) -> PathBuf {
        self.folder.join("rows")
    }

    fn part(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:04}.parquet"))
    }
}
