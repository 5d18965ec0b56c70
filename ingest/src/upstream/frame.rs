//! Where a packet ends, read before anything else of it.

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// More bytes are needed.
    Torn,
    /// A length of more than four bytes.
    Bad,
    /// Bytes of the fixed header, and of what follows it.
    Whole { head: usize, body: usize },
}

/// Reads the fixed header.
pub(super) fn header(bytes: &[u8]) -> Header {
    let mut body = 0;
    for at in 0..4 {
        let Some(&byte) = bytes.get(1 + at) else { return Header::Torn };
        body |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Header::Whole { head: 2 + at, body };
        }
    }
    Header::Bad
}
