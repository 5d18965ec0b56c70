//! How a serial port is set, as a person types it.

use std::path::Path;

use clap::Args;
use ingest::line::{Parity, Place, Serial};

use crate::cli::Trouble;

/// How characters go over a line.
#[derive(Args)]
pub struct Port {
    /// Bits a second.
    #[arg(long, default_value_t = 9_600, value_parser = clap::value_parser!(u32).range(300..=4_000_000))]
    baud: u32,
    /// Bits of a character.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(7..=8))]
    data_bits: u8,
    /// The check bit of a character: none, even or odd.
    #[arg(long, default_value = "none")]
    parity: String,
    /// Stop bits.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    stop_bits: u8,
}

impl Port {
    /// The settings.
    pub fn serial(&self) -> Result<Serial, Trouble> {
        let parity = Parity::parse(&self.parity)
            .ok_or_else(|| Trouble::Usage("--parity is none, even or odd".to_owned()))?;
        let Self { baud, data_bits, stop_bits, .. } = *self;
        Ok(Serial { baud, data_bits, parity, stop_bits })
    }
}

/// Where a line is; a bare path is a serial port.
pub fn place(text: &str) -> Result<Place, Trouble> {
    let url = if text.starts_with('/') { format!("serial://{text}") } else { text.to_owned() };
    Place::parse(&url).map_err(|error| Trouble::Usage(error.to_string()))
}

/// What a file's profile is called.
pub fn name_of(file: &Path) -> String {
    file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Writes a profile that can be read.
pub fn write(file: &Path, text: &str) -> Result<(), Trouble> {
    keep(&format!("profile `{}`", name_of(file)), file, text)
}

/// Writes what a probe found.
pub fn keep(what: &str, file: &Path, text: &str) -> Result<(), Trouble> {
    std::fs::write(file, text)
        .map_err(|error| Trouble::Later(format!("cannot write {}: {error}", file.display())))?;
    eprintln!("{what} written to {}", file.display());
    Ok(())
}
