//! The files of the repository and the graph of its crates, as git and cargo know them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// A text file larger than this was not written by hand, so nothing in it is checked.
const SOURCE_BYTES_MAX: usize = 1 << 20;

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
}

/// The crates of the workspace.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// By name, the crates of the workspace that each uses; those of its tests not counted.
    pub uses: BTreeMap<String, BTreeSet<String>>,
    /// By name, the folder of each; empty for the root.
    pub folders: BTreeMap<String, String>,
}

/// The repository cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be run.
    #[error("cannot run `{program}`")]
    Run { program: String, source: std::io::Error },
    /// A program said no.
    #[error("`{program}` failed: {said}")]
    Said { program: String, said: String },
    /// Cargo's description of the workspace is not what it used to be.
    #[error("cannot read what `cargo metadata` says")]
    Metadata(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `null` for what the crate itself uses, else `dev` or `build`.
    kind: Option<String>,
}

/// The root of the workspace that the current folder lies in.
pub fn root() -> Result<PathBuf, Error> {
    Ok(metadata(Path::new("."))?.workspace_root)
}

/// Every text file that git tracks, or would track once added.
pub fn sources(root: &Path) -> Result<Vec<Source>, Error> {
    let listed = output(OsStr::new("git"), &["ls-files", "-z", "-co", "--exclude-standard"], root)?;
    let paths = listed.split('\0').filter(|path| !path.is_empty());
    Ok(paths.filter_map(|path| source(root, path)).collect())
}

/// Who uses whom.
pub fn graph(root: &Path) -> Result<Graph, Error> {
    Ok(Graph::of(&metadata(root)?))
}

impl Graph {
    fn of(metadata: &Metadata) -> Self {
        let members: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
        let used = |package: &Package| {
            let own = package.dependencies.iter().filter(|d| d.kind.is_none());
            own.filter(|d| members.contains(d.name.as_str())).map(|d| d.name.clone()).collect()
        };
        let folder = |package: &Package| {
            let inside = package.manifest_path.parent()?.strip_prefix(&metadata.workspace_root);
            Some(inside.ok()?.to_string_lossy().into_owned())
        };
        let packages = &metadata.packages;
        Self {
            uses: packages.iter().map(|p| (p.name.clone(), used(p))).collect(),
            folders: packages.iter().filter_map(|p| Some((p.name.clone(), folder(p)?))).collect(),
        }
    }
}

/// A file that is gone, is no text or is too large is no source.
fn source(root: &Path, path: &str) -> Option<Source> {
    let bytes = std::fs::read(root.join(path)).ok()?;
    if SOURCE_BYTES_MAX < bytes.len() || bytes.contains(&0) {
        return None;
    }
    Some(Source { path: path.to_owned(), text: String::from_utf8(bytes).ok()? })
}

fn metadata(folder: &Path) -> Result<Metadata, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let said = output(&cargo, &["metadata", "--no-deps", "--format-version", "1"], folder)?;
    Ok(serde_json::from_str(&said)?)
}

fn output(program: &OsStr, words: &[&str], folder: &Path) -> Result<String, Error> {
    let name = || format!("{} {}", program.to_string_lossy(), words.join(" "));
    let run = Command::new(program).args(words).current_dir(folder).output();
    let done = run.map_err(|source| Error::Run { program: name(), source })?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(Error::Said { program: name(), said });
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_crate_itself_uses_of_the_workspace_is_counted() {
        let metadata: Metadata = serde_json::from_str(
            r#"{"workspace_root": "/r", "packages": [
                {"name": "domain", "manifest_path": "/r/domain/Cargo.toml", "dependencies": []},
                {"name": "root", "manifest_path": "/r/Cargo.toml", "dependencies": [
                    {"name": "domain", "kind": null}, {"name": "serde", "kind": null},
                    {"name": "portal", "kind": "dev"}]},
                {"name": "portal", "manifest_path": "/r/portal/Cargo.toml", "dependencies": []}]}"#,
        )
        .unwrap();
        let graph = Graph::of(&metadata);
        assert_eq!(graph.uses["root"], BTreeSet::from(["domain".to_owned()]));
        assert_eq!(
            (graph.folders["root"].as_str(), graph.folders["portal"].as_str()),
            ("", "portal")
        );
    }
}
