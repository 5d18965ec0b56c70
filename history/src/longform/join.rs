//! Parquet files of one form as one file: their row groups are copied as they are, nothing is unpacked.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::write::failed;

/// Writes the row groups of `parts`, in their order, to `out`. All were written by [`super::Writer`].
///
/// # Errors
/// What the disk says, and where a part is not whole.
pub fn join<P: AsRef<Path>, W: Write + Send>(parts: &[P], out: W) -> io::Result<W> {
    let mut parts = parts.iter();
    let Some(first) = parts.next() else { return Ok(out) };
    let (meta, file) = open(first.as_ref())?;
    let mut writer = begin(&meta, out).map_err(failed)?;
    copy(&meta, &file, &mut writer).map_err(failed)?;
    for part in parts {
        let (meta, file) = open(part.as_ref())?;
        copy(&meta, &file, &mut writer).map_err(failed)?;
    }
    let mut out = writer.into_inner().map_err(failed)?;
    out.flush()?;
    Ok(out)
}

fn open(part: &Path) -> io::Result<(ParquetMetaData, File)> {
    let file = File::open(part)?;
    let reading = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
    Ok((reading.parse_and_finish(&file).map_err(failed)?, file))
}

fn begin<W: Write + Send>(
    meta: &ParquetMetaData,
    out: W,
) -> Result<SerializedFileWriter<W>, ParquetError> {
    let file = meta.file_metadata();
    // Arrow's own schema is among them: that times are of UTC.
    let said = file.key_value_metadata().cloned();
    let properties = WriterProperties::builder().set_key_value_metadata(said).build();
    let schema = file.schema_descr().root_schema_ptr();
    SerializedFileWriter::new(out, schema, Arc::new(properties))
}

fn copy<W: Write + Send>(
    meta: &ParquetMetaData,
    file: &File,
    writer: &mut SerializedFileWriter<W>,
) -> Result<(), ParquetError> {
    for (number, group) in meta.row_groups().iter().enumerate() {
        let mut to = writer.next_row_group()?;
        for (place, column) in group.columns().iter().enumerate() {
            let pages = meta.page_index();
            let column_index = pages.and_then(|it| it.column_index(number, place)).cloned();
            let offset_index = pages.and_then(|it| it.offset_index(number, place)).cloned();
            let closed = ColumnCloseResult {
                bytes_written: column.compressed_size().unsigned_abs(),
                rows_written: group.num_rows().unsigned_abs(),
                metadata: column.clone(),
                bloom_filter: None,
                column_index,
                offset_index,
            };
            to.append_column(file, closed)?;
        }
        to.close()?;
    }
    Ok(())
}
