//! A doorway: parse, run, print the error, exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    twinkeep::cli::main(std::env::args_os())
}
