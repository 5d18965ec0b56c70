//! An image in pieces, each numbered from 0, all of one size but the last. On the wire a piece has a head, so that it
//! cannot be taken for another one and a damaged one is noticed before the whole image is there:
//!
//! ```text
//! the first 8 bytes of the image's SHA-256 · its number u32 · CRC-32 (IEEE) of the bytes u32, both big-endian · bytes
//! ```

use std::ops::Range;

use domain::Digest;

/// Bytes before those of the image.
pub const HEADER_BYTES: usize = 16;

/// The smallest chunk: below it, the packet around it takes more than a tenth.
pub const CHUNK_BYTES_MIN: u32 = 512;

/// The largest chunk: four seconds of a line of 64 kbit/s, all of which is lost when the line breaks.
pub const CHUNK_BYTES_MAX: u32 = 32 * 1024;

/// How an image is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    size: u64,
    chunk: u32,
}

impl Chunks {
    /// An image of `size` bytes in chunks of `chunk`, at least one.
    #[must_use]
    pub const fn new(size: u64, chunk: u32) -> Self {
        Self { size, chunk: if chunk == 0 { 1 } else { chunk } }
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> u32 {
        u32::try_from(self.size.div_ceil(u64::from(self.chunk))).unwrap_or(u32::MAX)
    }

    /// Where the chunk with this number stands in the image; `None` where there is none.
    #[must_use]
    pub fn place(self, number: u32) -> Option<Range<u64>> {
        let from = u64::from(number) * u64::from(self.chunk);
        let to = (from + u64::from(self.chunk)).min(self.size);
        (from < to).then_some(from..to)
    }
}

/// A chunk as it goes over the wire.
#[must_use]
pub fn frame(digest: &Digest, number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + bytes.len());
    out.extend_from_slice(&digest.0[..8]);
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&crc32fast::hash(bytes).to_be_bytes());
    out.extend_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_image_once_and_nothing_beyond() {
        for (size, chunk) in [(1, 4096), (4096, 4096), (4097, 4096), (10_000, 512), (0, 512)] {
            let chunks = Chunks::new(size, chunk);
            let places: Vec<_> = (0..chunks.count()).filter_map(|n| chunks.place(n)).collect();
            assert_eq!(places.len(), chunks.count() as usize);
            let mut end = 0;
            for place in places {
                assert_eq!(place.start, end);
                end = place.end;
            }
            assert_eq!(end, size);
            assert_eq!(chunks.place(chunks.count()), None);
            assert_eq!(chunks.place(u32::MAX), None);
        }
    }

    #[test]
    fn a_frame_says_of_which_image_which_part_it_is() {
        let framed = frame(&Digest([7; 32]), 0x0102, b"123456789");
        // 0xcbf43926 is the check value of CRC-32.
        let wanted = [[7; 8].as_slice(), &[0, 0, 1, 2, 0xcb, 0xf4, 0x39, 0x26], b"123456789"];
        assert_eq!(framed, wanted.concat());
    }
}
