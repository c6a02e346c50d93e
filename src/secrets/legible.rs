//! What a key of the data tree is about, in clear, for an operator who is told that something differs: a mount, the
//! first names of a path, a kind. Never a value, and nothing on a sealed node.

use super::barrier::first_segment;
use super::core::View;
use super::layout::{self, Place};
use super::mounts;
use super::vault::Vault;
use crate::error::Result;

/// Names of a path that are shown; what lies below them is `…`.
const NAMES_MAX: usize = 2;

impl Vault {
    /// Where the entry under `key` belongs, such as `secret/app/db/…`; `None` on a sealed node.
    pub fn place_of(&self, key: &[u8]) -> Option<String> {
        self.legible(key, NAMES_MAX)
    }

    /// What the entry under `key` is about, with the whole path: for who reviews a ledger.
    pub fn describe(&self, key: &[u8]) -> Option<String> {
        self.legible(key, usize::MAX)
    }

    fn legible(&self, key: &[u8], names_max: usize) -> Option<String> {
        let view = self.core.view().ok()?;
        Some(match layout::place(key) {
            Place::Kind(kind) => kind.to_owned(),
            Place::Kv { mount, path } => {
                let table = mounts::table(&view).unwrap_or_default();
                let mount_path = table.by_id(mount).map(|it| it.path.clone());
                let mut words = mount_path.unwrap_or_else(|| format!("mount {mount}/"));
                let head = &key[..key.len() - path.len()];
                // A name that does not decrypt belongs to a key that was changed itself.
                words.push_str(&names(&view, head, path, names_max).unwrap_or_else(|_| "(illegible)".to_owned()));
                words
            }
        })
    }
}

/// The first names of an encoded path. `head`: what it hangs on.
fn names(view: &View, head: &[u8], mut path: &[u8], max: usize) -> Result<String> {
    let (mut above, mut names) = (head, Vec::new());
    while let Some(segment) = first_segment(path).filter(|segment| segment.len() > 2) {
        if names.len() == max {
            names.push("…".to_owned());
            break;
        }
        names.push(view.barrier.open_segment(above, segment)?);
        (above, path) = (segment, &path[segment.len()..]);
    }
    Ok(names.join("/"))
}
