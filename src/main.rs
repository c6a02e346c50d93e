//! A doorway: parse, run, print the error, exit code.

use std::process::ExitCode;

/// Of the program alone: tests have the system's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    twinkeep::cli::main(std::env::args_os())
}
