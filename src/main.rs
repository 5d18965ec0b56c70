//! Saltline.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Memory of thousands of connections comes and goes; the C library's allocator keeps twice as much of it resident.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    saltline::cli::main()
}
