//! Files out of their packing, within a bound: a small archive may hold very much.

use std::io::{Cursor, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::name::{self, Packed};

/// Files that one archive may hold: a month of five-minute files is 8,928.
const ENTRIES_MAX: usize = 10_000;

/// A file and its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

/// The files in a file. The error is a sentence for whoever left it.
pub(super) fn unpack(file: &str, bytes: Bytes, bytes_max: u64) -> Result<Vec<Unpacked>, String> {
    let (inner, packed) = name::packed(file);
    match packed {
        Packed::Not => Ok(vec![Unpacked { name: file.to_owned(), bytes }]),
        Packed::Gzip => {
            let bytes = all(MultiGzDecoder::new(&bytes[..]), bytes_max)
                .map_err(|why| format!("gzip: {why}"))?;
            Ok(vec![Unpacked { name: inner.to_owned(), bytes }])
        }
        Packed::Zip => unzip(&bytes, bytes_max).map_err(|why| format!("zip: {why}")),
    }
}

fn unzip(bytes: &[u8], bytes_max: u64) -> Result<Vec<Unpacked>, String> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    if ENTRIES_MAX < archive.len() {
        return Err(format!("{} files; {ENTRIES_MAX} are possible", archive.len()));
    }
    let (mut files, mut left) = (Vec::new(), bytes_max);
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| error.to_string())?;
        let path = entry.name().map_err(|error| error.to_string())?.into_owned();
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        if entry.is_dir() || name::is_unfinished(&name) {
            continue;
        }
        let bytes = all(entry, left).map_err(|why| format!("{name}: {why}"))?;
        left -= bytes.len() as u64;
        files.push(Unpacked { name, bytes });
    }
    Ok(files)
}

fn all(from: impl Read, bytes_max: u64) -> Result<Bytes, String> {
    let mut out = Vec::new();
    // One more than is possible, to see that there is more.
    let read = from.take(bytes_max.saturating_add(1)).read_to_end(&mut out);
    match read {
        Ok(_) if bytes_max < out.len() as u64 => {
            Err(format!("unpacked it has more than {bytes_max} bytes"))
        }
        Ok(_) => Ok(Bytes::from(out)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        Bytes::from(encoder.finish().unwrap())
    }

    fn zip(files: &[(&str, &[u8])]) -> Bytes {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        Bytes::from(writer.finish().unwrap().into_inner())
    }

    #[test]
    fn what_is_packed_comes_out_under_its_own_name() {
        let one = |name: &str, bytes: &'static [u8]| Unpacked {
            name: name.to_owned(),
            bytes: Bytes::from_static(bytes),
        };
        assert_eq!(unpack("a.txt", Bytes::from_static(b"x"), 9), Ok(vec![one("a.txt", b"x")]));
        assert_eq!(unpack("a.txt.gz", gzip(b"x"), 9), Ok(vec![one("a.txt", b"x")]));
        let archive = zip(&[("2024/a.txt", b"x"), ("b.csv", b"y"), (".hidden", b"z")]);
        assert_eq!(unpack("all.zip", archive, 9), Ok(vec![one("a.txt", b"x"), one("b.csv", b"y")]));
    }

    #[test]
    fn what_is_too_much_or_broken_is_told() {
        let zeros = vec![0; 10_000];
        for (name, bytes) in [
            ("a.gz", gzip(&zeros)),
            ("a.zip", zip(&[("a", &zeros)])),
            ("a.zip", zip(&[("a", &zeros[..600]), ("b", &zeros[..600])])),
            ("a.gz", Bytes::from_static(b"no")),
            ("a.zip", Bytes::from_static(b"no")),
        ] {
            assert!(unpack(name, bytes, 1_000).is_err(), "{name}");
        }
    }
}
