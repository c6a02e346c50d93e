//! Where a secret lies: paths as people type them, and the mounts that a server says they lie in.

use super::args::KvPath;
use super::failure::Failure;
use crate::client::Client;

/// Where a secret is: its mount, and its path in it.
pub struct Place {
    pub mount: String,
    pub path: String,
    kind: MountKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MountKind {
    /// KV version 1.
    Plain,
    Versioned,
}

impl Place {
    /// The server says where the mount ends, as Vault's CLI has it said.
    pub async fn of(client: &Client, given: &KvPath) -> Result<Place, Failure> {
        let path = given.path.trim_start_matches('/');
        let whole = match &given.mount {
            Some(mount) => format!("{}/{path}", mount.trim_matches('/')),
            None => path.to_owned(),
        };
        let found = client.mount_of(&whole).await.map_err(Failure::asked)?;
        let version = found.mount.options.as_ref().and_then(|options| options.get("version"));
        let kind = match (found.mount.kind.as_str(), version.map(String::as_str)) {
            ("kv", Some("2")) => MountKind::Versioned,
            ("kv", _) => MountKind::Plain,
            _ => return Err(Failure::local(format!("{} is no KV mount: expected one, like secret/", found.path))),
        };
        // `kv list secret` names the mount without its slash.
        let rest = format!("{whole}/");
        let rest = rest.strip_prefix(&found.path).map(|rest| rest.trim_end_matches('/').to_owned());
        let path = rest.ok_or_else(|| {
            Failure::server(format!("the server says that {whole} lies in the mount {}, and it does not", found.path))
        })?;
        Ok(Place { mount: found.path.trim_end_matches('/').to_owned(), path, kind })
    }

    /// As `of`, where versions are kept.
    pub async fn versioned(client: &Client, given: &KvPath) -> Result<Place, Failure> {
        let place = Place::of(client, given).await?;
        if place.is_plain() {
            return Err(Failure::local(format!(
                "{}/ is KV version 1 and keeps no versions: `kv enable-versioning {}` changes that",
                place.mount, place.mount
            )));
        }
        Ok(place)
    }

    pub fn is_plain(&self) -> bool {
        self.kind == MountKind::Plain
    }

    pub fn in_plain(&self) -> String {
        format!("{}/{}", self.mount, self.path)
    }

    pub fn data(&self) -> String {
        format!("{}/data/{}", self.mount, self.path)
    }

    pub fn metadata(&self) -> String {
        format!("{}/metadata/{}", self.mount, self.path)
    }
}
