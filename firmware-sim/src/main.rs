//! `firmware-sim`: the estuary twin's stations, real records and load over real sockets, and the other side of the
//! phone. Data on stdout, talk on stderr.

mod cli; // what was typed, and what is done about it

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    cli::start_logging(arguments.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::from(75);
        }
    };
    let ended = runtime.block_on(cli::run(arguments.command));
    // Blocking reads of stdin would keep the process alive.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| cli::tell(&*error))
}
