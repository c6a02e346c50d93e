//! `twinkeep attach`: the console on running servers.

use super::Context;
use super::args::{Attach, Format};
use super::failure::{EXIT_SERVER, Failure};
use super::output::Output;
use crate::console::{self, AttachOptions};
use crate::error::Error;
use crate::sensitive::SensitiveString;
use std::path::Path;

pub async fn run(attach: Attach, context: &mut Context<'_>) -> Result<Output, Failure> {
    let json = attach.json || context.environment.format(&attach.connection)? == Format::Json;
    let once = if json { Some(console::Format::Json) } else { attach.once.then_some(console::Format::Text) };
    let options = options(&attach, context)?;
    match once {
        None => console::run(options).await.map(|()| Output::text("")).map_err(refused),
        Some(format) => {
            let seen = console::once(options, format).await.map_err(refused)?;
            Ok(Output { exit: if seen.well { 0 } else { EXIT_SERVER }, ..Output::text(seen.text) })
        }
    }
}

fn options(attach: &Attach, context: &Context<'_>) -> Result<AttachOptions, Failure> {
    let environment = context.environment;
    let mut tokens: Vec<SensitiveString> = environment.token()?.into_iter().collect();
    for file in &attach.token_file {
        tokens.push(token_of(file)?);
    }
    let addresses = if attach.addresses.is_empty() {
        vec![environment.client(&attach.connection)?.address().to_owned()]
    } else {
        attach.addresses.clone()
    };
    Ok(AttachOptions {
        addresses,
        tokens,
        trust: environment.trust(&attach.connection)?,
        path: attach.path.replication_path.clone(),
        write: attach.write,
        theme: attach.theme.clone(),
        ascii: attach.ascii,
        banner: attach.banner.clone(),
        ..AttachOptions::default()
    })
}

fn token_of(file: &Path) -> Result<SensitiveString, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
    if text.trim().is_empty() {
        return Err(Failure::local(format!("{}: there is no token in it", file.display())));
    }
    Ok(SensitiveString::new(text.trim()))
}

fn refused(error: Error) -> Failure {
    Failure::local(error.to_string())
}
