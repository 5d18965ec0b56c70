//! A folder of this machine: each file under another name until it is whole and on disk, then under its own.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::{Came, Page};

/// Writes pages, the first first. Blocking.
pub(super) fn put(dir: &Path, pages: &[Page]) -> Came {
    // A share that is not mounted is no folder that a file is missing from.
    if !dir.is_dir() {
        return Came::away(0, format!("`{}` is no folder", dir.display()));
    }
    for (done, page) in pages.iter().enumerate() {
        match put_one(dir, page) {
            Ok(()) => {}
            Err(error) if is_of_the_name(&error) => return Came::refused(done, error),
            Err(error) => return Came::away(done, error),
        }
    }
    Came::all(pages.len())
}

/// Does something stand in this file's way, and in no other's?
fn is_of_the_name(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
    matches!(error.kind(), AlreadyExists | IsADirectory | NotADirectory)
}

fn put_one(dir: &Path, page: &Page) -> io::Result<()> {
    let (unfinished, path) = (dir.join(page.unfinished()), dir.join(page.path()));
    let folder = path.parent().unwrap_or(dir);
    std::fs::create_dir_all(folder)?;
    let mut file = File::create(&unfinished)?;
    file.write_all(page.text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(folder: &str, name: &str, text: &str) -> Page {
        Page { folder: folder.into(), name: name.into(), text: text.into() }
    }

    #[test]
    fn a_file_stands_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let pages =
            [page("", "a.txt", "1"), page("2026/03/12", "b.txt", "2"), page("", "a.txt", "3")];
        let came = put(dir.path(), &pages);
        assert!(came.done == 3 && came.trouble.is_none(), "{came:?}");
        assert_eq!(std::fs::read_to_string(dir.path().join("a.txt")).unwrap(), "3");
        assert_eq!(std::fs::read_to_string(dir.path().join("2026/03/12/b.txt")).unwrap(), "2");
        std::fs::create_dir(dir.path().join("c.txt")).unwrap();
        let came = put(
            dir.path(),
            &[page("", "d.txt", "4"), page("", "c.txt", "5"), page("", "e.txt", "6")],
        );
        assert!(came.done == 1 && matches!(came.trouble, Some(super::super::Trouble::Refused(_))));
        let gone = put(&dir.path().join("nowhere"), &pages);
        assert!(gone.done == 0 && matches!(gone.trouble, Some(super::super::Trouble::Away(_))));
    }
}
