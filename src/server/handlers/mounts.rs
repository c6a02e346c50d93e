//! What is mounted where, and the preflight of Vault's CLI.

use crate::api::mounts::{Mount, MountPreflight, Mounts};
use crate::error::Result;
use crate::secrets::{self, Table};
use crate::server::answer::Answer;
use crate::server::call::Call;
use serde_json::json;

pub async fn list(call: Call) -> Result<Answer> {
    Ok(Answer::data_and_top(&table(&call, Table::Secret).await?))
}

pub async fn auth_list(call: Call) -> Result<Answer> {
    Ok(Answer::data_and_top(&table(&call, Table::Auth).await?))
}

/// Those in which the caller may do anything at all.
pub async fn ui_mounts(call: Call) -> Result<Answer> {
    let acl = &call.caller()?.acl;
    let (mut secret, mut auth) = (table(&call, Table::Secret).await?, table(&call, Table::Auth).await?);
    secret.retain(|path, _| acl.sees(path));
    auth.retain(|path, _| acl.sees(&format!("auth/{path}")));
    Ok(Answer::data(&json!({ "secret": secret, "auth": auth })))
}

/// Where there is no mount, or none that the caller may see, the answer is 403: the CLI would take 404 for KV version 1.
pub async fn preflight(call: Call) -> Result<Answer> {
    let path = call.param("path");
    let acl = &call.caller()?.acl;
    let found = call.node.vault.mount_of(path).await?;
    let Some((mount, _)) = found.filter(|(mount, _)| acl.sees(&mount.route())) else {
        let text = format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}/\""
        );
        return Ok(Answer::error(403, &text));
    };
    Ok(Answer::data(&MountPreflight { path: mount.path.clone(), mount: shown(&mount) }))
}

async fn table(call: &Call, table: Table) -> Result<Mounts> {
    let mounts = call.node.vault.mounts(table).await?;
    Ok(mounts.iter().map(|mount| (mount.path.clone(), shown(mount))).collect())
}

fn shown(mount: &secrets::Mount) -> Mount {
    Mount {
        kind: mount.kind.clone(),
        description: mount.description.clone(),
        accessor: mount.accessor.clone(),
        options: (!mount.options.is_empty()).then(|| mount.options.clone()),
        local: mount.local,
        uuid: mount.id.to_string(),
        ..Mount::default()
    }
}
