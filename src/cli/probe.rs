//! `saltline probe …`: looks at what is outside, without an engine.

mod modbus; // a device whose registers nobody knows yet

use clap::{Args, Subcommand};

use super::Trouble;
use super::output::Format;

/// Look at what is outside.
#[derive(Args)]
pub struct Probe {
    /// How rows are written.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Ask a Modbus device, and show its registers in every kind and order beside what is plausible.
    Modbus(modbus::Modbus),
}

impl Probe {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        match self.what {
            What::Modbus(modbus) => modbus.run(self.output).await,
        }
    }
}
