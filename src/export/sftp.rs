//! A server that is reached over SSH. OpenSSH's own `sftp` speaks to it, in batch mode: with the keys, known hosts and
//! ciphers that the administrator of this machine already looks after (docs/decisions/0031).
//!
//! A batch uploads each file under another name, has the server sync it where it can, and renames it. `sftp` repeats
//! each command before it does it and stops at the first that fails, so what it repeated tells how far it came.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::config::Sftp;
use super::{Came, Page};

/// How `sftp` ends when it did not reach the server, or lost it.
const LOST: i32 = 255;

/// Sends pages, the first first; `out` is a folder of ours for what is on its way.
pub(super) async fn put(to: &Sftp, pages: &[Page], out: &Path, patience: Duration) -> Came {
    let local = |number: usize| out.join(format!("{number}.tmp"));
    let written = write_all(pages, out, &local).await;
    if let Err(error) = written {
        return Came::away(0, format!("{}: {error}", out.display()));
    }
    let script = script(to, pages, &local);
    // Each file may take as long as a step may.
    let most = patience.saturating_mul(u32::try_from(pages.len()).unwrap_or(u32::MAX).max(1));
    match tokio::time::timeout(patience + most, run(to, &script, patience)).await {
        Ok(Ok(output)) => came(pages.len(), &output),
        Ok(Err(error)) => Came::away(0, format!("sftp cannot be run: {error}")),
        Err(_) => Came::away(0, "sftp took too long"),
    }
}

async fn write_all(
    pages: &[Page],
    out: &Path,
    local: &impl Fn(usize) -> PathBuf,
) -> std::io::Result<()> {
    tokio::fs::create_dir_all(out).await?;
    for (number, page) in pages.iter().enumerate() {
        tokio::fs::write(local(number), &page.text).await?;
    }
    Ok(())
}

fn script(to: &Sftp, pages: &[Page], local: &impl Fn(usize) -> PathBuf) -> String {
    let remote = |path: &str| match to.folder.as_str() {
        "" => path.to_owned(),
        folder => format!("{}/{path}", folder.trim_end_matches('/')),
    };
    let mut lines = Vec::new();
    let mut made: Vec<String> = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        let mut folder = String::new();
        for part in page.folder.split('/').filter(|part| !part.is_empty()) {
            folder = if folder.is_empty() { part.to_owned() } else { format!("{folder}/{part}") };
            if !made.contains(&folder) {
                // It may stand there already: the dash lets it fail.
                lines.push(format!("-mkdir {}", quoted(&remote(&folder))));
                made.push(folder.clone());
            }
        }
        let (unfinished, path) = (remote(&page.unfinished()), remote(&page.path()));
        let local = local(number).display().to_string();
        lines.push(format!("put -f {} {}", quoted(&local), quoted(&unfinished)));
        lines.push(format!("rename {} {}", quoted(&unfinished), quoted(&path)));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// As `sftp` reads one word; within quotes no letter stands for several files.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

async fn run(to: &Sftp, script: &str, patience: Duration) -> std::io::Result<Output> {
    let mut command = Command::new("sftp");
    // Not `-q`: it would swallow why a server is not trusted.
    command.args(["-b", "-", "-P", &to.port.to_string()]);
    let seconds = patience.as_secs().max(1);
    for option in [
        "StrictHostKeyChecking=yes".to_owned(),
        "LogLevel=ERROR".to_owned(),
        format!("ConnectTimeout={seconds}"),
        format!("ServerAliveInterval={}", (seconds / 2).max(1)),
        "ServerAliveCountMax=2".to_owned(),
    ] {
        command.args(["-o", &option]);
    }
    if let Some(key) = &to.key_file {
        command.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
    }
    if let Some(known) = &to.known_hosts_file {
        command
            .args(["-o", &format!("UserKnownHostsFile={}", quoted(&known.display().to_string()))]);
    }
    command.arg("--").arg(format!("{}@{}", to.user, to.host));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever ends before it has read everything says why on its way out.
        drop(stdin.write_all(script.as_bytes()).await);
    }
    child.wait_with_output().await
}

/// How far `sftp` came, of so many pages.
fn came(pages: usize, output: &Output) -> Came {
    let said = String::from_utf8_lossy(&output.stdout);
    let begun: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("sftp> ")).collect();
    let renames = |lines: &[&str]| lines.iter().filter(|line| line.starts_with("rename ")).count();
    let why = String::from_utf8_lossy(&output.stderr);
    let why: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // The last line says that it is over, the one before it why.
    let why = why.get(why.len().saturating_sub(3)..).unwrap_or_default().join("; ");
    let before_last = renames(begun.get(..begun.len().saturating_sub(1)).unwrap_or_default());
    match output.status.code() {
        Some(0) => Came::all(pages),
        Some(code) if code != LOST => Came::refused(before_last.min(pages), why),
        _ => Came::away(before_last.min(pages), why),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::super::Trouble;
    use super::*;

    fn page(folder: &str, name: &str) -> Page {
        Page { folder: folder.into(), name: name.into(), text: String::new() }
    }

    #[test]
    fn a_file_gets_its_name_after_it_is_there() {
        let to = Sftp {
            host: "h".into(),
            port: 22,
            user: "u".into(),
            folder: "/in \"x\"/".into(),
            key_file: None,
            known_hosts_file: None,
        };
        let pages = [page("2026/03", "a.txt"), page("2026/03", "b.txt")];
        let local = |number| PathBuf::from(format!("/out*/{number}.txt"));
        let script = script(&to, &pages, &local);
        let wanted = [
            r#"-mkdir "/in \"x\"/2026""#,
            r#"-mkdir "/in \"x\"/2026/03""#,
            r#"put -f "/out*/0.txt" "/in \"x\"/2026/03/a.txt.part""#,
            r#"rename "/in \"x\"/2026/03/a.txt.part" "/in \"x\"/2026/03/a.txt""#,
            r#"put -f "/out*/1.txt" "/in \"x\"/2026/03/b.txt.part""#,
            r#"rename "/in \"x\"/2026/03/b.txt.part" "/in \"x\"/2026/03/b.txt""#,
            "",
        ];
        assert_eq!(script, wanted.join("\n"));
    }

    #[test]
    fn what_it_repeated_tells_how_far_it_came() {
        let all = ["put a", "rename a", "put b", "rename b"];
        for (code, lines, done, away) in [
            (0, 4, 3, None),
            (1, 0, 0, Some(false)),
            (1, 1, 0, Some(false)),
            (1, 2, 0, Some(false)),
            (1, 3, 1, Some(false)),
            (255, 0, 0, Some(true)),
            (255, 4, 1, Some(true)),
        ] {
            let said: String = all[..lines].iter().map(|line| format!("sftp> {line}\n")).collect();
            let output = Output {
                status: ExitStatus::from_raw(code << 8),
                stdout: said.into_bytes(),
                stderr: b"Permission denied\n\n".to_vec(),
            };
            let came = came(3, &output);
            assert_eq!(came.done, done, "{code} {lines}");
            assert_eq!(came.trouble.map(|it| matches!(it, Trouble::Away(_))), away);
        }
    }
}
