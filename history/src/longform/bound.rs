//! A stream that ends with an error where it would give more than is allowed: a small packed file may hold very much.

use std::io::{self, Read};

/// A bounded stream.
pub(super) struct Bound<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R> Bound<R> {
    pub(super) fn new(inner: R, most: u64) -> Self {
        Self { inner, left: most, most }
    }
}

impl<R: Read> Read for Bound<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let why = format!("unpacked it has more than {} bytes", self.most);
            io::Error::new(io::ErrorKind::FileTooLarge, why)
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_comes_and_one_byte_more_does_not() {
        let mut out = Vec::new();
        assert_eq!(Bound::new(&[1_u8; 9][..], 9).read_to_end(&mut out).unwrap(), 9);
        let error = Bound::new(&[1_u8; 10][..], 9).read_to_end(&mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
