//! The fields that packets are made of (section 1.5 of both specifications), read one after the other. What is cut
//! short or is not text where text must stand is malformed; nothing is allocated.

use super::Bad;

/// What of a packet has not been read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

const SHORT: Bad = Bad::Malformed("a field crosses the packet's end");

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), Bad> {
        self.rest = self.rest.get(count..).ok_or(SHORT)?;
        Ok(())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Bad> {
        let (&byte, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(byte)
    }

    pub(super) fn two(&mut self) -> Result<u16, Bad> {
        let (raw, rest) = self.rest.split_first_chunk::<2>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*raw))
    }

    /// A packet id, which is never 0.
    pub(super) fn packet_id(&mut self) -> Result<u16, Bad> {
        match self.two()? {
            0 => Err(Bad::Malformed("packet id 0")),
            id => Ok(id),
        }
    }

    /// Bytes after their two-byte length.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Bad> {
        let length = usize::from(self.two()?);
        let bytes = self.rest.get(..length).ok_or(SHORT)?;
        self.rest = &self.rest[length..];
        Ok(bytes)
    }

    /// A UTF-8 string after its two-byte length: no NUL, and no surrogates, which Rust's `str` cannot hold anyway.
    pub(super) fn text(&mut self) -> Result<&'a str, Bad> {
        let text = self.wide_text()?;
        if text.contains('\0') {
            return Err(Bad::Malformed("text holds a NUL"));
        }
        Ok(text)
    }

    /// The same for topics, where a NUL is found together with the wildcards.
    pub(super) fn wide_text(&mut self) -> Result<&'a str, Bad> {
        let raw = self.binary()?;
        std::str::from_utf8(raw).map_err(|_| Bad::Malformed("text is not UTF-8"))
    }

    /// Nothing may follow.
    pub(super) const fn end(self) -> Result<(), Bad> {
        if self.rest.is_empty() { Ok(()) } else { Err(Bad::Malformed("bytes after the end")) }
    }
}
