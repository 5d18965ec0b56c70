//! From a file to blocks: its directory once, then the page of the station that is asked for.

use domain::{ParameterCode, StationCode};

use super::block::Block;
use super::level::Level;
use super::pack::{take_byte, take_varint};

/// The metadata key that says where pages and directory are.
pub(crate) const KEY: &str = "saltline.rollup";
const VERSION: &str = "1";

/// Where a file's pages are, as its metadata says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) pages: u64,
    pub(crate) directory: u64,
    crc: u32,
}

impl Place {
    /// Of these pages and this directory, the first of them at `offset`.
    pub(crate) fn of(offset: u64, pages: &[u8], directory: &[u8]) -> Self {
        let crc = crc32fast::hash(directory);
        Self { offset, pages: pages.len() as u64, directory: directory.len() as u64, crc }
    }

    pub(crate) fn written(self) -> String {
        let Self { offset, pages, directory, crc } = self;
        format!("{VERSION} {offset} {pages} {directory} {crc:08x}")
    }

    /// `None` of a version that is not known: then there is nothing to read.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix(VERSION)?.split_ascii_whitespace();
        let mut number = || words.next()?.parse().ok();
        let (offset, pages, directory) = (number()?, number()?, number()?);
        let crc = u32::from_str_radix(words.next()?, 16).ok()?;
        words.next().is_none().then_some(Self { offset, pages, directory, crc })
    }
}

/// Which stations a file has rows of, and where their pages are.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    station: StationCode,
    offset: u64,
    length: usize,
    crc: u32,
}

/// A page: where it is and what its checksum must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) offset: u64,
    pub(crate) length: usize,
    crc: u32,
}

impl Directory {
    /// What the bytes say; the fault where they are no directory.
    pub(crate) fn decode(place: Place, bytes: &[u8]) -> Result<Self, String> {
        if crc32fast::hash(bytes) != place.crc {
            return Err("the checksum of the roll-ups' directory is wrong".to_owned());
        }
        let mut entries: Vec<Entry> = Vec::new();
        let (mut from, mut offset) = (bytes, place.offset);
        let end = place.offset.saturating_add(place.pages);
        while !from.is_empty() {
            let entry = Entry::take(&mut from, offset).filter(|entry| {
                offset = offset.saturating_add(entry.length as u64);
                offset <= end && entries.last().is_none_or(|last| last.station < entry.station)
            });
            entries.push(entry.ok_or("the roll-ups' directory cannot be read")?);
        }
        Ok(Self { entries })
    }

    /// The page of a station; `None` where the file has no row of it.
    pub(crate) fn page(&self, station: &str) -> Option<Page> {
        let at = self.entries.binary_search_by(|entry| entry.station.as_str().cmp(station));
        at.ok().map(|at| self.entries[at].page())
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = Page> {
        self.entries.iter().map(Entry::page)
    }
}

impl Entry {
    fn take(from: &mut &[u8], offset: u64) -> Option<Self> {
        let length = usize::from(take_byte(from)?);
        let (code, rest) = from.split_at_checked(length)?;
        *from = rest;
        let station = StationCode::new(std::str::from_utf8(code).ok()?).ok()?;
        let length = usize::try_from(take_varint(from)?).ok()?;
        let (crc, rest) = from.split_first_chunk::<4>()?;
        *from = rest;
        Some(Self { station, offset, length, crc: u32::from_le_bytes(*crc) })
    }

    fn page(&self) -> Page {
        Page { offset: self.offset, length: self.length, crc: self.crc }
    }
}

impl Page {
    /// The block of a series, where the page has one.
    pub(crate) fn block(
        self,
        mut bytes: &[u8],
        parameters: &[ParameterCode],
        (parameter, level): (&str, Level),
    ) -> Result<Option<Block>, String> {
        self.check(bytes)?;
        let broken = || "a page of roll-ups cannot be read".to_owned();
        while !bytes.is_empty() {
            let (place, of, block) = entry(&mut bytes).ok_or_else(broken)?;
            let code = parameters.get(place).ok_or_else(broken)?;
            if code.as_str() == parameter && of == level {
                return Block::decode(block).map(Some).ok_or_else(broken);
            }
        }
        Ok(None)
    }

    /// Reads the whole page.
    pub(crate) fn verify(self, mut bytes: &[u8], parameters: usize) -> Result<(), String> {
        self.check(bytes)?;
        while !bytes.is_empty() {
            let sound = entry(&mut bytes).is_some_and(|(place, _, block)| {
                place < parameters && Block::decode(block).is_some()
            });
            if !sound {
                return Err("a page of roll-ups cannot be read".to_owned());
            }
        }
        Ok(())
    }

    fn check(self, bytes: &[u8]) -> Result<(), String> {
        if crc32fast::hash(bytes) == self.crc {
            return Ok(());
        }
        Err(format!("the checksum of the roll-ups at byte {} is wrong", self.offset))
    }
}

fn entry<'a>(bytes: &mut &'a [u8]) -> Option<(usize, Level, &'a [u8])> {
    let place = usize::try_from(take_varint(bytes)?).ok()?;
    let level = Level::of_number(take_byte(bytes)?)?;
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    let (block, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some((place, level, block))
}
