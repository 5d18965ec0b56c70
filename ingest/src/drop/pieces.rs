//! A file in pieces that are each read, committed and let go, so that a large file costs the memory of a piece. Pieces
//! end with a line; a piece of a table has the table's header before it.

use bytes::{BufMut, Bytes, BytesMut};

use domain::Format;

/// A piece is about so large: some 5,000 reports, which take longer to read than to sync.
const PIECE_BYTES: usize = 256 << 10;

/// A piece, and what has to be added to a line's number in it to be the line's number in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) lines_before: i64,
}

/// The pieces of a file.
pub(super) fn pieces(format: Format, file: &Bytes) -> Vec<Piece> {
    cut(format, file, PIECE_BYTES)
}

fn cut(format: Format, file: &Bytes, piece_bytes: usize) -> Vec<Piece> {
    let head = match format {
        Format::Table => header(file),
        Format::Circular10 | Format::JsonLines | Format::LineProtocol => 0,
        _ => return vec![Piece { bytes: file.clone(), lines_before: 0 }],
    };
    let head_lines = count(&file[..head]);
    let mut pieces = Vec::new();
    let (mut at, mut lines) = (head, head_lines);
    loop {
        let end = match file.get(at + piece_bytes..) {
            None => file.len(),
            Some(rest) => match rest.iter().position(|&byte| byte == b'\n') {
                Some(place) => at + piece_bytes + place + 1,
                None => file.len(),
            },
        };
        let bytes = if pieces.is_empty() || head == 0 {
            let start = if pieces.is_empty() { 0 } else { at };
            file.slice(start..end)
        } else {
            let mut with_head = BytesMut::with_capacity(head + end - at);
            with_head.put_slice(&file[..head]);
            with_head.put_slice(&file[at..end]);
            with_head.freeze()
        };
        let own =
            if pieces.is_empty() { 0 } else { lines - if head == 0 { 0 } else { head_lines } };
        pieces.push(Piece { bytes, lines_before: own });
        lines += count(&file[at..end]);
        at = end;
        if at == file.len() {
            return pieces;
        }
    }
}

/// Where a table's rows begin: behind its first line, or behind TOA5's four.
pub(super) fn header(file: &[u8]) -> usize {
    let start = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let lines = if start.starts_with(b"\"TOA5\"") || start.starts_with(b"TOA5") { 4 } else { 1 };
    let ends = file.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(place, _)| place + 1).nth(lines - 1).unwrap_or(file.len())
}

fn count(bytes: &[u8]) -> i64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as i64
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::formats::shape::Shape;

    /// Each part's line, and what it says.
    fn told(format: Format, pieces: &[Piece]) -> Vec<(i64, Option<f64>)> {
        let mut all = Vec::new();
        for piece in pieces {
            let Ok(parts) = Shape::from(format).read(&piece.bytes, Timestamp::default()) else {
                continue;
            };
            for part in parts {
                let value = part.report.ok().and_then(|report| report.values[0].value);
                all.push((i64::try_from(part.line.unwrap()).unwrap() + piece.lines_before, value));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn in_pieces_a_file_says_the_same(rows in 0..60_usize, piece in 1..300_usize, bad in 0..60_usize) {
            let mut table = String::from("time,ph\r\n");
            let mut lines = String::new();
            for n in 0..rows {
                let value = if n == bad { "x".to_owned() } else { n.to_string() };
                table += &format!("2024-03-12T05:00:00Z,{value}\r\n");
                // Each at a time of its own: lines of one time are one report.
                lines += &format!("ph value={value} {n}\n");
            }
            for (format, text) in [(Format::Table, table), (Format::LineProtocol, lines)] {
                let file = Bytes::from(text);
                let whole = [Piece { bytes: file.clone(), lines_before: 0 }];
                prop_assert_eq!(told(format, &cut(format, &file, piece)), told(format, &whole));
            }
        }
    }

    #[test]
    fn what_has_no_lines_is_one_piece() {
        let file = Bytes::from(vec![b'\n'; 1_000]);
        assert_eq!(cut(Format::SenmlCbor, &file, 10).len(), 1);
        assert_eq!(cut(Format::Circular10, &Bytes::new(), 10).len(), 1);
        let toa5 = b"\"TOA5\",x\n\"a\"\n\"b\"\n\"c\"\n1\n";
        assert_eq!(header(toa5), toa5.len() - 2);
        assert_eq!(header(b"time,ph"), 7);
    }
}
