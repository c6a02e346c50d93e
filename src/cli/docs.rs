//! What is made from the command line's definition: completions, man pages, the README's table.

use super::args::{Cli, Man};
use super::failure::Failure;
use super::output::Output;
use crate::console::{self, KeyRow};
use clap::CommandFactory;

/// A completion script.
pub fn completion(shell: clap_complete::Shell) -> Output {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "twinkeep", &mut script);
    Output::text(String::from_utf8_lossy(&script))
}

/// A man page as roff, for `man -l -`.
pub fn man(man: Man) -> Result<Output, Failure> {
    if man.markdown {
        return Ok(Output::text(commands_markdown()));
    }
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    for name in &man.command {
        command = command
            .find_subcommand(name)
            .ok_or_else(|| Failure::local(format!("there is no command `{name}` in `{}`", command.get_name())))?;
    }
    let title = command.get_display_name().unwrap_or("twinkeep").to_owned();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(title)
        .render(&mut page)
        .map_err(|error| Failure::local(format!("the man page can't be made: {error}")))?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    if OF_CONSOLE.contains(&command.get_name()) {
        page += &keys_roff();
    }
    Ok(Output::text(page))
}

/// The commands that show the console: their pages have its keys.
const OF_CONSOLE: [&str; 2] = ["attach", "demo"];

/// The console's keys as a section of a man page, from the same table as its help.
fn keys_roff() -> String {
    let mut roff = String::from(".SH \"KEYS OF THE CONSOLE\"\n");
    let mut group = None;
    for KeyRow { group: of, keys, title, place } in console::key_rows() {
        if group != Some(of) {
            roff += &format!(".SS \"{}\"\n", of.title());
            group = Some(of);
        }
        let keys: Vec<String> = keys.iter().map(|key| format!("\\fB{}\\fR", plain_roff(key))).collect();
        roff += &format!(".TP\n{}\n{} ({})\n", keys.join(", "), plain_roff(title), plain_roff(&place));
    }
    roff
}

/// Text that roff prints as it is.
fn plain_roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

/// All commands as the README shows them, between its markers `<!-- commands -->` and `<!-- /commands -->`.
pub fn commands_markdown() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = String::from("| command | what it does |\n|---|---|\n");
    for leaf in leaves(&root, "") {
        text.push_str(&format!("| `{}` | {} |\n", leaf.usage, leaf.about));
    }
    text
}

/// A command that does something, not one that only holds others.
pub struct Leaf {
    /// Its words and positional arguments.
    pub usage: String,
    pub about: String,
}

pub fn leaves(command: &clap::Command, prefix: &str) -> Vec<Leaf> {
    let mut found = Vec::new();
    for child in command.get_subcommands() {
        let name = format!("{prefix}{}", child.get_name());
        if child.has_subcommands() {
            found.extend(leaves(child, &format!("{name} ")));
            continue;
        }
        let mut usage = name;
        for argument in child.get_positionals() {
            let value = argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
            let many = if argument.get_num_args().is_some_and(|count| count.max_values() > 1) { "…" } else { "" };
            let shown =
                if argument.is_required_set() { format!(" {value}{many}") } else { format!(" [{value}{many}]") };
            usage.push_str(&shown);
        }
        let about = child.get_about().map(ToString::to_string).unwrap_or_default();
        found.push(Leaf { usage, about });
    }
    found
}
