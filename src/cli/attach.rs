//! `twinkeep attach`: the console on running servers.

use super::Context;
use super::args::{Attach, Format, View};
use super::failure::{EXIT_SERVER, Failure};
use super::output::Output;
use crate::console::{self, AttachOptions, ContextSpec, WriteRight};
use crate::error::Error;
use crate::sensitive::SensitiveString;
use std::path::Path;

pub async fn run(attach: Attach, context: &mut Context<'_>) -> Result<Output, Failure> {
    if let Some(file) = &attach.replay {
        let look = AttachOptions { theme: attach.theme.clone(), ascii: attach.ascii, ..AttachOptions::default() };
        return console::replay(look, file).await.map(|()| Output::text("")).map_err(refused);
    }
    let json = attach.json || context.environment.format(&attach.view.connection)? == Format::Json;
    let plain = attach.plain || console::is_dumb();
    if attach.record.is_some() && (json || plain) {
        return Err(refused(Error::invalid(
            "only the console's screens are recorded: leave --record out, or attach from a terminal that shows them",
        )));
    }
    let options = options(&attach, context)?;
    let nothing = |()| Output::text("");
    match () {
        () if json && attach.watch => console::watch_json(options).await.map(nothing).map_err(refused),
        () if json || attach.once => {
            let format = if json { console::Format::Json } else { console::Format::Text };
            let seen = console::once(options, format).await.map_err(refused)?;
            Ok(Output { exit: if seen.well { 0 } else { EXIT_SERVER }, ..Output::text(seen.text) })
        }
        () if plain => console::plain(options).await.map(nothing).map_err(refused),
        () => console::run(options).await.map(nothing).map_err(refused),
    }
}

fn options(attach: &Attach, context: &Context<'_>) -> Result<AttachOptions, Failure> {
    let mut contexts = contexts(&attach.view, attach.write, context)?;
    if let Some(banner) = &attach.banner {
        contexts.iter_mut().for_each(|context| context.banner = Some(banner.clone()));
    }
    let (theme, record) = (attach.theme.clone(), attach.record.clone());
    Ok(AttachOptions { contexts, theme, ascii: attach.ascii, record, quiet: attach.quiet, ..AttachOptions::default() })
}

/// The regions that are meant: those of the command line, else those of the contexts file, else the usual server.
pub fn contexts(view: &View, write: bool, context: &Context<'_>) -> Result<Vec<ContextSpec>, Failure> {
    let environment = context.environment;
    let mut tokens: Vec<SensitiveString> = environment.token()?.into_iter().collect();
    for file in &view.token_file {
        tokens.push(token_of(file)?);
    }
    let trust = environment.trust(&view.connection)?;
    let path = view.path.replication_path.clone();
    let usual = console::config_dir().map(|folder| folder.join(console::CONTEXTS_FILE)).filter(|file| file.exists());
    let asked = view.contexts_file.is_some() || !view.context.is_empty();
    let named = !view.addresses.is_empty() || view.connection.address.is_some();
    if named && asked {
        return Err(Failure::local("either addresses or contexts, not both: a context has its own"));
    }
    match view.contexts_file.clone().or(usual).filter(|_| !named) {
        Some(file) => {
            let defaults = console::Defaults { tokens, trust, path, write };
            let variable = |name: &str| environment.get(name).map(str::to_owned);
            console::load_contexts(&file, &view.context, &defaults, variable).map_err(refused)
        }
        None if asked => Err(Failure::local("there is no contexts file: name it with -contexts-file")),
        None => {
            let addresses = if view.addresses.is_empty() {
                vec![environment.client(&view.connection)?.address().to_owned()]
            } else {
                view.addresses.clone()
            };
            let write = if write { WriteRight::Write } else { WriteRight::ReadOnly };
            Ok(vec![ContextSpec { addresses, tokens, trust, path, write, ..ContextSpec::default() }])
        }
    }
}

fn token_of(file: &Path) -> Result<SensitiveString, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
    if text.trim().is_empty() {
        return Err(Failure::local(format!("{}: there is no token in it", file.display())));
    }
    Ok(SensitiveString::new(text.trim()))
}

pub fn refused(error: Error) -> Failure {
    Failure::local(error.to_string())
}
