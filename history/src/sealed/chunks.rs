//! Column chunks in memory, standing for the file that they come from.

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Checked column chunks, standing for the file that they come from.
pub(super) struct Chunks {
    pub(super) length: u64,
    /// Where each begins, and its bytes.
    pub(super) parts: Vec<(u64, Bytes)>,
}

impl Chunks {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let holds = |part: &&(u64, Bytes)| part.0 <= start && start - part.0 < part.1.len() as u64;
        let found = self.parts.iter().find(holds).and_then(|(first, bytes)| {
            usize::try_from(start - first).ok().map(|skip| bytes.slice(skip..))
        });
        found.ok_or_else(|| ParquetError::EOF(format!("offset {start} is in no column chunk")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.from(start).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} leave their chunk")));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}
