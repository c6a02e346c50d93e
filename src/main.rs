//! A doorway: parse, run, print the error, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinkeep::cli::main(std::env::args_os())
}
