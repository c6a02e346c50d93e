//! What a caller can see: `sys/internal/ui/…`, which Vault's command line and its web page ask before anything else.

use super::mounts::{shown, table};
use crate::api::mounts::{Mount, MountPreflight, Mounts};
use crate::error::Result;
use crate::secrets::Table;
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::{Map, Value, json};

/// Those in which the caller may do anything at all, and those that are listed for all. Without a token only the latter,
/// and of them no more than what they are.
pub async fn mounts(call: Call) -> Result<Answer> {
    let mut seen = Map::new();
    for (name, of, prefix) in [("secret", Table::Secret, ""), ("auth", Table::Auth, "auth/")] {
        let listed = call.node.vault.mounts(of)?.into_iter().filter(|mount| mount.is_listed_for_all());
        let listed: Vec<String> = listed.map(|mount| mount.path).collect();
        let mut all: Mounts = table(&call, of).await?;
        let acl = call.caller.as_ref().map(|caller| &caller.acl);
        all.retain(|path, _| listed.contains(path) || acl.is_some_and(|acl| acl.sees(&format!("{prefix}{path}"))));
        let told = match acl {
            Some(_) => json!(all),
            None => Value::Object(all.into_iter().map(|(path, mount)| (path, outline(&mount))).collect()),
        };
        seen.insert(name.to_owned(), told);
    }
    Ok(Answer::data(&seen))
}

/// Where there is no mount, or none that the caller may see, the answer is 403: the CLI would take 404 for KV version 1.
pub async fn preflight(call: Call) -> Result<Answer> {
    let path = call.param("path");
    // A mount that is listed for all is none that all may look into.
    let acl = &call.caller()?.acl;
    let found = call.node.vault.mount_of(path)?;
    let Some((mount, _)) = found.filter(|(mount, _)| acl.sees(&mount.route())) else {
        let text = format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}/\""
        );
        return Ok(Answer::error(403, &text));
    };
    Ok(Answer::data(&MountPreflight { path: mount.path.clone(), mount: shown(&mount) }))
}

/// All that the caller's policies grant, as one.
pub async fn resultant_acl(call: Call) -> Result<Answer> {
    let acl = &call.caller()?.acl;
    if acl.is_root() {
        return Ok(Answer::data(&json!({ "root": true })));
    }
    let (exact, glob) = acl.resultant();
    Ok(Answer::data(&json!({ "root": false, "exact_paths": exact, "glob_paths": glob })))
}

fn outline(mount: &Mount) -> Value {
    json!({ "type": mount.kind, "description": mount.description, "options": mount.options })
}
