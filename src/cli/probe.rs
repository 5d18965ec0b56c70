//! `saltline probe …`: looks at what is outside, without an engine.

mod modbus; // a device whose registers nobody knows yet
mod serial; // ports, and a logger whose lines nobody knows yet
mod sdi12; // sensors whose values nobody knows yet
mod mqtt; // a broker whose topics nobody knows yet
mod port; // how a serial port is set

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
    /// List the serial ports; or listen to a logger, and show its lines and a profile that would read them.
    Serial(serial::Serial),
    /// Find the sensors of an SDI-12 bus; or measure one, and write its profile.
    Sdi12(sdi12::Sdi12),
    /// Listen at somebody else's broker, and show what comes and what would take it.
    Mqtt(mqtt::Mqtt),
}

impl Probe {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        match self.what {
            What::Modbus(modbus) => modbus.run(self.output).await,
            What::Serial(serial) => serial.run(self.output).await,
            What::Sdi12(sdi12) => sdi12.run(self.output).await,
            What::Mqtt(mqtt) => mqtt.run(self.output).await,
        }
    }
}
