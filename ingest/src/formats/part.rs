//! A packet of many lines, taken apart: each part is believed or refused by itself, and the sender is told which line
//! it was.

use bytes::Bytes;
use domain::{Refusal, Report};

/// One report of a packet, or why a part of the packet is none.
#[derive(Debug)]
pub struct Part<'a> {
    /// The part's first line, counted from 1; `None` where the format has no lines.
    pub line: Option<u64>,
    /// What it cannot be read without: the header of its table. Empty where it stands alone.
    pub head: &'a [u8],
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The station that the part names, where it names one.
    pub station: Option<String>,
    /// What it says.
    pub report: Result<Report<'a>, Refusal>,
}

impl<'a> Part<'a> {
    /// A part of a format without lines; `bytes` are the whole packet's.
    pub(crate) const fn whole(bytes: &'a [u8], report: Report<'a>) -> Self {
        Self { line: None, head: &[], bytes, station: None, report: Ok(report) }
    }

    /// A part that begins at a line.
    pub(crate) const fn at(
        line: u64,
        bytes: &'a [u8],
        report: Result<Report<'a>, Refusal>,
    ) -> Self {
        Self { line: Some(line), head: &[], bytes, station: None, report }
    }

    /// What is kept where it is refused: enough to be read again.
    #[must_use]
    pub fn kept(&self) -> Bytes {
        match self.head {
            [] => Bytes::copy_from_slice(self.bytes),
            head => Bytes::from([head, b"\n", self.bytes].concat()),
        }
    }
}

/// The lines of a text with their numbers, whatever ends them, without byte order marks (files that were put behind each
/// other have several) and empty lines.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (1..).zip(text.split(|&byte| byte == b'\n').map(trimmed)).filter(|(_, line)| !line.is_empty())
}

fn trimmed(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_prefix(b"\xef\xbb\xbf") {
        line = rest;
    }
    line.trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_with_the_empty_ones() {
        let found: Vec<_> = lines(b"\xef\xbb\xbfa\tb\t\r\n\n c\r\nd").collect();
        assert_eq!(found, [(1, &b"a\tb"[..]), (3, b" c"), (4, b"d")]);
        assert_eq!(lines(b"").count() + lines(b"\r\n").count(), 0);
        let joined: Vec<_> = lines(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n").collect();
        assert_eq!(joined, [(1, &b"a"[..]), (2, b"b")]);
    }
}
