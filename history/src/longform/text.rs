//! Lines of a text, each by itself, so that what is wrong with one says nothing of the next. The bytes of a line that is
//! too long are let go as they come.

use std::io::{self, BufRead, BufReader, Read};

use super::LINE_BYTES_MAX;

/// The lines of a stream.
pub(super) struct TextLines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

/// A line that is longer than a line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

impl<R: Read> TextLines<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { reader: BufReader::with_capacity(1 << 17, inner), line: Vec::new(), number: 0 }
    }

    /// How many lines were read.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end; `None` behind the last.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Result<&[u8], TooLong>>> {
        self.line.clear();
        let (mut any, mut long) = (false, false);
        loop {
            let chunk = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = memchr(chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if LINE_BYTES_MAX < self.line.len() + part.len() {
                long = true;
            } else {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
            self.line.drain(..3);
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        Ok(Some(if long { Err(TooLong) } else { Ok(line) }))
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_comes_by_itself_and_a_long_one_costs_no_other() {
        let long = "x".repeat(LINE_BYTES_MAX * 3);
        let text = format!("\u{feff}a,b\r\n\n{long}\nlast");
        let mut lines = TextLines::new(text.as_bytes());
        let mut read = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            read.push(line.map(|line| String::from_utf8_lossy(line).into_owned()));
        }
        let wanted = [Ok("a,b"), Ok(""), Err(TooLong), Ok("last")];
        assert_eq!(read, wanted.map(|line| line.map(str::to_owned)));
        assert_eq!(lines.number(), 4);
    }
}
