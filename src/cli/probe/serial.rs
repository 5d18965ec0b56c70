//! `saltline probe serial [PORT]`: lists the serial ports; or shows the lines that a logger writes, which profiles would
//! read them, and a profile of what can be found.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ingest::line::ports;
use ingest::serial::{Guess, Heard, Judged, Listening, Profile, Profiles, guess, hear_lines};
use serde_json::json;

use super::port::{Port, name_of, place, write};
use crate::cli::output::{self, Format, Row};
use crate::cli::{Trouble, span_arg};

/// A logger on a port that no engine holds.
#[derive(Args)]
pub struct Serial {
    /// Where: serial:///dev/serial/by-id/…, its path alone, or tcp://host:port. Without it the ports are listed.
    port: Option<String>,
    #[command(flatten)]
    how: Port,
    /// What is said first, to a logger that has to be asked, as '1R\r\n'.
    #[arg(long, default_value = "", value_parser = unescaped, requires = "port")]
    ask: String,
    /// The logger's address, for profiles that ask for one.
    #[arg(long, default_value = "")]
    address: String,
    /// For how long it is listened to.
    #[arg(long = "for", default_value = "10s", value_parser = span_arg)]
    long: Duration,
    /// Lines that are enough.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    lines: u16,
    /// Write a profile of what can be found into this file.
    #[arg(long, value_name = "FILE", requires = "port")]
    profile: Option<PathBuf>,
}

impl Serial {
    /// Does it.
    pub async fn run(self, format: Format) -> Result<(), Trouble> {
        let Some(port) = &self.port else { return list(format) };
        let listening = Listening {
            place: place(port)?,
            serial: self.how.serial()?,
            ask: self.ask.clone().into_bytes(),
            long: self.long,
            lines: self.lines.into(),
        };
        let heard = hear_lines(&listening).await;
        let heard = heard.map_err(|error| Trouble::No(format!("{port}: {error}")))?;
        output::rows(format, &heard.iter().map(row).collect::<Vec<_>>())?;
        // The first of a stream may be half a line.
        let whole = |heard: &Heard| match heard {
            Heard::Line(line) => Some(line.clone()),
            _ => None,
        };
        let lines: Vec<Vec<u8>> = heard.iter().filter_map(whole).collect();
        if lines.is_empty() {
            let why =
                if heard.is_empty() { "nothing was heard" } else { "no whole line was heard" };
            return Err(Trouble::No(format!("{why}; try another --baud, or --ask")));
        }
        self.told(&lines)?;
        let device = format!("unknown, at {port}");
        match (guess(&lines, &self.ask, &device), &self.profile) {
            (None, _) => Err(Trouble::No("the lines have nothing in common".to_owned())),
            (Some(found), file) => {
                found.found.iter().for_each(|found| eprintln!("{found}"));
                file.as_ref().map_or(Ok(()), |file| keep(file, &found))
            }
        }
    }

    /// Says which of the shipped profiles read the lines.
    fn told(&self, lines: &[Vec<u8>]) -> Result<(), Trouble> {
        let shelf = Profiles::shipped().map_err(|error| Trouble::Usage(error.to_string()))?;
        for profile in shelf.iter() {
            let read = lines.iter().filter(|line| reads(profile, line, &self.address)).count();
            if 0 < read {
                eprintln!("profile `{}` reads {read} of {} lines", profile.name, lines.len());
            }
        }
        Ok(())
    }
}

fn reads(profile: &Profile, line: &[u8], address: &str) -> bool {
    let begins: Vec<u8> = profile.begins.into_iter().collect();
    let line = line.strip_prefix(begins.as_slice()).unwrap_or(line);
    matches!(profile.judge(line, address), Judged::Report(..))
}

fn list(format: Format) -> Result<(), Trouble> {
    let ports = ports().map_err(|error| Trouble::Later(format!("cannot list ports: {error}")))?;
    let row = |port: &ingest::line::FoundPort| -> Row {
        let stays = port.by_id.as_ref().unwrap_or(&port.device);
        vec![
            ("device", json!(port.device)),
            ("url", json!(format!("serial://{}", stays.display()))),
            ("stays", json!(port.by_id.is_some())),
        ]
    };
    output::rows(format, &ports.iter().map(row).collect::<Vec<_>>())?;
    match ports.is_empty() {
        true => Err(Trouble::No("there is no serial port".to_owned())),
        false => Ok(()),
    }
}

fn row(heard: &Heard) -> Row {
    let (what, bytes) = match heard {
        Heard::Line(bytes) => ("line", bytes),
        Heard::Half(bytes) => ("half", bytes),
        Heard::Overlong(bytes) => ("overlong", bytes),
        Heard::Noise(bytes) => ("noise", bytes),
    };
    let shown: String = String::from_utf8_lossy(bytes).chars().flat_map(visible).collect();
    vec![("what", json!(what)), ("text", json!(shown))]
}

/// Control characters as a person can read and type them.
fn visible(c: char) -> Vec<char> {
    match c {
        c if c.is_control() => c.escape_default().collect(),
        c => vec![c],
    }
}

fn keep(file: &std::path::Path, found: &Guess) -> Result<(), Trouble> {
    // What is written can be read.
    Profile::read(&name_of(file), &found.profile)
        .map_err(|error| Trouble::Usage(error.to_string()))?;
    write(file, &found.profile)
}

/// `\r`, `\n`, `\t`, `\\` and `\xHH` in what is said.
fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match characters.next() {
            Some('r') => '\r',
            Some('n') => '\n',
            Some('t') => '\t',
            Some('\\') => '\\',
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                let byte = u8::from_str_radix(&digits, 16).ok();
                let byte = byte.filter(|byte| digits.len() == 2 && byte.is_ascii());
                char::from(byte.ok_or("write \\x and two digits up to 7f")?)
            }
            _ => return Err("there are \\r, \\n, \\t, \\\\ and \\x41".to_owned()),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_may_be_typed_with_escapes() {
        assert_eq!(unescaped(r"1R\r\n\x02\\").as_deref(), Ok("1R\r\n\u{2}\\"));
        for bad in [r"\q", r"\", r"\x", r"\xff", r"\x4"] {
            assert!(unescaped(bad).is_err(), "{bad}");
        }
        let row = row(&Heard::Line(b"\x02Q,1\x03".to_vec()));
        assert_eq!(row[1].1, json!("\\u{2}Q,1\\u{3}"));
    }
}
