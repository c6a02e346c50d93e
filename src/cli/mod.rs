//! The command line: one file a subject, `args.rs` for what can be typed.
//!
//! A command is a function from its arguments, the [`Environment`] and the [`Person`] at the terminal to an [`Output`] or a
//! [`Failure`]; nothing but [`main`] prints results or ends the process.

pub mod args;
mod attach;
mod demo;
mod docs;
mod environment;
mod failure;
mod fields;
mod flags;
mod import;
mod kv;
mod kv_place;
mod kv_versions;
mod ledger;
mod logical;
mod login;
mod operator;
mod output;
mod person;
mod policy;
mod promote;
mod rekey;
mod replication;
mod replication_args;
mod secrets;
mod snapshot;
mod status;
mod token;
mod vault_args;
mod verify;

pub use docs::commands_markdown;
pub use environment::Environment;
pub use failure::Failure;
pub use output::Output;
pub use person::Person;

use crate::sensitive::panic_text;
use args::{Cli, Command};
use clap::Parser;
use clap::error::ErrorKind;
use person::Terminal;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// What a command may use beside its arguments.
pub struct Context<'a> {
    pub environment: &'a Environment,
    pub person: &'a mut dyn Person,
}

/// Parses, runs, prints; the exit code is the process's.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    tell_panics_without_values();
    let arguments = flags::normalise(arguments);
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, arguments.len()),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Failure::local(format!("no threads to run on: {error}"))),
    };
    let environment = Environment::of_process();
    let mut context = Context { environment: &environment, person: &mut Terminal };
    match runtime.block_on(run(cli.command, &mut context)) {
        Ok(output) => print(output),
        Err(failure) => fail(failure),
    }
}

/// Of a server as of a command: what a panic was about may be a secret.
fn tell_panics_without_values() {
    std::panic::set_hook(Box::new(|info| {
        let trace = Backtrace::capture();
        // A closed standard error has no reader to tell.
        let _ = writeln!(std::io::stderr(), "{}", panic_text(info));
        if trace.status() == BacktraceStatus::Captured {
            let _ = writeln!(std::io::stderr(), "{trace}");
        }
    }));
}

/// Runs one command.
pub async fn run(command: Command, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::Attach(attach) => attach::run(attach, context).await,
        Command::Server(server) => {
            let stopped = crate::server::run(&server.config).await;
            stopped.map(|()| Output::text("")).map_err(|error| Failure::local(error.to_string()))
        }
        Command::Replication(command) => replication::run(command, context).await,
        Command::Operator(command) => operator::run(command, context).await,
        Command::Kv(command) => kv::run(command, context).await,
        Command::Import(import) => import::run(*import, context).await,
        Command::Status(status) => status::run(status, context).await,
        Command::Login(login) => login::run(login, context).await,
        Command::Token(command) => token::run(command, context).await,
        Command::Read(read) => logical::read(read, context).await,
        Command::Write(write) => logical::write(write, context).await,
        Command::List(at) => logical::list(at, context).await,
        Command::Delete(at) => logical::delete(at, context).await,
        Command::Unwrap(unwrap) => logical::unwrap(unwrap, context).await,
        Command::Policy(command) => policy::run(command, context).await,
        Command::Secrets(command) => secrets::run(command, context).await,
        Command::Audit(command) => secrets::audit(command, context).await,
        Command::Version => Ok(Output::text(format!("twinkeep {}", env!("CARGO_PKG_VERSION")))),
        Command::Completion { shell } => Ok(docs::completion(shell)),
        Command::Man(man) => docs::man(man),
    }
}

/// What can't be parsed is refused with exit code 1; help and version, and no arguments at all, are answers.
fn refuse(error: &clap::Error, arguments: usize) -> ExitCode {
    let asked_for_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
        || (error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && arguments < 2);
    if asked_for_help {
        return print(Output::text(error.render().to_string().trim_end()));
    }
    // Nobody to tell if standard error is closed.
    let _ = error.print();
    ExitCode::from(failure::EXIT_LOCAL)
}

fn print(output: Output) -> ExitCode {
    if !output.text.is_empty() {
        // A reader that has seen enough (`| head`) is no failure.
        let mut stdout = std::io::stdout().lock();
        let newline = if output.text.ends_with('\n') { "" } else { "\n" };
        let _ = write!(stdout, "{}{newline}", output.text);
    }
    ExitCode::from(output.exit)
}

fn fail(failure: Failure) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{}", failure.text.trim_end());
    ExitCode::from(failure.exit)
}

#[cfg(test)]
mod tests;
