//! What a file's name tells: its format, how it is packed, the station, and whether it is still being written.

use std::path::Path;

use domain::Format;

use crate::formats::circular10;

/// Endings of files that somebody is still writing, as SFTP and FTP clients name them.
const UNFINISHED: [&str; 6] = ["part", "partial", "filepart", "tmp", "crdownload", "swp"];

/// Is a file of this name none of ours, or not finished?
pub(super) fn is_unfinished(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    name.starts_with(['.', '~']) || UNFINISHED.iter().any(|it| it.eq_ignore_ascii_case(ending))
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    Not,
    Gzip,
    Zip,
}

/// The name without the ending that says how it is packed, and that.
pub(super) fn packed(name: &str) -> (&str, Packed) {
    let ends = |ending: &str| {
        let at = name.len().checked_sub(ending.len())?;
        name.is_char_boundary(at)
            .then(|| name.split_at(at))
            .filter(|it| it.1.eq_ignore_ascii_case(ending))
    };
    match (ends(".gz"), ends(".zip")) {
        (Some((name, _)), _) => (name, Packed::Gzip),
        (_, Some((name, _))) => (name, Packed::Zip),
        _ => (name, Packed::Not),
    }
}

/// The format that a name's ending tells.
pub(super) fn format(name: &str) -> Option<Format> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "txt" => Format::Circular10,
        "csv" | "tsv" | "dat" => Format::Table,
        "json" => Format::Json,
        "jsonl" | "ndjson" => Format::JsonLines,
        "senml" => Format::SenmlJson,
        "senmlc" => Format::SenmlCbor,
        "lp" | "influx" => Format::LineProtocol,
        _ => return None,
    })
}

/// Names that may mean the file's station, the nearest first: what stands before a Circular 10 file's time, the name
/// without its ending, and the names of the folders that it stands in, up from the nearest.
pub(super) fn stations<'a>(below: &'a Path, name: &'a str) -> impl Iterator<Item = &'a str> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let before_time = circular10::station_of(name);
    // `Tỉnh_CơSở_Trạm_…`: the last group is the station's own name.
    let last = before_time.and_then(|all| all.rsplit_once('_')).map(|(_, last)| last);
    let folders = below
        .parent()
        .into_iter()
        .flat_map(|folder| folder.components().rev().filter_map(|part| part.as_os_str().to_str()));
    before_time.into_iter().chain(last).chain([stem]).chain(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_format_and_how_it_is_packed() {
        for (name, inner, how, format) in [
            (
                "XH01_20240312050000.txt",
                "XH01_20240312050000.txt",
                Packed::Not,
                Some(Format::Circular10),
            ),
            ("a.CSV.GZ", "a.CSV", Packed::Gzip, Some(Format::Table)),
            ("hourly.dat.zip", "hourly.dat", Packed::Zip, Some(Format::Table)),
            ("a.jsonl", "a.jsonl", Packed::Not, Some(Format::JsonLines)),
            ("readme", "readme", Packed::Not, None),
            ("ạ", "ạ", Packed::Not, None),
        ] {
            assert_eq!(packed(name), (inner, how), "{name}");
            assert_eq!(super::format(inner), format, "{name}");
        }
    }

    #[test]
    fn half_written_files_are_left_alone() {
        for name in [".x.txt", "x.txt.filepart", "x.part", "x.TMP", "~x.csv"] {
            assert!(is_unfinished(name), "{name}");
        }
        assert!(!is_unfinished("x.txt") && !is_unfinished("part"));
    }

    #[test]
    fn a_station_is_looked_for_from_the_file_outward() {
        let name = "TG_XuanHoa_XH01_20240312050000.txt";
        let below = Path::new("xuan-hoa/2024/03").join(name);
        let found: Vec<_> = stations(&below, name).collect();
        assert_eq!(
            found,
            ["TG_XuanHoa_XH01", "XH01", "TG_XuanHoa_XH01_20240312050000", "03", "2024", "xuan-hoa"]
        );
        let found: Vec<_> = stations(Path::new("xuan-hoa.csv"), "xuan-hoa.csv").collect();
        assert_eq!(found, ["xuan-hoa"]);
    }
}
