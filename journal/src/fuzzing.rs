//! What reads a journal's files, as a target of cargo-fuzz (`fuzz/README.md`): a segment that was written, and then
//! damaged. Whatever the damage, what reads back is a beginning of what was written, and reads back again.
//! Compiled for the fuzzer and for the tests, which run the committed corpus through the same function.

use std::path::Path;

use bytes::{Buf, Bytes};

use crate::frame::{self, Frame};
use crate::recovery::recover;
use crate::segment::Segment;
use crate::verify;

/// Records of one input: more are only slower.
const RECORDS_MAX: usize = 64;

/// `cut` u16 (bytes that are left, 0 for all), `damages` u8, each a place (u16) and what is put there (u8), and then
/// records, each after its length (u8). And the same bytes as a segment's, as they are.
pub fn journal(bytes: &[u8]) {
    let (mut rest, mut raw) = (bytes, bytes.to_vec());
    let cut = usize::from(rest.try_get_u16_le().unwrap_or(0));
    let damages = usize::from(rest.try_get_u8().unwrap_or(0) % 4);
    let damages: Vec<(u16, u8)> = (0..damages)
        .map_while(|_| Some((rest.try_get_u16_le().ok()?, rest.try_get_u8().ok()?)))
        .collect();
    let records = records(rest);
    let mut file = Vec::new();
    for (position, record) in (0..).zip(&records) {
        frame::write(&mut file, position, record);
    }
    for (at, to) in damages {
        if let Some(byte) = file.get_mut(usize::from(at)) {
            *byte = to;
        }
    }
    if cut != 0 {
        file.truncate(cut);
    }
    let found = walk(&Bytes::from(file.clone()));
    assert!(records.starts_with(&found), "what was never written reads back");
    opened(&file, found.len() as u64);
    raw.truncate(4_096);
    let found = walk(&Bytes::from(raw.clone())).len() as u64;
    opened(&raw, found);
}

fn records(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut records = Vec::new();
    while let Ok(length) = bytes.try_get_u8()
        && records.len() < RECORDS_MAX
    {
        let (record, rest) = bytes.split_at(usize::from(length).min(bytes.len()));
        bytes = rest;
        if !record.is_empty() {
            records.push(Bytes::copy_from_slice(record));
        }
    }
    records
}

/// The frames at the beginning, each written again as it stood.
fn walk(bytes: &Bytes) -> Vec<Bytes> {
    let (mut rest, mut found) = (bytes.clone(), Vec::new());
    while let Frame::Whole { record, size } = frame::read(&rest, found.len() as u64) {
        let mut again = Vec::new();
        frame::write(&mut again, found.len() as u64, &record);
        assert_eq!(again, rest[..size]);
        rest = rest.slice(size..);
        found.push(record);
    }
    found
}

/// The same as the last segment of a journal: recovery finds these records, and finds them a second time.
fn opened(frames: &[u8], count: u64) {
    let dir = Folder::new();
    let Folder(path) = &dir;
    let segment = Segment::create(path, 0).expect("a folder of our own");
    let whole = [std::fs::read(&segment.path).expect("just written"), frames.to_vec()].concat();
    std::fs::write(&segment.path, &whole).expect("room for a few kilobytes");
    for unverified in verify::segments(path).expect("a folder of our own") {
        let verified = unverified.verify(|_| ()).expect("damage is an answer");
        assert!(count <= verified.records);
    }
    let first = recover(path).expect("damage in the last segment is cut off");
    assert_eq!(first.end, count);
    let second = recover(path).expect("what is left is whole");
    assert_eq!((second.end, second.torn_bytes), (count, 0));
}

/// A folder that goes with its owner.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("fuzzed-journal-{}-{}", name.0, name.1));
        std::fs::create_dir_all(&path).expect("a folder for what is fuzzed");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(Path::new(&self.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_still_holds() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/journal");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            journal(&std::fs::read(path).unwrap());
            count += 1;
        }
        assert_ne!(count, 0, "no seeds");
    }
}
