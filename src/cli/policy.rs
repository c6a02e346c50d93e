//! `twinkeep policy`: who may do what.

use super::Context;
use super::args::Format;
use super::args::{Policy, PolicyFmt, PolicyWrite};
use super::failure::Failure;
use super::logical::{ask, change};
use super::output::{Output, json};
use crate::client::Logical;
use serde_json::json;
use std::fs;

pub async fn run(command: Policy, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Policy::List(connection) => {
            let format = context.environment.format(&connection)?;
            let answer = ask("sys/policy", &connection, context).await?;
            let names = &answer["data"]["policies"];
            let lines = names.as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect::<Vec<_>>();
            Ok(Output::of(format, names, |_| lines.join("\n")))
        }
        Policy::Read(named) => {
            let format = context.environment.format(&named.connection)?;
            let answer = ask(&format!("sys/policies/acl/{}", named.name), &named.connection, context).await?;
            let text = answer["data"]["policy"].as_str().unwrap_or_default();
            Ok(Output::text(match format {
                Format::Json => json(&json!({ "policy": text })),
                Format::Table => text.to_owned(),
            }))
        }
        Policy::Write(write) => run_write(write, context).await,
        Policy::Delete(named) => {
            let path = format!("sys/policies/acl/{}", named.name);
            let done = format!("Success! Deleted policy: {}", named.name);
            change(&path, Logical::Delete, &named.connection, context, done).await
        }
        Policy::Fmt(fmt) => run_fmt(&fmt),
    }
}

async fn run_write(write: PolicyWrite, context: &mut Context<'_>) -> Result<Output, Failure> {
    let unread = |error: std::io::Error| Failure::local(format!("{}: {error}", write.file));
    let text = match write.file.as_str() {
        "-" => context.person.standard_input().map_err(unread)?,
        file => fs::read_to_string(file).map_err(unread)?,
    };
    let path = format!("sys/policies/acl/{}", write.name);
    let done = format!("Success! Uploaded policy: {}", write.name);
    change(&path, Logical::Write(json!({ "policy": text })), &write.connection, context, done).await
}

fn run_fmt(fmt: &PolicyFmt) -> Result<Output, Failure> {
    let failed = |why: String| Failure::local(format!("{}: {why}", fmt.file.display()));
    let text = fs::read_to_string(&fmt.file).map_err(|error| failed(error.to_string()))?;
    if let Err(error) = text.parse::<hcl_edit::structure::Body>() {
        let place = error.location();
        return Err(failed(format!("line {}, column {}: {}", place.line(), place.column(), error.message())));
    }
    let formatted = formatted(&text);
    if formatted != text {
        fs::write(&fmt.file, formatted).map_err(|error| failed(error.to_string()))?;
    }
    Ok(Output::text(format!("Success! Formatted policy: {}", fmt.file.display())))
}

/// Each line indented by two spaces for each bracket that is open, one empty line between two paragraphs. The text is
/// HCL; nothing but the space at its edges is touched, so that comments and strings stay as they are.
fn formatted(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut depth = 0usize;
    for line in text.lines().map(str::trim) {
        let empty_before = lines.last().is_none_or(String::is_empty);
        if line.is_empty() {
            if !empty_before {
                lines.push(String::new());
            }
            continue;
        }
        let (opened, closed, closes_first) = brackets(line);
        let indent = depth.saturating_sub(closes_first);
        lines.push(format!("{}{line}", "  ".repeat(indent)));
        depth = (depth + opened).saturating_sub(closed);
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

/// How many brackets a line opens and closes outside its strings and comments, and how many it closes before all else.
fn brackets(line: &str) -> (usize, usize, usize) {
    let (mut opened, mut closed) = (0, 0);
    let mut in_string = false;
    let mut before = ' ';
    for sign in line.chars() {
        match sign {
            '"' if before != '\\' => in_string = !in_string,
            _ if in_string => {}
            '#' => break,
            '/' if before == '/' => break,
            '{' | '[' | '(' => opened += 1,
            '}' | ']' | ')' => closed += 1,
            _ => {}
        }
        before = sign;
    }
    (opened, closed, line.chars().take_while(|sign| matches!(sign, '}' | ']' | ')')).count())
}

#[cfg(test)]
mod tests {
    use super::formatted;

    #[test]
    fn lines_are_indented_by_their_brackets() {
        let crooked =
            "\n\npath \"a/{{b}}/*\" {\n      capabilities = [\n\"read\", # } not here\n  \"list\"\n]\n}\n\n\n# end\n\n";
        let straight =
            "path \"a/{{b}}/*\" {\n  capabilities = [\n    \"read\", # } not here\n    \"list\"\n  ]\n}\n\n# end\n";
        assert_eq!(formatted(crooked), straight);
        assert_eq!(formatted(straight), straight);
    }
}
